//! Looks up the addresses of names.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use lunatic_blocking::Class;

use crate::errors::ResolveError;

/// The longest name of a host, in bytes (RFC 1035), with a dot at its end.
pub(crate) const MAX_HOST_BYTES: usize = 254;

/// The longest name of a host with a port behind it, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = MAX_HOST_BYTES + ":65535".len();

/// Looks up the addresses of `host:port`.
///
/// # Errors
///
/// [`ResolveError`] if the name cannot be resolved, or there is no port.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// let addresses = lunatic_net::resolve("127.0.0.1:80").await?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), lunatic_net::ResolveError>(())
/// # }).unwrap();
/// ```
pub async fn resolve(name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    lookup(name, MAX_NAME_BYTES, name.to_owned()).await
}

/// Looks up the addresses of a host, and returns them with this port.
///
/// # Errors
///
/// [`ResolveError`] if the name cannot be resolved.
pub async fn resolve_host(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    lookup(host, MAX_HOST_BYTES, (host.to_owned(), port)).await
}

/// Returns the error of a name that is too long, of which only the start is told.
pub(crate) fn too_long(start: &str, max: usize) -> ResolveError {
    const SHOWN: usize = 64;
    let reason = format!("a name has at most {max} bytes");
    ResolveError {
        name: start.chars().take(SHOWN).collect::<String>() + "…",
        source: io::Error::new(io::ErrorKind::InvalidInput, reason),
    }
}

async fn lookup<N>(name: &str, max: usize, query: N) -> Result<Vec<SocketAddr>, ResolveError>
where
    N: ToSocketAddrs<Iter = std::vec::IntoIter<SocketAddr>> + Send + 'static,
{
    let failed = |source| ResolveError {
        name: name.to_owned(),
        source,
    };
    if name.len() > max {
        return Err(too_long(name, max));
    }
    // The system blocks a thread for each lookup.
    let lookup = move || query.to_socket_addrs();
    let addresses = Class::Lookup.queue().run(lookup).await;
    Ok(addresses.map_err(failed)?.collect())
}
