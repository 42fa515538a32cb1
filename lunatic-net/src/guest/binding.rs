//! Binding addresses (ABI §6.2, §6.4, §6.5).

use std::net::{self, SocketAddr};
use std::sync::Arc;

use lunatic_abi::{Guest, Misuse};
use wasmtime::{Caller, Result};

use crate::errors::BindError;
use crate::guest::NetHost;
use crate::guest::addresses::{self, AddressArguments, Refusal};
use crate::guest::reports::{keep, reserve};
use crate::guest::sockets::Socket;
use crate::listeners::{BACKLOG, BACKLOG_OF_BRANCH, Bound, Kind};
use crate::{Action, TcpListener, UdpSocket};

/// A kind of socket that is made from nothing but an address.
pub(super) trait Bind: Socket {
    type System: Kind;

    fn of(bound: Arc<Bound<Self::System>>) -> Self;
}

/// Shared by the `…_bind` functions but that of TLS: returns 0 with an id, or 1
/// with an error id, at `id_ptr`.
///
/// Traps on a bad kind of address, a bad address in memory, or as [`bind`] does.
pub(super) async fn bind_plain<T: NetHost, S: Bind>(
    mut caller: Caller<'_, T>,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let address = match addresses::permitted(&mut caller, Action::Bind, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let descriptor = match reserve(&mut caller) {
        Ok(descriptor) => descriptor,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let bound = match bind(&mut caller, address)? {
        Ok(bound) => bound,
        Err(error) => return caller.report(id_ptr, &error),
    };
    match check(&mut caller, address, &bound).await {
        Ok(()) => keep(&mut caller, S::of(bound), descriptor, id_ptr),
        Err(refusal) => caller.report(id_ptr, &refusal),
    }
}

/// Binds an address, which is permitted. New code of a process that has not accepted it
/// yet gets the socket that the process has bound there.
///
/// Traps if there is none, as there never is one whose port is left to the system: others could
/// find a port that is open for a moment.
pub(super) fn bind<T: NetHost, S: Kind>(
    caller: &mut Caller<'_, T>,
    address: SocketAddr,
) -> Result<Result<Arc<Bound<S>>, BindError>> {
    let owner = caller.data_mut().net().owner();
    let is_attempt = caller.data_mut().net().is_attempt();
    let listeners = caller.data().listeners();
    if !is_attempt {
        let backlog = match caller.data().account().is_branch() {
            true => BACKLOG_OF_BRANCH,
            false => BACKLOG,
        };
        return Ok(listeners.bind(owner, address, backlog));
    }
    let refused = || {
        Misuse::refused(format!(
            "a process that is being reloaded can bind only what it has bound already \
             until it accepts; that is not so for {address}"
        ))
    };
    Ok(Ok(listeners
        .bound_by(owner, address)
        .ok_or_else(refused)?))
}

/// Checks the address that a socket was bound to, if the system has chosen its port.
pub(super) async fn check<T: NetHost, S: Kind>(
    caller: &mut Caller<'_, T>,
    asked: SocketAddr,
    bound: &Bound<S>,
) -> std::result::Result<(), Refusal> {
    let config = caller.data_mut().net().config().clone();
    let checked = addresses::check_bound(&config, asked, bound.local_addr());
    caller.wait(checked).await
}

impl Bind for TcpListener {
    type System = net::TcpListener;

    fn of(bound: Arc<Bound<net::TcpListener>>) -> TcpListener {
        TcpListener::of(bound)
    }
}

impl Bind for UdpSocket {
    type System = net::UdpSocket;

    fn of(bound: Arc<Bound<net::UdpSocket>>) -> UdpSocket {
        UdpSocket::of(bound)
    }
}
