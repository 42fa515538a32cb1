//! The server side of TLS.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;

use crate::accepting::{self, Accepted};
use crate::config::DEFAULT_HANDSHAKE_LIMIT;
use crate::errors::{AcceptError, BindError};
use crate::listeners::{Bound, Listeners, Owner, Standing};
use crate::tls::{TlsIdentity, TlsStream};

/// A socket that accepts TLS connections. All clones are the same socket.
///
/// See [`TlsConnector`](crate::TlsConnector) for an example with both sides.
///
/// # Examples
///
/// ```
/// use lunatic_net::{TcpStream, TlsIdentity, TlsListener};
/// use rcgen::{CertificateParams, KeyPair};
///
/// # futures_lite::future::block_on(async {
/// # let key = KeyPair::generate()?;
/// # let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?.pem();
/// # let key = key.serialize_pem();
/// let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes())?;
/// let listener = TlsListener::bind("127.0.0.1:0".parse()?, identity).await?;
///
/// // It accepts a client that does not even speak TLS: reading does the handshake.
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
/// assert!(server.read(&mut [0; 16]).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TlsListener {
    socket: Arc<Bound<net::TcpListener>>,
    identity: TlsIdentity,
    handshake_limit: Duration,
}

impl TlsListener {
    /// Listens at an address. With port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub async fn bind(
        address: SocketAddr,
        identity: TlsIdentity,
    ) -> Result<TlsListener, BindError> {
        Ok(TlsListener::of(Bound::alone(address)?, identity))
    }

    /// Listens at an address for a process of a root; see [`Listeners`]. With port 0 the
    /// system chooses one. If the socket is shared, each root has its own identity.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub fn bind_in(
        listeners: &Listeners,
        address: SocketAddr,
        identity: TlsIdentity,
    ) -> Result<TlsListener, BindError> {
        let bound = listeners.bind(Owner::default(), Standing::Root, address)?;
        Ok(TlsListener::of(bound, identity))
    }

    pub(crate) fn of(socket: Arc<Bound<net::TcpListener>>, identity: TlsIdentity) -> TlsListener {
        TlsListener {
            socket,
            identity,
            handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
        }
    }

    /// Sets how long the handshake may take, from the first operation on the stream on.
    pub fn set_handshake_limit(&mut self, limit: Duration) {
        self.handshake_limit = limit;
    }

    /// Waits for a connection, and returns it and the address of the other side.
    ///
    /// The handshake is not done then, but by the first operation on the stream. So a
    /// client that is slow or does not speak TLS does not delay the next ones.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the operating system fails. If there are no file descriptors
    /// left, this first waits for one for more than half a second.
    pub async fn accept(&self) -> Result<(TlsStream, SocketAddr), AcceptError> {
        let Accepted { socket, peer, open } = accepting::accept(&self.socket).await?;
        let server = ServerConnection::new(self.identity.config.clone())
            .map_err(|error| AcceptError::Io(io::Error::other(error)))?;
        let limit = Some(self.handshake_limit);
        let is_slow = self.identity.signs_slowly();
        let stream = TlsStream::new(socket, server.into(), 0, limit, is_slow, open);
        Ok((stream, peer))
    }

    /// About how many bytes its identity takes.
    pub(crate) fn identity_size(&self) -> usize {
        self.identity.size()
    }

    /// Returns the address it listens at.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
