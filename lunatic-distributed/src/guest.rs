//! The namespace `lunatic::distributed` (ABI §8).

mod lookups;
mod requests;
mod sending;
mod spawning;

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_engine::Module;
use lunatic_mailbox::NodeId;
use lunatic_process::guest::ProcessHost;
use std::sync::Arc;
use wasmtime::{Caller, Result};

use crate::node::Node;

pub use crate::guest::lookups::Lookups;
pub use crate::guest::requests::{NodeRequest, NodeResponse, SpawnRequest};

/// What the state of a process offers to `lunatic::distributed`.
pub trait DistributedHost: ProcessHost {
    /// Returns the node, if it belongs to a cluster.
    fn node(&self) -> Option<&Node>;

    /// Returns the results of lookups that the process has not fetched yet.
    fn lookups(&mut self) -> &mut Lookups;

    /// Returns the number by which processes of other nodes name a module of this one, and
    /// keeps the module for them.
    fn module_number(&self, module: &Module<Self>) -> u64;

    /// Returns the module of this node that has a number.
    fn module_of_number(&self, number: u64) -> Option<Module<Self>>;

    /// Returns a config in the form in which it crosses to another node.
    fn encode_config(&self, config: &Arc<Self::Config>) -> Vec<u8>;
}

host_functions! {
    /// Registers `lunatic::distributed`, but for the signing of certificates.
    pub fn add_to_linker<T: DistributedHost>(Linker<T>);
    /// The functions of `lunatic::distributed`, but for the signing of certificates.
    pub const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        fn nodes_count() -> u32;
        fn get_nodes(nodes_ptr: u32, nodes_len: u32) -> u32;
        fn node_id() -> u64;
        fn module_id() -> u64;
    }

    use lookups, spawning, sending;
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

/// The nodes that can be reached, this one first.
fn nodes<T: DistributedHost>(state: &T) -> Vec<NodeId> {
    let Some(node) = state.node() else {
        return Vec::new();
    };
    let sessions = node.sessions().all();
    let others = sessions.iter().map(|session| session.node().id);
    std::iter::once(node.info().id).chain(others).collect()
}

/// Writes up to `len` ids, and returns how many.
fn write_nodes<T: DistributedHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
    nodes: &[NodeId],
) -> Result<u32> {
    caller.records::<8>(ptr, len)?;
    let count = nodes.len().min(len as usize);
    let bytes: Vec<u8> = nodes[..count]
        .iter()
        .flat_map(|node| node.to_bits().to_le_bytes())
        .collect();
    caller.write(ptr, &bytes)?;
    Ok(count as u32)
}

/// The node of a caller.
///
/// # Errors
///
/// Traps if it is alone.
fn clustered<T: DistributedHost>(state: &T) -> Result<Node, Misuse> {
    state.node().cloned().ok_or_else(|| {
        Misuse::refused("this node is alone: it is not part of a distributed system")
    })
}
