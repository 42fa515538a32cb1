//! The namespace `lunatic::distributed` (ABI §8) on a node that is alone.

use lunatic_abi::Misuse;
use lunatic_process::guest::{ProcessHost, check_right_to_spawn};
use wasmtime::{Caller, Linker, Result};

const NAMESPACE: &str = "lunatic::distributed";

/// The number of a module that no other node knows.
const LOCAL_MODULE: u64 = 0;

/// Registers `lunatic::distributed`, but for the signing of certificates.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: ProcessHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(NAMESPACE, "nodes_count", || 0u32)?;
    linker.func_wrap(
        NAMESPACE,
        "get_nodes",
        |_nodes_ptr: u32, _nodes_len: u32| 0u32,
    )?;
    linker.func_wrap(NAMESPACE, "node_id", node_id)?;
    linker.func_wrap(NAMESPACE, "module_id", || LOCAL_MODULE)?;
    linker.func_wrap(NAMESPACE, "exec_lookup_nodes", exec_lookup_nodes)?;
    linker.func_wrap(
        NAMESPACE,
        "copy_lookup_nodes_results",
        copy_lookup_nodes_results,
    )?;
    linker.func_wrap(NAMESPACE, "spawn", spawn::<T>)?;
    linker.func_wrap(NAMESPACE, "send", send)?;
    linker.func_wrap(
        NAMESPACE,
        "send_receive_skip_search",
        send_receive_skip_search,
    )?;
    Ok(())
}

/// `lunatic::distributed::node_id` (ABI §8): the id of this node, 0 while it is alone.
fn node_id<T: ProcessHost>(caller: Caller<'_, T>) -> u64 {
    let own = caller.data().process().handle();
    own.environment().node().to_bits()
}

/// `lunatic::distributed::exec_lookup_nodes` (ABI §8). Traps: not distributed.
fn exec_lookup_nodes(_query: u32, _len: u32, _id: u32, _count: u32, _error: u32) -> Result<u32> {
    not_distributed()
}

/// `lunatic::distributed::copy_lookup_nodes_results` (ABI §8). Traps: not
/// distributed.
fn copy_lookup_nodes_results(_query: u64, _nodes: u32, _len: u32, _error: u32) -> Result<i32> {
    not_distributed()
}

/// `lunatic::distributed::spawn` (ABI §8). Traps: without the right to spawn, and
/// not distributed.
fn spawn<T: ProcessHost>(
    caller: Caller<'_, T>,
    _node_id: u64,
    _config_id: i64,
    _module_id: u64,
    _name_ptr: u32,
    _name_len: u32,
    _params_ptr: u32,
    _params_len: u32,
    _id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    not_distributed()
}

/// `lunatic::distributed::send` (ABI §8). Traps: not distributed.
fn send(_node_id: u64, _process_id: u64) -> Result<u32> {
    not_distributed()
}

/// `lunatic::distributed::send_receive_skip_search` (ABI §8). Traps: not
/// distributed.
fn send_receive_skip_search(
    _node_id: u64,
    _process_id: u64,
    _wait_on_tag: i64,
    _timeout: u64,
) -> Result<u32> {
    not_distributed()
}

fn not_distributed<R>() -> Result<R> {
    Err(Misuse::refused("this node is alone: it is not part of a distributed system").into())
}
