//! TLS listeners and streams (ABI §6.4, §4).

use std::error::Error;
use std::net::IpAddr;

use lunatic_abi::{Guest, Misuse, Timeout};
use wasmtime::{Caller, Linker, Result};

use crate::config::NetConfig;
use crate::guest::addresses::{self, AddressArguments};
use crate::guest::certificates;
use crate::guest::reports::{keep, timed_out};
use crate::guest::streams::{self, Limit, add_limit};
use crate::guest::{NAMESPACE, NetHost, listeners, sockets};
use crate::resolver::resolve_host;
use crate::tls::IdentityError;
use crate::{Action, TlsConnector, TlsIdentity, TlsListener, TlsStream};

const READ: Limit<TlsStream> = Limit {
    get: TlsStream::read_timeout,
    set: TlsStream::set_read_timeout,
};

const WRITE: Limit<TlsStream> = Limit {
    get: TlsStream::write_timeout,
    set: TlsStream::set_write_timeout,
};

pub(super) fn add_to_linker<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap_async(
        NAMESPACE,
        "tls_bind",
        |caller, (kind, ptr, port, flow_info, scope_id, id_ptr, certs, certs_len, key, key_len)| {
            let address = AddressArguments::new(kind, ptr, port, flow_info, scope_id);
            let identity = [(certs, certs_len), (key, key_len)];
            Box::new(tls_bind(caller, address, id_ptr, identity))
        },
    )?;
    listeners::add_to_linker::<T, TlsListener>(linker, "tls")?;
    linker.func_wrap_async(
        NAMESPACE,
        "tls_connect",
        |caller, (ptr, len, port, timeout, id_ptr, certs, certs_len)| {
            let server = Server { ptr, len, port };
            let certs = (certs, certs_len);
            Box::new(tls_connect(caller, server, timeout, id_ptr, certs))
        },
    )?;
    sockets::add_handles::<T, TlsStream>(linker, "tls_stream")?;
    streams::add_to_linker::<T, TlsStream>(linker, "tls")?;
    add_limit(linker, "tls_read_timeout", &READ)?;
    add_limit(linker, "tls_write_timeout", &WRITE)
}

/// `lunatic::networking::tls_bind` (ABI §6.4): listens at an address. Returns 0
/// with a listener id, or 1 with an error id, at `id_ptr`; also 1 if certificate
/// and key do not belong together.
///
/// - `identity`: address and length of the PEM text of the certificate and those
///   that vouch for it, and of its private key.
///
/// Traps on a bad kind of address, a bad address in memory, or PEM text that
/// cannot be read.
async fn tls_bind<T: NetHost>(
    mut caller: Caller<'_, T>,
    address: AddressArguments,
    id_ptr: u32,
    identity: [(u32, u32); 2],
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let [certificates, key] = identity;
    let certificates = pem(&mut caller, certificates)?;
    let key = pem(&mut caller, key)?;
    let address = match addresses::permitted(&mut caller, Action::Bind, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let identity = match TlsIdentity::from_pem(&certificates, &key) {
        Ok(identity) => identity,
        Err(error @ IdentityError::Unusable(_)) => return caller.report(id_ptr, &error),
        Err(error) => return Err(Misuse::refused(error.to_string()).into()),
    };
    match TlsListener::bind(address, identity).await {
        Ok(mut listener) => {
            let limit = caller.data_mut().net().config().handshake_limit;
            listener.set_handshake_limit(limit);
            keep(&mut caller, listener, id_ptr)
        }
        Err(error) => caller.report(id_ptr, &error),
    }
}

/// Copies PEM text.
fn pem<T: NetHost>(caller: &mut Caller<'_, T>, (ptr, len): (u32, u32)) -> Result<Vec<u8>> {
    const MAX_BYTES: usize = 1 << 20;
    let text = caller.bytes(ptr, len)?;
    if text.len() > MAX_BYTES {
        let reason = format!("{len} bytes of PEM text are more than {MAX_BYTES}");
        return Err(Misuse::refused(reason).into());
    }
    Ok(text.to_vec())
}

/// Where the name of a server is, and its port.
#[derive(Debug, Clone, Copy)]
struct Server {
    ptr: u32,
    len: u32,
    port: u32,
}

/// `lunatic::networking::tls_connect` (ABI §6.4): resolves, connects and does
/// the handshake. Returns 0 with a stream id, or 1 or 9027 with an error id, at
/// `id_ptr`.
///
/// - `server`: the name, which the certificate of the server must be for.
/// - `timeout`: milliseconds, for all of it.
/// - `certs`: address and number of records, each of which leads to PEM text
///   with root certificates; none for those of the system.
///
/// Traps on a bad address, or a name that is not UTF-8.
async fn tls_connect<T: NetHost>(
    mut caller: Caller<'_, T>,
    server: Server,
    timeout: u64,
    id_ptr: u32,
    (certs_ptr, certs_len): (u32, u32),
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let name = caller.text(server.ptr, server.len)?.to_owned();
    let roots = match certificates::read(&mut caller, certs_ptr, certs_len)? {
        Ok(roots) => roots,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let port = match addresses::read_port(server.port) {
        Ok(port) => port,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let net = caller.data_mut().net();
    if let Err(error) = net.check_room() {
        return caller.report(id_ptr, &error);
    }
    let config = net.config().clone();
    let connecting = connect(&config, &name, port, &roots);
    match Timeout::from_millis(timeout).limit(connecting).await {
        Some(Ok(stream)) => keep(&mut caller, stream, id_ptr),
        Some(Err(error)) => caller.report(id_ptr, &*error),
        None => timed_out(&mut caller, format!("connect to {name}:{port}"), id_ptr),
    }
}

/// Connects to the one of a server's addresses that answers first, among those
/// that the rules allow.
async fn connect(
    config: &NetConfig,
    name: &str,
    port: u16,
    roots: &[Vec<u8>],
) -> Result<TlsStream, Box<dyn Error + Send + Sync>> {
    let connector = match roots {
        [] => TlsConnector::with_system_roots().await?,
        roots => TlsConnector::with_roots(roots)?,
    };
    if name.parse::<IpAddr>().is_err() {
        config.check_lookup(name)?;
    }
    let addresses = resolve_host(name, port).await?;
    config.learn(name, &addresses);
    let mut allowed = Vec::with_capacity(addresses.len());
    let mut refusal = None;
    for address in addresses {
        match config.check(Action::Connect, address, Some(name)).await {
            Ok(()) => allowed.push(address),
            Err(denied) => refusal = Some(denied),
        }
    }
    match refusal {
        Some(denied) if allowed.is_empty() => Err(denied.into()),
        _ => Ok(connector.connect_any(name, &allowed).await?),
    }
}
