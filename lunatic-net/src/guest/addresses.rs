//! Addresses as guests give them (ABI §6).

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use lunatic_abi::{Guest, Misuse};
use wasmtime::{Caller, Result};

use crate::config::NetConfig;
use crate::errors::ResolveError;
use crate::guest::NetHost;
use crate::resolver;
use crate::rules::{Action, Denied, destination};

/// The five arguments of an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressArguments {
    /// 4 or 6.
    kind: u32,
    ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
}

impl AddressArguments {
    /// Takes the arguments in the order in which all functions have them.
    pub(super) fn new(
        kind: u32,
        ptr: u32,
        port: u32,
        flow_info: u32,
        scope_id: u32,
    ) -> AddressArguments {
        AddressArguments {
            kind,
            ptr,
            port,
            flow_info,
            scope_id,
        }
    }
}

/// Why an address is not used.
#[derive(Debug)]
pub(super) enum Refusal {
    BadPort(BadPort),
    Denied(Denied),
    /// The system does not tell which address it is.
    Unknown(io::Error),
}

/// The error of a number that is no port. It is not cut to 16 bits, as that would be a
/// port that the guest has not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPort(u32);

pub(super) const V4: u32 = 4;
pub(super) const V6: u32 = 6;

/// Reads an address and checks that the process may do this with it. Returns the
/// address to use, which is the one that was checked.
///
/// Traps as [`read`] does.
pub(super) async fn permitted<T: NetHost>(
    caller: &mut Caller<'_, T>,
    action: Action,
    arguments: AddressArguments,
) -> Result<Result<SocketAddr, Refusal>> {
    let address = match read(caller, arguments)? {
        Ok(address) => address,
        Err(bad_port) => return Ok(Err(Refusal::BadPort(bad_port))),
    };
    let config = caller.data_mut().net().config().clone();
    match caller.wait(config.check(action, address, None)).await {
        Ok(()) if action == Action::Connect => Ok(Ok(destination(address))),
        Ok(()) => Ok(Ok(address)),
        Err(denied) => Ok(Err(Refusal::Denied(denied))),
    }
}

/// Checks the address that a socket was bound to, if the system has chosen its port.
pub(super) async fn check_bound(
    config: &NetConfig,
    asked: SocketAddr,
    bound: io::Result<SocketAddr>,
) -> Result<(), Refusal> {
    if asked.port() != 0 {
        return Ok(());
    }
    let bound = bound.map_err(Refusal::Unknown)?;
    config.check_bound(bound).await.map_err(Refusal::Denied)
}

/// Reads an address.
///
/// Traps on another kind than 4 and 6, and on a bad address of the octets.
fn read<T: NetHost>(
    caller: &mut Caller<'_, T>,
    arguments: AddressArguments,
) -> Result<Result<SocketAddr, BadPort>> {
    let AddressArguments {
        kind,
        ptr,
        port,
        flow_info,
        scope_id,
    } = arguments;
    let ip: IpAddr = match kind {
        V4 => octets::<4, T>(caller, ptr)?.into(),
        V6 => octets::<16, T>(caller, ptr)?.into(),
        other => {
            let reason = format!("{other} is not a kind of address; there are 4 and 6");
            return Err(Misuse::refused(reason).into());
        }
    };
    Ok(read_port(port).map(|port| match ip {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, flow_info, scope_id).into(),
    }))
}

/// Reads the name of a host, or returns the error that it is longer than any may be; it
/// is not looked at then.
///
/// Traps on a bad address, and text that is not UTF-8.
pub(super) fn name<T: NetHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
    max: usize,
) -> Result<Result<String, ResolveError>> {
    if len as usize > max {
        caller.bytes(ptr, len)?;
        return Ok(Err(resolver::too_long("", max)));
    }
    Ok(Ok(caller.text_within(ptr, len, max)?.to_owned()))
}

/// Reads a port.
pub(super) fn read_port(port: u32) -> Result<u16, BadPort> {
    port.try_into().map_err(|_| BadPort(port))
}

fn octets<const N: usize, T: NetHost>(caller: &mut Caller<'_, T>, ptr: u32) -> Result<[u8; N]> {
    Ok(caller.records::<N>(ptr, 1)?[0])
}

impl fmt::Display for BadPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a port; the highest is {}", self.0, u16::MAX)
    }
}

impl Error for BadPort {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::BadPort(error) => error.fmt(f),
            Refusal::Denied(error) => error.fmt(f),
            Refusal::Unknown(error) => error.fmt(f),
        }
    }
}

impl Error for Refusal {}
