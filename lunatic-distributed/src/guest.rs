//! The namespaces `lunatic::distributed` (ABI §8 and §30) and `lunatic::global` (ABI §29).

mod global;
mod lookups;
mod nodes;
mod requests;
mod sending;
mod spawning;
mod watching;

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_engine::Module;
use lunatic_mailbox::NodeId;
use lunatic_process::guest::ProcessHost;
use std::sync::Arc;
use wasmtime::{Caller, Result};

use crate::node::Node;

pub use crate::guest::lookups::Lookups;
pub use crate::guest::requests::{MAX_CONFIG_BYTES, NodeRequest, NodeResponse, SpawnRequest};

/// What the state of a process offers to `lunatic::distributed` and `lunatic::global`.
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
    /// Registers `lunatic::distributed`, but for the signing of certificates, and
    /// `lunatic::global`.
    pub fn add_to_linker<T: DistributedHost>(Linker<T>);
    /// The functions of `lunatic::distributed`, but for the signing of certificates, and of
    /// `lunatic::global`.
    pub const HOST_FUNCTIONS;

    use nodes, lookups, spawning, sending, watching, global;
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
