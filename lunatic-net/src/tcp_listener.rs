//! A socket that TCP connections come in on.

use std::io;
use std::net::{self, SocketAddr};

use async_io::Async;

use crate::accepting;
use crate::errors::{AcceptError, BindError};
use crate::tcp_stream::TcpStream;

/// A socket that TCP connections come in on; clone it freely.
#[derive(Debug, Clone)]
pub struct TcpListener(std::sync::Arc<Async<net::TcpListener>>);

impl TcpListener {
    /// Listens at an address; port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
        Ok(TcpListener(accepting::listen(address)?.into()))
    }

    /// Waits for a connection; returns it and the address of the other side.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]. If it is a lack of file descriptors, this has waited
    /// for one for more than half a second.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let (socket, peer) = accepting::accept(&self.0).await?;
        Ok((TcpStream::new(socket), peer))
    }

    /// The address it listens at.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}
