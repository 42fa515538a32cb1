//! A listening socket in a state: it crosses as its address.

use std::net::SocketAddr;

use lunatic::net::TcpListener;
use serde::{de, ser, Deserialize, Deserializer, Serialize, Serializer};

/// Writes the address.
pub fn serialize<S: Serializer>(listener: &TcpListener, to: S) -> Result<S::Ok, S::Error> {
    let address = listener.local_addr().map_err(ser::Error::custom)?;
    address.serialize(to)
}

/// Binds the address, at which the process listens already: that gives the same socket.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TcpListener, D::Error> {
    let address = SocketAddr::deserialize(from)?;
    TcpListener::bind(address).map_err(de::Error::custom)
}
