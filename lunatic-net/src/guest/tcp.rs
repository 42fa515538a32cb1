//! TCP listeners and streams (ABI §6.2, §6.3, §4).

use lunatic_abi::{Guest, SharedCaller, Timeout, host_functions};
use wasmtime::{Caller, Result};

use crate::guest::addresses::{self, AddressArguments};
use crate::guest::reports::{counted_unless_interrupted, keep, reserve, timed_out};
use crate::guest::sockets::with_buffer;
use crate::guest::{NetHost, binding, listeners, sockets, streams};
use crate::{Action, TcpListener, TcpStream};

host_functions! {
    pub(super) fn add_to_linker<T: NetHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::networking" {
        async fn tcp_bind(
            kind: u32, address_ptr: u32, port: u32, flow_info: u32, scope_id: u32, id_ptr: u32
        ) -> u32 = binding::bind_plain::<T, TcpListener>;
        fn drop_tcp_listener(id: u64) = sockets::drop::<T, TcpListener>;
        fn tcp_local_addr(id: u64, id_ptr: u32) -> u32 = listeners::local_addr::<T, TcpListener>;
        async fn tcp_accept(id: u64, id_ptr: u32, peer_ptr: u32) -> u32
            = listeners::accept::<T, TcpListener>;

        async fn tcp_connect(
            kind: u32, address_ptr: u32, port: u32, flow_info: u32, scope_id: u32,
            timeout: u64, id_ptr: u32
        ) -> u32;
        fn tcp_peer_addr(id: u64, id_ptr: u32) -> u32;
        fn drop_tcp_stream(id: u64) = sockets::drop::<T, TcpStream>;
        fn clone_tcp_stream(id: u64) -> u64 = sockets::clone::<T, TcpStream>;
        async fn tcp_read(id: u64, ptr: u32, len: u32, opaque_ptr: u32) -> u32
            = streams::read::<T, TcpStream>;
        async fn tcp_write_vectored(
            id: u64, vector_ptr: u32, vector_len: u32, opaque_ptr: u32
        ) -> u32 = streams::write_vectored::<T, TcpStream>;
        async fn tcp_flush(id: u64, error_ptr: u32) -> u32 = streams::flush::<T, TcpStream>;
        async fn tcp_peek(id: u64, ptr: u32, len: u32, opaque_ptr: u32) -> u32;
        fn set_read_timeout(id: u64, millis: u64);
        fn get_read_timeout(id: u64) -> u64;
        fn set_write_timeout(id: u64, millis: u64);
        fn get_write_timeout(id: u64) -> u64;
        fn set_peek_timeout(id: u64, millis: u64);
        fn get_peek_timeout(id: u64) -> u64;
    }
    in "lunatic::message" {
        fn push_tcp_stream(id: u64) -> u64 = sockets::push::<T, TcpStream>;
        fn take_tcp_stream(index: u64) -> u64 = sockets::take::<T, TcpStream>;
    }
}

/// `lunatic::networking::tcp_connect` (ABI §6.3). Returns 0 with a stream id, or
/// 1 or 9027 with an error id, at `id_ptr`.
///
/// Traps on a bad kind of address, or a bad address in memory.
async fn tcp_connect<T: NetHost>(
    mut caller: Caller<'_, T>,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    timeout: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let address = match addresses::permitted(&mut caller, Action::Connect, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let descriptor = match reserve(&mut caller) {
        Ok(descriptor) => descriptor,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let connecting = Timeout::from_millis(timeout).limit(TcpStream::connect(address));
    match caller.wait(connecting).await {
        Some(Ok(stream)) => keep(&mut caller, stream, descriptor, id_ptr),
        Some(Err(error)) => caller.report(id_ptr, &error),
        None => timed_out(&mut caller, format!("connect to {address}"), id_ptr),
    }
}

/// `lunatic::networking::tcp_peer_addr` (ABI §6.3). Returns 0 with an iterator
/// id, or 1 with an error id, at `id_ptr`.
///
/// Traps on an unknown id, or a bad address.
fn tcp_peer_addr<T: NetHost>(caller: Caller<'_, T>, id: u64, id_ptr: u32) -> Result<u32> {
    sockets::tell_address(caller, id, id_ptr, TcpStream::peer_addr)
}

/// `lunatic::networking::tcp_peek` (ABI §6.3): waits for bytes and copies what
/// fits; the next read finds them still. Returns 0 with how many, or 1 with an
/// error id, at `opaque_ptr`, or 9027, also if the wait is interrupted.
///
/// Traps on an unknown id, or a bad address.
async fn tcp_peek<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let stream: TcpStream = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let peeking =
        stream.peek_with(|source| source.read(streams::buffer(&mut shared.lock(), ptr, len)?));
    let outcome = shared.wait_interruptible(peeking).await;
    counted_unless_interrupted(&mut caller, outcome, opaque_ptr)
}

/// `lunatic::networking::set_read_timeout` (ABI §6.3).
fn set_read_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64, millis: u64) -> Result<()> {
    streams::set_timeout(caller, id, millis, TcpStream::set_read_timeout)
}

/// `lunatic::networking::get_read_timeout` (ABI §6.3).
fn get_read_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64) -> Result<u64> {
    streams::get_timeout(caller, id, TcpStream::read_timeout)
}

/// `lunatic::networking::set_write_timeout` (ABI §6.3).
fn set_write_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64, millis: u64) -> Result<()> {
    streams::set_timeout(caller, id, millis, TcpStream::set_write_timeout)
}

/// `lunatic::networking::get_write_timeout` (ABI §6.3).
fn get_write_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64) -> Result<u64> {
    streams::get_timeout(caller, id, TcpStream::write_timeout)
}

/// `lunatic::networking::set_peek_timeout` (ABI §6.3).
fn set_peek_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64, millis: u64) -> Result<()> {
    streams::set_timeout(caller, id, millis, TcpStream::set_peek_timeout)
}

/// `lunatic::networking::get_peek_timeout` (ABI §6.3).
fn get_peek_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64) -> Result<u64> {
    streams::get_timeout(caller, id, TcpStream::peek_timeout)
}
