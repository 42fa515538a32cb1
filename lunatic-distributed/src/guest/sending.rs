//! Messages to processes of named nodes (ABI §8.1).

use std::time::Duration;

use futures_lite::future;
use lunatic_abi::{Guest, Misuse, TIMED_OUT, host_functions};
use lunatic_mailbox::guest::send_receive;
use lunatic_mailbox::{NodeId, Pid, Tag};
use wasmtime::{Caller, Result};

use crate::guest::{DistributedHost, clustered};

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        async fn send(node_id: u64, process_id: u64) -> u32;
        async fn send_receive_skip_search(
            node_id: u64, process_id: u64, wait_on_tag: i64, timeout: u64
        ) -> u32;
    }
}

/// How long a node that is known may take until there is a connection.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

const SENT: u32 = 0;

/// The node is unknown, or down.
const UNKNOWN: u32 = 1;

/// Whether something can be sent to a node.
pub(super) enum Reached {
    Yes,
    Unknown,
    /// It is known, and there is no connection.
    No,
}

/// `lunatic::distributed::send` (ABI §8): sends the message in scratch to a process of a
/// node. Returns 0; 1 if the node is unknown or down; 9027 if there is no connection within
/// five seconds. The message stays in scratch unless the result is 0.
///
/// Traps on a node that is alone, without a data message, if the message had a resource, and
/// as `lunatic::message::send` does.
async fn send<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    node_id: u64,
    process_id: u64,
) -> Result<u32> {
    match reach_with_message(&mut caller, node_id).await? {
        Reached::Yes => {
            caller
                .data_mut()
                .mailbox()
                .send(Pid::from_bits(process_id))?;
            if caller.data().process().handle().is_held() {
                // It goes on when it may send again.
                caller.wait(future::yield_now()).await;
            }
            Ok(SENT)
        }
        Reached::Unknown => Ok(UNKNOWN),
        Reached::No => Ok(TIMED_OUT),
    }
}

/// `lunatic::distributed::send_receive_skip_search` (ABI §8): sends so, and waits for the
/// reply. Returns 0 with the reply in scratch, or 9027 after the time, or if there is no
/// connection within five seconds.
///
/// Traps as [`send`] does, if the node is unknown or down, and if its connection is lost
/// before the reply.
async fn send_receive_skip_search<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    node_id: u64,
    process_id: u64,
    wait_on_tag: i64,
    timeout: u64,
) -> Result<u32> {
    match reach_with_message(&mut caller, node_id).await? {
        Reached::Yes => {}
        Reached::No => return Ok(TIMED_OUT),
        Reached::Unknown => {
            let reason = format!("the node {node_id:016x} is unknown, or down");
            return Err(Misuse::refused(reason).into());
        }
    }
    let node = clustered(caller.data())?;
    let id = NodeId::from_bits(node_id);
    let session = node.sessions().with_node(id);
    let process = Pid::from_bits(process_id);
    let lost = Misuse::refused(format!(
        "the connection to the node of process {process} was lost before the reply"
    ));
    if session.is_none() && id != node.info().id {
        return Err(lost.into());
    }
    let reply = send_receive(caller, process, Tag::new(wait_on_tag), timeout);
    let lost = async move {
        match session {
            Some(session) => session.ended().await,
            // It is this node.
            None => future::pending().await,
        }
        Err(lost.into())
    };
    future::or(reply, lost).await
}

/// Checks that the message in scratch can leave this node, and waits for a connection.
async fn reach_with_message<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    node_id: u64,
) -> Result<Reached> {
    clustered(caller.data())?;
    if caller.data_mut().mailbox().data()?.had_resources() {
        let reason = "a message that has, or had, a resource is not sent to a named node";
        return Err(Misuse::refused(reason).into());
    }
    reach(caller, NodeId::from_bits(node_id)).await
}

/// Waits for a connection to a node that is known.
pub(super) async fn reach<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    id: NodeId,
) -> Result<Reached> {
    let node = clustered(caller.data())?;
    if id == node.info().id || node.sessions().with_node(id).is_some() {
        return Ok(Reached::Yes);
    }
    let reached = async {
        match node.is_known(id).await {
            false => Reached::Unknown,
            true => match node.connected(id, CONNECT_LIMIT).await {
                true => Reached::Yes,
                false => Reached::No,
            },
        }
    };
    Ok(caller.wait(reached).await)
}
