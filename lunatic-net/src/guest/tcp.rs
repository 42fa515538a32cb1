//! TCP listeners and streams (ABI §6.2, §6.3, §4).

use lunatic_abi::{Guest, Timeout};
use wasmtime::{Caller, Linker, Result};

use crate::guest::addresses::{self, AddressArguments};
use crate::guest::reports::{counted, keep, timed_out};
use crate::guest::sockets::with_buffer;
use crate::guest::streams::{self, Limit, add_limit};
use crate::guest::{NAMESPACE, NetHost, listeners, sockets};
use crate::{Action, TcpListener, TcpStream};

const READ: Limit<TcpStream> = Limit {
    get: TcpStream::read_timeout,
    set: TcpStream::set_read_timeout,
};

const WRITE: Limit<TcpStream> = Limit {
    get: TcpStream::write_timeout,
    set: TcpStream::set_write_timeout,
};

const PEEK: Limit<TcpStream> = Limit {
    get: TcpStream::peek_timeout,
    set: TcpStream::set_peek_timeout,
};

pub(super) fn add_to_linker<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap_async(
        NAMESPACE,
        "tcp_bind",
        |caller, (kind, ptr, port, flow_info, scope_id, id_ptr)| {
            let address = AddressArguments::new(kind, ptr, port, flow_info, scope_id);
            Box::new(sockets::bind::<T, TcpListener>(caller, address, id_ptr))
        },
    )?;
    listeners::add_to_linker::<T, TcpListener>(linker, "tcp")?;
    linker.func_wrap_async(
        NAMESPACE,
        "tcp_connect",
        |caller, (kind, ptr, port, flow_info, scope_id, timeout, id_ptr)| {
            let address = AddressArguments::new(kind, ptr, port, flow_info, scope_id);
            Box::new(tcp_connect(caller, address, timeout, id_ptr))
        },
    )?;
    linker.func_wrap(NAMESPACE, "tcp_peer_addr", tcp_peer_addr)?;
    sockets::add_handles::<T, TcpStream>(linker, "tcp_stream")?;
    streams::add_to_linker::<T, TcpStream>(linker, "tcp")?;
    linker.func_wrap_async(NAMESPACE, "tcp_peek", |caller, (id, ptr, len, opaque)| {
        Box::new(tcp_peek(caller, id, ptr, len, opaque))
    })?;
    add_limit(linker, "read_timeout", &READ)?;
    add_limit(linker, "write_timeout", &WRITE)?;
    add_limit(linker, "peek_timeout", &PEEK)
}

/// `lunatic::networking::tcp_connect` (ABI §6.3). Returns 0 with a stream id, or
/// 1 or 9027 with an error id, at `id_ptr`.
///
/// Traps on a bad kind of address, or a bad address in memory.
async fn tcp_connect<T: NetHost>(
    mut caller: Caller<'_, T>,
    address: AddressArguments,
    timeout: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = match addresses::permitted(&mut caller, Action::Connect, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    if let Err(error) = caller.data_mut().net().check_room() {
        return caller.report(id_ptr, &error);
    }
    let connecting = TcpStream::connect(address);
    match Timeout::from_millis(timeout).limit(connecting).await {
        Some(Ok(stream)) => keep(&mut caller, stream, id_ptr),
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
/// error id, at `opaque_ptr`, or 9027.
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
    let outcome = stream
        .peek_with(|source| source.read(streams::buffer(&mut caller, ptr, len)?))
        .await;
    counted(&mut caller, outcome, opaque_ptr)
}
