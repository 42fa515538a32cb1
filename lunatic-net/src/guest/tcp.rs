//! TCP listeners and streams (ABI §6.2, §6.3, §4).

use lunatic_abi::{Guest, Timeout};
use lunatic_mailbox::guest as messages;
use wasmtime::{Caller, Linker, Result};

use crate::guest::addresses::{self, AddressArguments};
use crate::guest::dns::tell;
use crate::guest::reports::{counted, keep, timed_out};
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
    add_listeners(linker)?;
    add_streams(linker)?;
    add_transfers(linker)?;
    add_limit(linker, "read_timeout", &READ)?;
    add_limit(linker, "write_timeout", &WRITE)?;
    add_limit(linker, "peek_timeout", &PEEK)
}

fn add_listeners<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap_async(
        NAMESPACE,
        "tcp_bind",
        |caller, (kind, ptr, port, flow_info, scope_id, id_ptr)| {
            let address = AddressArguments {
                kind,
                ptr,
                port,
                flow_info,
                scope_id,
            };
            Box::new(tcp_bind(caller, address, id_ptr))
        },
    )?;
    let drop = sockets::drop::<T, TcpListener>;
    linker.func_wrap(NAMESPACE, "drop_tcp_listener", drop)?;
    let local_addr = listeners::local_addr::<T, TcpListener>;
    linker.func_wrap(NAMESPACE, "tcp_local_addr", local_addr)?;
    linker.func_wrap_async(NAMESPACE, "tcp_accept", |caller, (id, id_ptr, peer_ptr)| {
        Box::new(listeners::accept::<T, TcpListener>(
            caller, id, id_ptr, peer_ptr,
        ))
    })?;
    Ok(())
}

fn add_streams<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap_async(
        NAMESPACE,
        "tcp_connect",
        |caller, (kind, ptr, port, flow_info, scope_id, timeout, id_ptr)| {
            let address = AddressArguments {
                kind,
                ptr,
                port,
                flow_info,
                scope_id,
            };
            Box::new(tcp_connect(caller, address, timeout, id_ptr))
        },
    )?;
    linker.func_wrap(NAMESPACE, "tcp_peer_addr", tcp_peer_addr)?;
    let drop = sockets::drop::<T, TcpStream>;
    linker.func_wrap(NAMESPACE, "drop_tcp_stream", drop)?;
    let clone = sockets::clone::<T, TcpStream>;
    linker.func_wrap(NAMESPACE, "clone_tcp_stream", clone)?;
    let push = sockets::push::<T, TcpStream>;
    linker.func_wrap(messages::NAMESPACE, "push_tcp_stream", push)?;
    let take = sockets::take::<T, TcpStream>;
    linker.func_wrap(messages::NAMESPACE, "take_tcp_stream", take)?;
    Ok(())
}

fn add_transfers<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap_async(
        NAMESPACE,
        "tcp_write_vectored",
        |caller, (id, vector_ptr, vector_len, opaque_ptr)| {
            Box::new(streams::write_vectored::<T, TcpStream>(
                caller, id, vector_ptr, vector_len, opaque_ptr,
            ))
        },
    )?;
    linker.func_wrap_async(NAMESPACE, "tcp_read", |caller, (id, ptr, len, opaque)| {
        Box::new(streams::read::<T, TcpStream>(caller, id, ptr, len, opaque))
    })?;
    linker.func_wrap_async(NAMESPACE, "tcp_peek", |caller, (id, ptr, len, opaque)| {
        Box::new(tcp_peek(caller, id, ptr, len, opaque))
    })?;
    linker.func_wrap_async(NAMESPACE, "tcp_flush", |caller, (id, error_ptr)| {
        Box::new(streams::flush::<T, TcpStream>(caller, id, error_ptr))
    })?;
    Ok(())
}

/// `lunatic::networking::tcp_bind` (ABI §6.2): listens at an address. Returns 0
/// with a listener id, or 1 with an error id, at `id_ptr`.
///
/// Traps on a bad kind of address, or a bad address in memory.
async fn tcp_bind<T: NetHost>(
    mut caller: Caller<'_, T>,
    address: AddressArguments,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = match addresses::permitted(&mut caller, Action::Bind, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    match TcpListener::bind(address).await {
        Ok(listener) => keep(&mut caller, listener, id_ptr),
        Err(error) => caller.report(id_ptr, &error),
    }
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
fn tcp_peer_addr<T: NetHost>(mut caller: Caller<'_, T>, id: u64, id_ptr: u32) -> Result<u32> {
    let stream: TcpStream = caller.data_mut().net().socket(id)?;
    tell(&mut caller, stream.peer_addr(), id_ptr)
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
    let stream: TcpStream = caller.data_mut().net().socket(id)?;
    caller.bytes(ptr, len)?;
    caller.check_id_ptr(opaque_ptr)?;
    let outcome = stream
        .peek_with(|source| source.read(streams::buffer(&mut caller, ptr, len)?))
        .await;
    counted(&mut caller, outcome, opaque_ptr)
}
