//! TLS listeners and streams (ABI §6.4, §4).

use std::error::Error;
use std::net::IpAddr;

use lunatic_abi::{Guest, Misuse, Timeout, host_functions};
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_blocking::Class;
use wasmtime::{Caller, Result};

use crate::config::NetConfig;
use crate::guest::addresses::{self, AddressArguments};
use crate::guest::certificates;
use crate::guest::reports::{keep, reserve, timed_out};
use crate::guest::{NetHost, binding, listeners, sockets, streams};
use crate::resolver::{MAX_HOST_BYTES, resolve_host};
use crate::rules::destination;
use crate::tls::{IdentityError, RootsError};
use crate::{Action, TlsConnector, TlsIdentity, TlsListener, TlsStream};

host_functions! {
    pub(super) fn add_to_linker<T: NetHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::networking" {
        async fn tls_bind(
            kind: u32, address_ptr: u32, port: u32, flow_info: u32, scope_id: u32, id_ptr: u32,
            certs_ptr: u32, certs_len: u32, key_ptr: u32, key_len: u32
        ) -> u32;
        fn drop_tls_listener(id: u64) = sockets::drop::<T, TlsListener>;
        fn tls_local_addr(id: u64, id_ptr: u32) -> u32 = listeners::local_addr::<T, TlsListener>;
        async fn tls_accept(id: u64, id_ptr: u32, peer_ptr: u32) -> u32
            = listeners::accept::<T, TlsListener>;

        async fn tls_connect(
            name_ptr: u32, name_len: u32, port: u32, timeout: u64, id_ptr: u32,
            certs_ptr: u32, certs_len: u32
        ) -> u32;
        fn drop_tls_stream(id: u64) = sockets::drop::<T, TlsStream>;
        fn clone_tls_stream(id: u64) -> u64 = sockets::clone::<T, TlsStream>;
        async fn tls_read(id: u64, ptr: u32, len: u32, opaque_ptr: u32) -> u32
            = streams::read::<T, TlsStream>;
        async fn tls_write_vectored(
            id: u64, vector_ptr: u32, vector_len: u32, opaque_ptr: u32
        ) -> u32 = streams::write_vectored::<T, TlsStream>;
        async fn tls_flush(id: u64, error_ptr: u32) -> u32 = streams::flush::<T, TlsStream>;
        fn set_tls_read_timeout(id: u64, millis: u64);
        fn get_tls_read_timeout(id: u64) -> u64;
        fn set_tls_write_timeout(id: u64, millis: u64);
        fn get_tls_write_timeout(id: u64) -> u64;
    }
    in "lunatic::message" {
        fn push_tls_stream(id: u64) -> u64 = sockets::push::<T, TlsStream>;
        fn take_tls_stream(index: u64) -> u64 = sockets::take::<T, TlsStream>;
    }
}

/// `lunatic::networking::tls_bind` (ABI §6.4): listens at an address. Returns 0
/// with a listener id, or 1 with an error id, at `id_ptr`; also 1 if certificate
/// and key do not belong together.
///
/// - `certs_ptr`: the PEM text of the certificate and those that vouch for it.
/// - `key_ptr`: the PEM text of its private key.
///
/// Traps on a bad kind of address, a bad address in memory, PEM text that cannot be
/// read, or as [`binding::bind`] does.
async fn tls_bind<T: NetHost>(
    mut caller: Caller<'_, T>,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    id_ptr: u32,
    certs_ptr: u32,
    certs_len: u32,
    key_ptr: u32,
    key_len: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let address = match addresses::permitted(&mut caller, Action::Bind, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let certificates = pem(&mut caller, certs_ptr, certs_len)?;
    let key = pem(&mut caller, key_ptr, key_len)?;
    // To check a key can take some milliseconds.
    let read = move || TlsIdentity::from_pem(&certificates, &key);
    let identity = match caller.wait(Class::Cpu.queue().run(read)).await {
        Ok(identity) => identity,
        Err(error @ IdentityError::Unusable(_)) => return caller.report(id_ptr, &error),
        Err(error) => return Err(Misuse::refused(error.to_string()).into()),
    };
    let descriptor = match reserve(&mut caller) {
        Ok(descriptor) => descriptor,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let bound = match binding::bind(&mut caller, address)? {
        Ok(bound) => bound,
        Err(error) => return caller.report(id_ptr, &error),
    };
    if let Err(refusal) = binding::check(&mut caller, address, &bound).await {
        return caller.report(id_ptr, &refusal);
    }
    let mut listener = TlsListener::of(bound, identity);
    listener.set_handshake_limit(caller.data_mut().net().config().handshake_limit);
    keep(&mut caller, listener, descriptor, id_ptr)
}

/// Copies PEM text. It is read at once, so there is no more of it than takes a moment.
fn pem<T: NetHost>(caller: &mut Caller<'_, T>, ptr: u32, len: u32) -> Result<Vec<u8>> {
    const MAX_BYTES: usize = 64 << 10;
    let text = caller.bytes(ptr, len)?;
    if text.len() > MAX_BYTES {
        let reason = format!("{len} bytes of PEM text are more than {MAX_BYTES}");
        return Err(Misuse::refused(reason).into());
    }
    Ok(text.to_vec())
}

/// `lunatic::networking::tls_connect` (ABI §6.4): resolves, connects and does
/// the handshake. Returns 0 with a stream id, or 1 or 9027 with an error id, at
/// `id_ptr`.
///
/// - `name_ptr`: the name, which the certificate of the server must be for.
/// - `timeout`: milliseconds, for all of it.
/// - `certs_ptr`, `certs_len`: address and number of records, each of which leads
///   to PEM text with root certificates; none for those of the system.
///
/// Traps on a bad address, or a name that is not UTF-8.
async fn tls_connect<T: NetHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    port: u32,
    timeout: u64,
    id_ptr: u32,
    certs_ptr: u32,
    certs_len: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let name = match addresses::name(&mut caller, name_ptr, name_len, MAX_HOST_BYTES)? {
        Ok(name) => name,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let port = match addresses::read_port(port) {
        Ok(port) => port,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let descriptor = match reserve(&mut caller) {
        Ok(descriptor) => descriptor,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let config = caller.data_mut().net().config().clone();
    if name.parse::<IpAddr>().is_err()
        && let Err(denied) = config.check_lookup(&name)
    {
        return caller.report(id_ptr, &denied);
    }
    let texts = match certificates::read(&mut caller, certs_ptr, certs_len)? {
        Ok(texts) => texts,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let roots = match Roots::new(texts, caller.data().account()) {
        Ok(roots) => roots,
        Err(exceeded) => return caller.report(id_ptr, &exceeded),
    };
    let connecting = Timeout::from_millis(timeout).limit(connect(&config, &name, port, roots));
    match caller.wait(connecting).await {
        Some(Ok((stream, _charge))) => keep(&mut caller, stream, descriptor, id_ptr),
        Some(Err(error)) => caller.report(id_ptr, &*error),
        None => timed_out(&mut caller, format!("connect to {name}:{port}"), id_ptr),
    }
}

/// The PEM texts of the root certificates that a guest trusts; none for those of the system.
struct Roots {
    texts: Vec<Vec<u8>>,
    /// For the texts, and for what is read from them.
    charge: Charge,
}

impl Roots {
    fn new(texts: Vec<Vec<u8>>, payer: &Account) -> Result<Roots, Exceeded> {
        let bytes: usize = texts.iter().map(Vec::len).sum();
        let charge = Charge::new(payer, Kind::Memory, 2 * bytes as u64)?;
        Ok(Roots { texts, charge })
    }

    /// Reads the certificates, on a thread that may take its time.
    async fn connector(self) -> Result<(TlsConnector, Charge), RootsError> {
        let Roots { texts, charge } = self;
        let connector = match &*texts {
            [] => TlsConnector::with_system_roots().await?,
            _ => {
                let read = move || TlsConnector::with_roots(&texts);
                Class::Cache.queue().run(read).await?
            }
        };
        Ok((connector, charge))
    }
}

/// Connects to the one of a server's addresses that answers first, among those
/// that the rules allow. What the roots are charged is handed back, to be released when the
/// stream has a charge of its own.
///
/// - `name`: may be looked up.
/// - `roots`: a descriptor is charged to who pays for them already.
async fn connect(
    config: &NetConfig,
    name: &str,
    port: u16,
    roots: Roots,
) -> Result<(TlsStream, Charge), Box<dyn Error + Send + Sync>> {
    let addresses = resolve_host(name, port).await?;
    config.learn(name, &addresses);
    let mut allowed = Vec::with_capacity(addresses.len());
    let mut refusal = None;
    for address in addresses.into_iter().map(destination) {
        match config.check(Action::Connect, address, Some(name)).await {
            Ok(()) => allowed.push(address),
            Err(denied) => refusal = Some(denied),
        }
    }
    match refusal {
        Some(denied) if allowed.is_empty() => Err(denied.into()),
        _ => {
            let (connector, charge) = roots.connector().await?;
            let connecting = connector.connect_any_charged(name, &allowed, charge.account());
            Ok((connecting.await?, charge))
        }
    }
}

/// `lunatic::networking::set_tls_read_timeout` (ABI §6.4).
fn set_tls_read_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64, millis: u64) -> Result<()> {
    streams::set_timeout(caller, id, millis, TlsStream::set_read_timeout)
}

/// `lunatic::networking::get_tls_read_timeout` (ABI §6.4).
fn get_tls_read_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64) -> Result<u64> {
    streams::get_timeout(caller, id, TlsStream::read_timeout)
}

/// `lunatic::networking::set_tls_write_timeout` (ABI §6.4).
fn set_tls_write_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64, millis: u64) -> Result<()> {
    streams::set_timeout(caller, id, millis, TlsStream::set_write_timeout)
}

/// `lunatic::networking::get_tls_write_timeout` (ABI §6.4).
fn get_tls_write_timeout<T: NetHost>(caller: Caller<'_, T>, id: u64) -> Result<u64> {
    streams::get_timeout(caller, id, TlsStream::write_timeout)
}
