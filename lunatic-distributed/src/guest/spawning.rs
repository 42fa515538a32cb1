//! Processes on other nodes (ABI §8.1).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_abi::{Guest, TIMED_OUT, host_functions, params};
use lunatic_account::Account;
use lunatic_engine::{Module, ModuleHash};
use lunatic_mailbox::{NodeId, Pid, Tag};
use lunatic_process::guest::check_right_to_spawn;
use wasmtime::{Caller, Result};

use crate::guest::requests::{NodeRequest, NodeResponse, SpawnRequest};
use crate::guest::sending::{Reached, reach};
use crate::guest::{DistributedHost, clustered};
use crate::node::Node;

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        async fn spawn(
            node_id: u64, config_id: i64, module_id: u64, name_ptr: u32, name_len: u32,
            params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
    }
}

const SPAWNED: u32 = 0;
const FAILED: u32 = 1;
const NO_MODULE: u32 = 2;

/// The longest name of an export, in bytes.
const MAX_EXPORT_BYTES: usize = 4096;

/// The config id that stands for the caller's own.
const OWN: i64 = -1;

/// Why there is no process.
#[derive(Debug)]
pub(super) enum NotSpawned {
    UnknownNode(NodeId),
    NoConnection,
    NoModule(u64),
    /// The module cannot be sent.
    NoBytes(ModuleHash),
    Refused(String),
}

/// A process that is to start, as the caller described it.
pub(super) struct Wanted<T: DistributedHost> {
    pub(super) module: Module<T>,
    pub(super) config: Vec<u8>,
    /// It is the caller's own.
    pub(super) inherits: bool,
    pub(super) export: String,
    pub(super) params: Vec<u8>,
    pub(super) link: Option<Option<Tag>>,
}

/// `lunatic::distributed::spawn` (ABI §8): starts a process on a node. Returns 0 with its id,
/// or 1, 2 or 9027 with an error id, at `id_ptr`.
///
/// Traps without the right to spawn, on a node that is alone, on bad addresses, an unknown
/// config, and bad records of arguments.
async fn spawn<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    node_id: u64,
    config_id: i64,
    module_id: u64,
    name_ptr: u32,
    name_len: u32,
    params_ptr: u32,
    params_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    clustered(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let export = caller
        .text_within(name_ptr, name_len, MAX_EXPORT_BYTES)?
        .to_owned();
    let params = caller.bytes(params_ptr, params_len)?.to_vec();
    params::parse(&params)?;
    let config = config_of(caller.data(), config_id)?;
    let node = NodeId::from_bits(node_id);
    let spawned = match caller.data().module_of_number(module_id) {
        None => Err(NotSpawned::NoModule(module_id)),
        Some(module) => {
            let config = caller.data().encode_config(&config);
            let wanted = Wanted {
                module,
                config,
                inherits: config_id == OWN,
                export,
                params,
                link: None,
            };
            spawn_on(&mut caller, node, wanted).await?
        }
    };
    match spawned {
        Ok(process) => {
            caller.write_u64(id_ptr, process.to_bits())?;
            Ok(SPAWNED)
        }
        Err(error) => {
            caller.report(id_ptr, &error)?;
            Ok(match error {
                NotSpawned::NoConnection => TIMED_OUT,
                NotSpawned::NoModule(_) => NO_MODULE,
                _ => FAILED,
            })
        }
    }
}

/// A config of the caller's.
pub(super) fn config_of<T: DistributedHost>(state: &T, id: i64) -> Result<Arc<T::Config>> {
    let own = state.process();
    match id {
        OWN => Ok(own.config().clone()),
        id => Ok(own.config_of(id as u64)?.clone()),
    }
}

/// Starts a process on a node, this one or another.
pub(super) async fn spawn_on<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    id: NodeId,
    wanted: Wanted<T>,
) -> Result<Result<Pid, NotSpawned>> {
    match reach(caller, id).await? {
        Reached::Yes => {}
        Reached::Unknown => return Ok(Err(NotSpawned::UnknownNode(id))),
        Reached::No => return Ok(Err(NotSpawned::NoConnection)),
    }
    let node = clustered(caller.data())?;
    let own = caller.data().process().handle();
    let (from, account) = (own.id(), own.account().clone());
    Ok(caller.wait(ask(node, id, from, account, wanted)).await)
}

async fn ask<T: DistributedHost>(
    node: Node,
    id: NodeId,
    from: Pid,
    account: Account,
    wanted: Wanted<T>,
) -> Result<Pid, NotSpawned> {
    let request = NodeRequest::Spawn(SpawnRequest {
        module: *wanted.module.hash().as_bytes(),
        export: &wanted.export,
        params: &wanted.params,
        config: &wanted.config,
        inherits: wanted.inherits,
        link: wanted.link,
    })
    .to_bytes();
    let mut has_sent_module = false;
    loop {
        match respond(&node, id, from, &account, &request).await? {
            NodeResponse::Spawned(process) => return Ok(process),
            NodeResponse::NeedsModule if !has_sent_module => {
                let hash = wanted.module.hash();
                let bytes = wanted.module.bytes().ok_or(NotSpawned::NoBytes(hash))?;
                let module = NodeRequest::Module { bytes }.to_bytes();
                match respond(&node, id, from, &account, &module).await? {
                    NodeResponse::HasModule => has_sent_module = true,
                    NodeResponse::Refused(reason) => return Err(NotSpawned::Refused(reason)),
                    _ => return Err(unexpected()),
                }
            }
            NodeResponse::Refused(reason) => return Err(NotSpawned::Refused(reason)),
            _ => return Err(unexpected()),
        }
    }
}

pub(super) async fn respond(
    node: &Node,
    id: NodeId,
    from: Pid,
    account: &Account,
    request: &[u8],
) -> Result<NodeResponse, NotSpawned> {
    let response = node.request(id, from, Some(account), request).await;
    let response = response.map_err(|_| NotSpawned::NoConnection)?;
    postcard::from_bytes(&response).map_err(|_| unexpected())
}

fn unexpected() -> NotSpawned {
    NotSpawned::Refused("the node has answered something else".into())
}

impl fmt::Display for NotSpawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSpawned::UnknownNode(node) => {
                write!(f, "the node {node} is unknown, or down")
            }
            NotSpawned::NoConnection => f.write_str("there is no connection to the node"),
            NotSpawned::NoModule(number) => {
                write!(f, "there is no module {number}: take it from module_id")
            }
            NotSpawned::NoBytes(hash) => {
                write!(
                    f,
                    "the module {hash} cannot be sent, as its bytes were not kept"
                )
            }
            NotSpawned::Refused(reason) => write!(f, "the node refuses: {reason}"),
        }
    }
}

impl Error for NotSpawned {}
