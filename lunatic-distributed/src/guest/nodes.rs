//! Which nodes there are, and what this one is (ABI §8.1).

use lunatic_abi::host_functions;
use lunatic_mailbox::NodeId;
use wasmtime::{Caller, Result};

use crate::guest::{DistributedHost, write_nodes};

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        fn nodes_count() -> u32;
        fn get_nodes(nodes_ptr: u32, nodes_len: u32) -> u32;
        fn node_id() -> u64;
        fn module_id() -> u64;
    }
}

/// `lunatic::distributed::nodes_count` (ABI §8): how many nodes can be reached, this one
/// included; 0 on a node that is alone.
fn nodes_count<T: DistributedHost>(caller: Caller<'_, T>) -> u32 {
    nodes(caller.data()).len() as u32
}

/// `lunatic::distributed::get_nodes` (ABI §8): writes up to `nodes_len` node ids, this one
/// first, and returns how many.
///
/// Traps on a bad address.
fn get_nodes<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    nodes_ptr: u32,
    nodes_len: u32,
) -> Result<u32> {
    let nodes = nodes(caller.data());
    write_nodes(&mut caller, nodes_ptr, nodes_len, &nodes)
}

/// `lunatic::distributed::node_id` (ABI §8): the id of this node, 0 while it is alone.
fn node_id<T: DistributedHost>(caller: Caller<'_, T>) -> u64 {
    let own = caller.data().process().handle();
    own.environment().node().to_bits()
}

/// `lunatic::distributed::module_id` (ABI §8): the number by which other processes name the
/// module of the caller; 0 on a node that is alone.
fn module_id<T: DistributedHost>(caller: Caller<'_, T>) -> u64 {
    let state = caller.data();
    match state.node() {
        Some(_) => state.module_number(state.process().incarnation().module()),
        None => 0,
    }
}

/// The nodes that can be reached and are not about to leave, this one first.
fn nodes<T: DistributedHost>(state: &T) -> Vec<NodeId> {
    let Some(node) = state.node() else {
        return Vec::new();
    };
    let sessions = node.sessions().all();
    let others = sessions.iter().filter(|session| !session.is_draining());
    let others = others.map(|session| session.node().id);
    std::iter::once(node.info().id).chain(others).collect()
}
