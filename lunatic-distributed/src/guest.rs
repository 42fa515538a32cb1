//! The namespace `lunatic::distributed` (ABI §8) on a node that is alone.

use lunatic_abi::{Misuse, host_functions};
use lunatic_process::guest::{ProcessHost, check_right_to_spawn};
use wasmtime::{Caller, Result};

/// The number of a module that no other node knows.
const LOCAL_MODULE: u64 = 0;

host_functions! {
    /// Registers `lunatic::distributed`, but for the signing of certificates.
    pub fn add_to_linker<T: ProcessHost>(Linker<T>);
    /// The functions of `lunatic::distributed`, but for the signing of certificates.
    pub const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        fn nodes_count() -> u32;
        fn get_nodes(nodes_ptr: u32, nodes_len: u32) -> u32;
        fn node_id() -> u64;
        fn module_id() -> u64;
        fn exec_lookup_nodes(
            query_ptr: u32, query_len: u32, query_id_ptr: u32, nodes_len_ptr: u32, error_ptr: u32
        ) -> u32;
        fn copy_lookup_nodes_results(
            query_id: u64, nodes_ptr: u32, nodes_len: u32, error_ptr: u32
        ) -> i32;
        fn spawn(
            node_id: u64, config_id: i64, module_id: u64, name_ptr: u32, name_len: u32,
            params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
        fn send(node_id: u64, process_id: u64) -> u32;
        fn send_receive_skip_search(
            node_id: u64, process_id: u64, wait_on_tag: i64, timeout: u64
        ) -> u32;
    }
}

/// `lunatic::distributed::nodes_count` (ABI §8): 0.
fn nodes_count<T: ProcessHost>(_: Caller<'_, T>) -> u32 {
    0
}

/// `lunatic::distributed::get_nodes` (ABI §8): writes nothing, returns 0.
fn get_nodes<T: ProcessHost>(_: Caller<'_, T>, _nodes_ptr: u32, _nodes_len: u32) -> u32 {
    0
}

/// `lunatic::distributed::module_id` (ABI §8).
fn module_id<T: ProcessHost>(_: Caller<'_, T>) -> u64 {
    LOCAL_MODULE
}

/// `lunatic::distributed::node_id` (ABI §8): the id of this node, 0 while it is alone.
fn node_id<T: ProcessHost>(caller: Caller<'_, T>) -> u64 {
    let own = caller.data().process().handle();
    own.environment().node().to_bits()
}

/// `lunatic::distributed::exec_lookup_nodes` (ABI §8). Traps: not distributed.
fn exec_lookup_nodes<T: ProcessHost>(
    _: Caller<'_, T>,
    _query_ptr: u32,
    _query_len: u32,
    _query_id_ptr: u32,
    _nodes_len_ptr: u32,
    _error_ptr: u32,
) -> Result<u32> {
    not_distributed()
}

/// `lunatic::distributed::copy_lookup_nodes_results` (ABI §8). Traps: not
/// distributed.
fn copy_lookup_nodes_results<T: ProcessHost>(
    _: Caller<'_, T>,
    _query_id: u64,
    _nodes_ptr: u32,
    _nodes_len: u32,
    _error_ptr: u32,
) -> Result<i32> {
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
fn send<T: ProcessHost>(_: Caller<'_, T>, _node_id: u64, _process_id: u64) -> Result<u32> {
    not_distributed()
}

/// `lunatic::distributed::send_receive_skip_search` (ABI §8). Traps: not
/// distributed.
fn send_receive_skip_search<T: ProcessHost>(
    _: Caller<'_, T>,
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
