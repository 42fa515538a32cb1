//! Making a TCP connection.

use std::net::{SocketAddr, TcpStream};

use async_io::Async;

use crate::errors::ConnectError;

/// Connects without a limit but the system's.
pub(crate) async fn connect(address: SocketAddr) -> Result<Async<TcpStream>, ConnectError> {
    let socket = Async::<TcpStream>::connect(address)
        .await
        .map_err(|source| ConnectError::Unreachable { address, source })?;
    do_not_delay(&socket);
    Ok(socket)
}

/// Guests cannot ask for it, and a small answer must not wait for the other
/// side's delayed acknowledgement.
pub(crate) fn do_not_delay(socket: &Async<TcpStream>) {
    if let Err(error) = socket.get_ref().set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
