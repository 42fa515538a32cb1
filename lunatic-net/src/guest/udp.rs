//! UDP sockets (ABI §6.5, §4).

use std::io::{self, ErrorKind};

use lunatic_abi::{Guest, Misuse, SharedCaller, Timeout, host_functions};
use wasmtime::{Caller, Result};

use crate::guest::addresses::{self, AddressArguments};
use crate::guest::dns::tell;
use crate::guest::reports::{Interrupted, counted, timed_out};
use crate::guest::sockets::with_buffer;
use crate::guest::streams::buffer;
use crate::guest::{NetHost, binding, sockets};
use crate::{Action, UdpSocket};

host_functions! {
    pub(super) fn add_to_linker<T: NetHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::networking" {
        async fn udp_bind(
            kind: u32, address_ptr: u32, port: u32, flow_info: u32, scope_id: u32, id_ptr: u32
        ) -> u32 = binding::bind_plain::<T, UdpSocket>;
        fn drop_udp_socket(id: u64) = sockets::drop::<T, UdpSocket>;
        fn clone_udp_socket(id: u64) -> u64 = sockets::clone::<T, UdpSocket>;
        fn udp_local_addr(id: u64, id_ptr: u32) -> u32;
        fn udp_peer_addr(id: u64, id_ptr: u32) -> u32;
        async fn udp_connect(
            id: u64, kind: u32, address_ptr: u32, port: u32, flow_info: u32, scope_id: u32,
            timeout: u64, id_ptr: u32
        ) -> u32;
        async fn udp_send(id: u64, ptr: u32, len: u32, opaque_ptr: u32) -> u32;
        async fn udp_send_to(
            id: u64, ptr: u32, len: u32, kind: u32, address_ptr: u32, port: u32,
            flow_info: u32, scope_id: u32, opaque_ptr: u32
        ) -> u32;
        async fn udp_receive(id: u64, ptr: u32, len: u32, opaque_ptr: u32) -> u32;
        async fn udp_receive_from(
            id: u64, ptr: u32, len: u32, opaque_ptr: u32, peer_ptr: u32
        ) -> u32;
        fn set_udp_socket_broadcast(id: u64, broadcast: u32);
        fn get_udp_socket_broadcast(id: u64) -> u32;
        fn set_udp_socket_ttl(id: u64, ttl: u32);
        fn get_udp_socket_ttl(id: u64) -> u32;
    }
    in "lunatic::message" {
        fn push_udp_socket(id: u64) -> u64 = sockets::push::<T, UdpSocket>;
        fn take_udp_socket(index: u64) -> u64 = sockets::take::<T, UdpSocket>;
    }
}

/// `lunatic::networking::udp_local_addr` (ABI §6.5). Returns 0 with an iterator
/// id, or 1 with an error id, at `id_ptr`.
///
/// Traps on an unknown id, or a bad address.
fn udp_local_addr<T: NetHost>(caller: Caller<'_, T>, id: u64, id_ptr: u32) -> Result<u32> {
    sockets::tell_address(caller, id, id_ptr, UdpSocket::local_addr)
}

/// `lunatic::networking::udp_peer_addr` (ABI §6.5). Returns 0 with an iterator
/// id, or 1 if it is not connected, or 2, with an error id, at `id_ptr`.
///
/// Traps on an unknown id, or a bad address.
fn udp_peer_addr<T: NetHost>(mut caller: Caller<'_, T>, id: u64, id_ptr: u32) -> Result<u32> {
    const OTHER_ERROR: u32 = 2;
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    match socket.peer_addr() {
        Err(error) if error.kind() != ErrorKind::NotConnected => {
            caller.report(id_ptr, &error)?;
            Ok(OTHER_ERROR)
        }
        address => tell(&mut caller, address, id_ptr),
    }
}

/// `lunatic::networking::udp_connect` (ABI §6.5): sets whom `udp_send` sends to.
/// Returns 0 with a 0, or 1 or 9027 with an error id, at `id_ptr`.
///
/// Traps on an unknown id, a bad kind of address, or a bad address in memory.
async fn udp_connect<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    timeout: u64,
    id_ptr: u32,
) -> Result<u32> {
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    caller.check_id_ptr(id_ptr)?;
    let address = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let permitted = addresses::permitted(&mut caller, Action::Connect, address);
    let address = match Timeout::from_millis(timeout).limit(permitted).await {
        Some(permitted) => permitted?,
        None => return timed_out(&mut caller, "connect a UDP socket".into(), id_ptr),
    };
    let address = match address {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    caller.answer_id(id_ptr, socket.connect(address).map(|()| 0))
}

/// `lunatic::networking::udp_send` (ABI §6.5): sends a datagram to the peer that
/// the socket is connected to. Returns 0 with its length, or 1 with an error id,
/// at `opaque_ptr`.
///
/// Traps on an unknown id, or a bad address.
async fn udp_send<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let socket: UdpSocket = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let sending = socket.send_with(|socket| socket.send(buffer(&mut shared.lock(), ptr, len)?));
    let outcome = shared.wait(sending).await;
    counted(&mut caller, outcome.map_err(Into::into), opaque_ptr)
}

/// `lunatic::networking::udp_send_to` (ABI §6.5): sends a datagram. Returns 0
/// with its length, or 1 with an error id, at `opaque_ptr`.
///
/// Traps on an unknown id, a bad kind of address, or a bad address in memory.
async fn udp_send_to<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let socket: UdpSocket = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    let peer = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let peer = match addresses::permitted(&mut caller, Action::Connect, peer).await? {
        Ok(peer) => peer,
        Err(refusal) => return caller.report(opaque_ptr, &refusal),
    };
    let shared = SharedCaller::new(&mut caller);
    let sending =
        socket.send_with(|socket| socket.send_to(buffer(&mut shared.lock(), ptr, len)?, peer));
    let outcome = shared.wait(sending).await;
    counted(&mut caller, outcome.map_err(Into::into), opaque_ptr)
}

/// `lunatic::networking::udp_receive` (ABI §6.5): waits for a datagram; what
/// does not fit is cut off. Returns 0 with how many bytes came, or 1 with an
/// error id, at `opaque_ptr`, also if the wait is interrupted.
///
/// Traps on an unknown id, or a bad address.
async fn udp_receive<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let socket: UdpSocket = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let receiving =
        socket.receive_with(|socket| socket.recv(buffer(&mut shared.lock(), ptr, len)?));
    match shared.wait_interruptible(receiving).await {
        Some(outcome) => counted(&mut caller, outcome.map_err(Into::into), opaque_ptr),
        None => caller.report(opaque_ptr, &Interrupted),
    }
}

/// `lunatic::networking::udp_receive_from` (ABI §6.5): as `udp_receive`, and
/// with the sender's address, as an iterator, at `peer_ptr`.
///
/// Traps on an unknown id, or a bad address.
async fn udp_receive_from<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
    peer_ptr: u32,
) -> Result<u32> {
    let socket: UdpSocket = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    caller.check_id_ptr(peer_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let receiving =
        socket.receive_with(|socket| socket.recv_from(buffer(&mut shared.lock(), ptr, len)?));
    match shared.wait_interruptible(receiving).await {
        Some(Ok((count, peer))) => {
            tell(&mut caller, Ok(peer), peer_ptr)?;
            counted(&mut caller, Ok(count), opaque_ptr)
        }
        Some(Err(error)) => caller.report(opaque_ptr, &error),
        None => caller.report(opaque_ptr, &Interrupted),
    }
}

/// `lunatic::networking::set_udp_socket_broadcast` (ABI §6.5): 0 is off.
///
/// Traps on an unknown id, and if the system refuses.
fn set_udp_socket_broadcast<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    broadcast: u32,
) -> Result<()> {
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    socket
        .set_broadcast(broadcast != 0)
        .map_err(|error| option_refused("broadcast", &error))
}

/// `lunatic::networking::get_udp_socket_broadcast` (ABI §6.5): 1 is on.
///
/// Traps on an unknown id, and if the system refuses.
fn get_udp_socket_broadcast<T: NetHost>(mut caller: Caller<'_, T>, id: u64) -> Result<u32> {
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    match socket.broadcast() {
        Ok(broadcast) => Ok(u32::from(broadcast)),
        Err(error) => Err(option_refused("broadcast", &error)),
    }
}

/// `lunatic::networking::set_udp_socket_ttl` (ABI §6.5): how many hops a
/// datagram may take.
///
/// Traps on an unknown id, and if the system refuses, as it does above 255.
fn set_udp_socket_ttl<T: NetHost>(mut caller: Caller<'_, T>, id: u64, ttl: u32) -> Result<()> {
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    socket
        .set_ttl(ttl)
        .map_err(|error| option_refused("time to live", &error))
}

/// `lunatic::networking::get_udp_socket_ttl` (ABI §6.5).
///
/// Traps on an unknown id, and if the system refuses.
fn get_udp_socket_ttl<T: NetHost>(mut caller: Caller<'_, T>, id: u64) -> Result<u32> {
    let socket: UdpSocket = caller.data_mut().net().socket(id)?;
    socket
        .ttl()
        .map_err(|error| option_refused("time to live", &error))
}

fn option_refused(option: &str, error: &io::Error) -> wasmtime::Error {
    Misuse::refused(format!("the {option} of a UDP socket: {error}")).into()
}
