//! Looks up the addresses of names.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use lunatic_blocking::Class;

use crate::errors::ResolveError;

/// The longest name that is looked up, with its port.
const MAX_NAME: usize = 512;

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
    lookup(name, name.to_owned()).await
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
    lookup(host, (host.to_owned(), port)).await
}

async fn lookup<N>(name: &str, query: N) -> Result<Vec<SocketAddr>, ResolveError>
where
    N: ToSocketAddrs<Iter = std::vec::IntoIter<SocketAddr>> + Send + 'static,
{
    let failed = |source| ResolveError {
        name: name.chars().take(MAX_NAME).collect(),
        source,
    };
    if name.len() > MAX_NAME {
        let reason = format!("a name has at most {MAX_NAME} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    // The system blocks a thread for each lookup.
    let lookup = move || query.to_socket_addrs();
    let addresses = Class::Lookup.queue().run(lookup).await;
    Ok(addresses.map_err(failed)?.collect())
}
