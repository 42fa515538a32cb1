//! The server side of TLS.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_io::Async;
use rustls::ServerConnection;

use crate::accepting;
use crate::errors::{AcceptError, BindError};
use crate::tls::{TlsIdentity, TlsStream};

/// How long a client may take for the handshake, if nothing else is said.
pub const DEFAULT_HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A socket that TLS connections come in on; clone it freely.
#[derive(Debug, Clone)]
pub struct TlsListener {
    socket: Arc<Async<net::TcpListener>>,
    identity: TlsIdentity,
    handshake_limit: Duration,
}

impl TlsListener {
    /// Listens at an address; port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub async fn bind(
        address: SocketAddr,
        identity: TlsIdentity,
    ) -> Result<TlsListener, BindError> {
        Ok(TlsListener {
            socket: accepting::listen(address)?.into(),
            identity,
            handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
        })
    }

    /// Sets how long a client may take for the handshake, counted from the
    /// first operation on its stream.
    pub fn set_handshake_limit(&mut self, limit: Duration) {
        self.handshake_limit = limit;
    }

    /// Waits for a connection; returns it and the address of the other side.
    ///
    /// Nothing has been heard from the client then: the handshake is done by the
    /// first operation on the stream, so that a client which is slow or does not
    /// speak TLS keeps nobody else waiting.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]. If it is a lack of file descriptors, this has waited
    /// for one for more than half a second.
    pub async fn accept(&self) -> Result<(TlsStream, SocketAddr), AcceptError> {
        let (socket, peer) = accepting::accept(&self.socket).await?;
        let server = ServerConnection::new(self.identity.config.clone())
            .map_err(|error| AcceptError::Io(io::Error::other(error)))?;
        let stream = TlsStream::new(socket, server.into(), Some(self.handshake_limit));
        Ok((stream, peer))
    }

    /// The address it listens at.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }
}
