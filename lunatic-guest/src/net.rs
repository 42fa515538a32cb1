//! Sockets that accept TCP connections, and that stay when a process is reloaded (ABI §6.2).

use std::net::SocketAddr;

use serde::de::value::{Error as ValueError, U64Deserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use crate::error::{check, Result};
use crate::sys::net as sys;

/// A socket that accepts TCP connections. Other than that of the `lunatic` crate, it can be
/// a part of the [state](crate::reload) of a process that is reloaded.
///
/// It is open until it is [closed](TcpListener::close), or the process ends: dropping this
/// does nothing.
///
/// ```no_run
/// # mod lunatic { pub mod net {
/// #     #[derive(serde::Deserialize)]
/// #     pub struct TcpStream;
/// # }}
/// use lunatic::net::TcpStream;
/// use lunatic_guest::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:8080".parse().unwrap()).unwrap();
/// let (stream, peer) = listener.accept::<TcpStream>().unwrap();
/// println!("{peer} is connected");
/// # drop(stream);
/// ```
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TcpListener {
    id: u64,
}

impl TcpListener {
    /// Binds an address; with the port 0, the system chooses one.
    ///
    /// # Errors
    ///
    /// If the address is in use, not one of this machine, or not permitted.
    pub fn bind(address: SocketAddr) -> Result<TcpListener> {
        check(sys::tcp_bind(address)).map(|id| TcpListener { id })
    }

    /// The address.
    ///
    /// # Errors
    ///
    /// If the system does not tell it.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let address = check(sys::tcp_local_addr(self.id))?;
        Ok(taken(address))
    }

    /// Waits for a connection, and returns it with the address of the other side. What is
    /// in scratch is dropped.
    ///
    /// - `S`: the `TcpStream` of the `lunatic` crate.
    ///
    /// # Errors
    ///
    /// If there can be no more connections, and if the wait ends early
    /// ([`wait`](crate::reload::wait)).
    ///
    /// # Panics
    ///
    /// If `S` is something else.
    pub fn accept<S: DeserializeOwned>(&self) -> Result<(S, SocketAddr)> {
        let (accepted, peer) = sys::tcp_accept(self.id);
        let stream = check(accepted)?;
        let peer = taken(peer);
        // That is how a stream of the `lunatic` crate crosses in a message.
        let index = sys::message_of_tcp_stream(stream);
        let index: U64Deserializer<ValueError> = index.into_deserializer();
        match S::deserialize(index) {
            Ok(stream) => Ok((stream, peer)),
            Err(error) => panic!("this is no TCP stream: {error}"),
        }
    }

    /// Closes it.
    pub fn close(self) {
        sys::drop_tcp_listener(self.id);
    }
}

/// An address of the host's table.
fn taken(address: u64) -> SocketAddr {
    match sys::take_address(address) {
        Some(address) => address,
        None => panic!("the host knows the address of each socket"),
    }
}
