//! Which nodes come and go, what they are called, and who lives there (ABI §30).

use lunatic_abi::{Guest, Misuse, TIMED_OUT, host_functions};
use lunatic_mailbox::{NodeId, Pid, Tag};
use wasmtime::{Caller, Result};

use crate::guest::requests::{NodeRequest, NodeResponse};
use crate::guest::{DistributedHost, clustered};
use crate::node_monitors::NotMonitored;
use crate::session::RequestError;

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        fn node_name(node_id: u64, ptr: u32, len: u32) -> i32;
        fn find_node(name_ptr: u32, name_len: u32) -> u64;
        fn monitor_nodes(tag: i64);
        fn stop_monitoring_nodes();
        async fn exists(process_id: u64) -> u32;
    }
}

/// The longest name of a node, in bytes, that is looked for.
const MAX_NAME_BYTES: usize = 1024;

/// `lunatic::distributed::node_name` (ABI §30): how many bytes the name of a node has, -1 if
/// it is not connected. If that is not more than `len`, it is at `ptr`.
///
/// Traps on a bad address, for all of `len`.
fn node_name<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    node_id: u64,
    ptr: u32,
    len: u32,
) -> Result<i32> {
    caller.bytes(ptr, len)?;
    let id = NodeId::from_bits(node_id);
    let name = caller.data().node().and_then(|node| match id {
        id if id == node.info().id => Some(node.info().name.clone()),
        id => Some(node.sessions().with_node(id)?.node().name.clone()),
    });
    let Some(name) = name else {
        return Ok(-1);
    };
    let name = name.as_str().as_bytes();
    if name.len() <= len as usize {
        caller.write(ptr, name)?;
    }
    Ok(name.len() as i32)
}

/// `lunatic::distributed::find_node` (ABI §30): the id of the node of this name, 0 if it is not
/// connected.
///
/// Traps on a bad address, text that is not UTF-8, and a name of more than [`MAX_NAME_BYTES`].
fn find_node<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
) -> Result<u64> {
    let name = caller
        .text_within(name_ptr, name_len, MAX_NAME_BYTES)?
        .to_owned();
    let Some(node) = caller.data().node() else {
        return Ok(0);
    };
    if node.info().name.as_str() == name {
        return Ok(node.info().id.to_bits());
    }
    let sessions = node.sessions().all();
    let found = sessions
        .iter()
        .find(|session| session.node().name.as_str() == name);
    Ok(found.map_or(0, |session| session.node().id.to_bits()))
}

/// `lunatic::distributed::monitor_nodes` (ABI §30): from now on, the caller is told which nodes
/// are connected, and which come and go.
///
/// Traps on a node that is alone, if as many processes are told as may be, and without memory left
/// in the account.
fn monitor_nodes<T: DistributedHost>(caller: Caller<'_, T>, tag: i64) -> Result<()> {
    let node = clustered(caller.data())?;
    let own = caller.data().process().handle();
    let begun = node.monitor_nodes(own, Tag::new(tag));
    begun.map_err(|error| match error {
        NotMonitored::Exceeded(exceeded) => Misuse::Exceeded(exceeded),
        error => Misuse::refused(error.to_string()),
    })?;
    Ok(())
}

/// `lunatic::distributed::stop_monitoring_nodes` (ABI §30): ends that; what was told before
/// stays in the mailbox.
///
/// Traps on a node that is alone.
fn stop_monitoring_nodes<T: DistributedHost>(caller: Caller<'_, T>) -> Result<()> {
    let node = clustered(caller.data())?;
    node.stop_monitoring_nodes(caller.data().process().handle().id());
    Ok(())
}

/// `lunatic::distributed::exists` (ABI §30): 1 if there is such a process on its node, 0 if not,
/// 9027 without a connection to that node.
///
/// Traps without memory left in the account.
async fn exists<T: DistributedHost>(mut caller: Caller<'_, T>, process_id: u64) -> Result<u32> {
    let process = Pid::from_bits(process_id);
    let own = caller.data().process().handle();
    let environment = own.environment();
    if environment.is_local(process) {
        return Ok(u32::from(environment.exists(process)));
    }
    let node = caller.data().node().cloned();
    let session = node
        .as_ref()
        .and_then(|node| node.sessions().get(process.node()));
    let (Some(node), Some(session)) = (node, session) else {
        return Ok(TIMED_OUT);
    };
    let (from, account) = (own.id(), own.account().clone());
    let asked = async move {
        let request = NodeRequest::Exists(process).to_bytes();
        node.request(session.node().id, from, Some(&account), &request)
            .await
    };
    let response = match caller.wait(asked).await {
        Err(RequestError::Exceeded(exceeded)) => return Err(Misuse::Exceeded(exceeded).into()),
        response => response.ok(),
    };
    let response = response.and_then(|bytes| postcard::from_bytes(&bytes).ok());
    Ok(match response {
        Some(NodeResponse::Exists(exists)) => u32::from(exists),
        _ => TIMED_OUT,
    })
}
