//! A socket that accepts TCP connections.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use crate::accepting::{self, Accepted};
use crate::errors::{AcceptError, BindError};
use crate::listeners::{Bound, Listeners, Owner, Standing};
use crate::tcp_stream::TcpStream;

/// A socket that accepts TCP connections. All clones are the same socket.
///
/// # Examples
///
/// ```
/// use lunatic_net::{TcpListener, TcpStream};
///
/// # futures_lite::future::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?).await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, peer) = listener.accept().await?;
/// assert_eq!(peer, client.local_addr()?);
/// assert_eq!(server.peer_addr()?, peer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TcpListener(Arc<Bound<net::TcpListener>>);

impl TcpListener {
    /// Listens at an address. With port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
        Ok(TcpListener(Bound::alone(address)?))
    }

    /// Listens at an address for a process of a root; see [`Listeners`]. With port 0 the
    /// system chooses one.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub fn bind_in(listeners: &Listeners, address: SocketAddr) -> Result<TcpListener, BindError> {
        Ok(TcpListener(listeners.bind(
            Owner::default(),
            Standing::Root,
            address,
        )?))
    }

    #[cfg(feature = "guest")]
    pub(crate) fn of(bound: Arc<Bound<net::TcpListener>>) -> TcpListener {
        TcpListener(bound)
    }

    /// Waits for a connection, and returns it and the address of the other side.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the operating system fails. If there are no file descriptors
    /// left, this first waits for one for more than half a second.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let Accepted { socket, peer, open } = accepting::accept(&self.0).await?;
        Ok((TcpStream::new(socket, open), peer))
    }

    /// Returns the address it listens at.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
