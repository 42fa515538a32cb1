//! Processes on other nodes (ABI §8.1).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, TIMED_OUT, host_functions, params};
use lunatic_account::{Account, Charge, Kind};
use lunatic_engine::{Module, ModuleHash};
use lunatic_mailbox::{NodeId, Pid, Tag};
use lunatic_process::guest::{self, Config, Spawn, check_right_to_spawn};
use lunatic_process::{SpawnLink, SpawnOptions};
use wasmtime::{Caller, Result};

use crate::guest::requests::{MAX_CONFIG_BYTES, NodeRequest, NodeResponse, SpawnRequest};
use crate::guest::sending::{Reached, reach};
use crate::guest::{DistributedHost, clustered};
use crate::node::Node;
use crate::session::RequestError;

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        async fn spawn(
            node_id: u64, config_id: i64, module_id: u64, name_ptr: u32, name_len: u32,
            params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
        async fn spawn_link(
            node_id: u64, tag: i64, config_id: i64, module_id: u64, name_ptr: u32, name_len: u32,
            params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
    }
}

const SPAWNED: u32 = 0;
const FAILED: u32 = 1;
const NO_MODULE: u32 = 2;

/// The longest name of an export, in bytes.
const MAX_EXPORT_BYTES: usize = 4096;

/// How often a module is sent for one spawn: the other node may have forgotten it for others
/// before it has started the process.
const MAX_SENT: u32 = 2;

/// The config id that stands for the caller's own.
const OWN: i64 = -1;

/// Why there is no process.
#[derive(Debug)]
enum NotSpawned {
    UnknownNode(NodeId),
    NoConnection,
    NoModule(u64),
    /// The module cannot be sent.
    NoBytes(ModuleHash),
    /// The config has so many bytes.
    LongConfig(usize),
    NotSent(RequestError),
    Refused(String),
}

/// A process that is to start, as the caller described it.
struct Wanted<T: DistributedHost> {
    module: Module<T>,
    config: Arc<T::Config>,
    /// It is the caller's own.
    is_own_config: bool,
    export: String,
    params: Vec<u8>,
    /// It is linked to the caller, who is told this when it dies.
    link: Option<Option<Tag>>,
}

/// What the caller gives to `spawn` and `spawn_link`.
struct Arguments {
    node_id: u64,
    link: Option<Option<Tag>>,
    config_id: i64,
    module_id: u64,
    name: (u32, u32),
    params: (u32, u32),
    id_ptr: u32,
}

/// `lunatic::distributed::spawn` (ABI §8): starts a process on a node. Returns 0 with its id,
/// or 1, 2 or 9027 with an error id, at `id_ptr`.
///
/// On its own node the caller starts it as `lunatic::process::spawn` does.
///
/// Traps without the right to spawn; on another node also without the right to signal outside of
/// its branch, if the caller has an account of its own, and if that has no memory left; on a node
/// that is alone, on bad addresses, an unknown config, and bad records of arguments.
async fn spawn<T: DistributedHost>(
    caller: Caller<'_, T>,
    node_id: u64,
    config_id: i64,
    module_id: u64,
    name_ptr: u32,
    name_len: u32,
    params_ptr: u32,
    params_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    let arguments = Arguments {
        node_id,
        link: None,
        config_id,
        module_id,
        name: (name_ptr, name_len),
        params: (params_ptr, params_len),
        id_ptr,
    };
    start(caller, arguments).await
}

/// `lunatic::distributed::spawn_link` (ABI §30): starts a process so that is linked to the
/// caller before any of its code runs.
///
/// - `tag`: what the caller is told when it dies; 0 for none.
///
/// Traps as [`spawn`] does.
async fn spawn_link<T: DistributedHost>(
    caller: Caller<'_, T>,
    node_id: u64,
    tag: i64,
    config_id: i64,
    module_id: u64,
    name_ptr: u32,
    name_len: u32,
    params_ptr: u32,
    params_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    let arguments = Arguments {
        node_id,
        link: Some(Tag::new(tag)),
        config_id,
        module_id,
        name: (name_ptr, name_len),
        params: (params_ptr, params_len),
        id_ptr,
    };
    start(caller, arguments).await
}

async fn start<T: DistributedHost>(mut caller: Caller<'_, T>, arguments: Arguments) -> Result<u32> {
    let Arguments {
        node_id,
        link,
        config_id,
        module_id,
        name: (name_ptr, name_len),
        params: (params_ptr, params_len),
        id_ptr,
    } = arguments;
    check_right_to_spawn(caller.data())?;
    clustered(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let export = caller
        .text_within(name_ptr, name_len, MAX_EXPORT_BYTES)?
        .to_owned();
    let params = caller.bytes(params_ptr, params_len)?;
    // No more are copied than a function can take.
    params::parse(params)?;
    let params = params.to_vec();
    let config = config_of(caller.data(), config_id)?;
    let node = NodeId::from_bits(node_id);
    let module = caller.data().module_of_number(module_id);
    // Numbers are hashes: none is that of a table.
    let of_table = || caller.data().process().module_of(module_id).cloned();
    let spawned = match module.or_else(of_table) {
        None => Err(NotSpawned::NoModule(module_id)),
        Some(module) => {
            let wanted = Wanted {
                module,
                config,
                is_own_config: config_id == OWN,
                export,
                params,
                link,
            };
            match node == caller.data().process().handle().environment().node() {
                true => spawn_here(&mut caller, wanted).await?,
                false => spawn_there(&mut caller, node, wanted).await?,
            }
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
fn config_of<T: DistributedHost>(state: &T, id: i64) -> Result<Arc<T::Config>> {
    let own = state.process();
    match id {
        OWN => Ok(own.config().clone()),
        id => Ok(own.config_of(id as u64)?.clone()),
    }
}

/// Starts a process on the node of the caller.
async fn spawn_here<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    wanted: Wanted<T>,
) -> Result<Result<Pid, NotSpawned>> {
    let child_environment = caller.data().child_environment(&wanted.config);
    let child_environment = caller.wait(child_environment).await?;
    let own = caller.data().process().handle().clone();
    let link = wanted.link.map(|tag| SpawnLink {
        parent: own.clone(),
        tag,
    });
    let process = Spawn {
        module: wanted.module,
        config: wanted.config,
        is_own_config: wanted.is_own_config,
        export: wanted.export,
        params: params::parse(&wanted.params)?,
        child_environment,
        options: SpawnOptions {
            parent: Some(own.id()),
            account: Some(own.account().clone()),
            link,
            ..SpawnOptions::default()
        },
        results: None,
    };
    let started = match guest::spawn(own.environment(), process) {
        Ok(spawned) => caller.wait(spawned.started()).await,
        Err(error) => Err(error),
    };
    let started = started.map(|process| process.id());
    Ok(started.map_err(|error| NotSpawned::Refused(error.to_string())))
}

/// Checks that the caller may start processes on other nodes: they are outside of its branch.
fn check_right_to_spawn_there<T: DistributedHost>(state: &T) -> Result<(), Misuse> {
    let own = state.process();
    let is_branch = own.handle().account().is_branch();
    match is_branch && !own.config().process().can_signal_outside {
        true => Err(Misuse::Denied("spawn processes on other nodes")),
        false => Ok(()),
    }
}

/// Starts a process on another node.
async fn spawn_there<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    id: NodeId,
    wanted: Wanted<T>,
) -> Result<Result<Pid, NotSpawned>> {
    check_right_to_spawn_there(caller.data())?;
    let config = caller.data().encode_config(&wanted.config);
    if config.len() > MAX_CONFIG_BYTES {
        return Ok(Err(NotSpawned::LongConfig(config.len())));
    }
    let account = caller.data().account().clone();
    let bytes = config.len() + wanted.export.len() + wanted.params.len();
    // What is kept until there is an answer, which is up to the other node.
    let charge = Charge::new(&account, Kind::Memory, bytes as u64);
    let charge = charge.map_err(Misuse::Exceeded)?;
    match reach(caller, id).await? {
        Reached::Yes => {}
        Reached::Unknown => return Ok(Err(NotSpawned::UnknownNode(id))),
        Reached::No => return Ok(Err(NotSpawned::NoConnection)),
    }
    let node = clustered(caller.data())?;
    let from = caller.data().process().handle().id();
    let asked = ask(node, id, from, account, config, wanted);
    let spawned = caller.wait(asked).await;
    drop(charge);
    Ok(spawned)
}

async fn ask<T: DistributedHost>(
    node: Node,
    id: NodeId,
    from: Pid,
    account: Account,
    config: Vec<u8>,
    wanted: Wanted<T>,
) -> Result<Pid, NotSpawned> {
    let request = NodeRequest::Spawn(SpawnRequest {
        module: *wanted.module.hash().as_bytes(),
        export: &wanted.export,
        params: &wanted.params,
        config: &config,
        inherits: wanted.is_own_config,
        link: wanted.link,
    });
    let mut sent = 0;
    loop {
        match answer(&node, id, from, &account, &request).await? {
            NodeResponse::Spawned(process) => return Ok(process),
            NodeResponse::NeedsModule if sent < MAX_SENT => {
                let hash = wanted.module.hash();
                let bytes = wanted.module.bytes().ok_or(NotSpawned::NoBytes(hash))?;
                let (is_first, upload) = node.uploads().join(id, hash, |respond| {
                    let module = NodeRequest::Module { bytes }.to_bytes();
                    node.request_with(id, from, Some(&account), &module, respond);
                });
                match response_in(upload.answered().await) {
                    // The account of another process that wanted to send it.
                    Err(NotSpawned::NotSent(RequestError::Exceeded(_))) if !is_first => {}
                    answered => match answered? {
                        NodeResponse::HasModule => sent += 1,
                        NodeResponse::Refused(reason) => return Err(NotSpawned::Refused(reason)),
                        _ => return Err(unexpected()),
                    },
                }
            }
            NodeResponse::Refused(reason) => return Err(NotSpawned::Refused(reason)),
            _ => return Err(unexpected()),
        }
    }
}

/// Sends a request, and returns how its answer is waited for. Meanwhile nothing is kept of the
/// request but what is charged until it leaves.
fn answer(
    node: &Node,
    id: NodeId,
    from: Pid,
    account: &Account,
    request: &NodeRequest<'_>,
) -> impl Future<Output = Result<NodeResponse, NotSpawned>> + Send + use<> {
    let asked = node.request(id, from, Some(account), &request.to_bytes());
    async move { response_in(asked.await) }
}

fn response_in(answered: Result<Vec<u8>, RequestError>) -> Result<NodeResponse, NotSpawned> {
    let response = answered.map_err(|error| match error {
        RequestError::NoConnection => NotSpawned::NoConnection,
        error => NotSpawned::NotSent(error),
    })?;
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
                write!(
                    f,
                    "there is no module {number}: take it from module_id or compile_module"
                )
            }
            NotSpawned::NoBytes(hash) => {
                write!(
                    f,
                    "the module {hash} cannot be sent, as its bytes were not kept"
                )
            }
            NotSpawned::LongConfig(length) => write!(
                f,
                "the config takes {length} bytes, and no more than {MAX_CONFIG_BYTES} cross to another node"
            ),
            NotSpawned::NotSent(error) => error.fmt(f),
            NotSpawned::Refused(reason) => write!(f, "the node refuses: {reason}"),
        }
    }
}

impl Error for NotSpawned {}
