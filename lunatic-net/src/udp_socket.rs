//! A socket for UDP datagrams.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use async_io::Async;

use crate::errors::BindError;

/// A socket for UDP datagrams; clone it freely, it closes with its last handle.
#[derive(Debug, Clone)]
pub struct UdpSocket(Arc<Async<net::UdpSocket>>);

impl UdpSocket {
    /// Binds an address; port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub async fn bind(address: SocketAddr) -> Result<UdpSocket, BindError> {
        let socket = Async::<net::UdpSocket>::bind(address)
            .map_err(|source| BindError { address, source })?;
        Ok(UdpSocket(socket.into()))
    }

    /// Sets whom [`send`](UdpSocket::send) sends to; nobody else is heard then.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.0.get_ref().connect(peer)
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`], or what else the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }

    /// Sends a datagram to the peer it is connected to.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.send_with(|socket| socket.send(datagram)).await
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn send_to(&self, datagram: &[u8], peer: SocketAddr) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to(datagram, peer))
            .await
    }

    /// Waits for room and lets `send` use the socket, until it says other than
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    ///
    /// What `send` says.
    pub async fn send_with<R>(
        &self,
        send: impl FnMut(&net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.write_with(send).await
    }

    /// Waits for a datagram; what does not fit is cut off.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_with(|socket| socket.recv(buffer)).await
    }

    /// Waits for a datagram and tells who sent it; what does not fit is cut off.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn receive_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_with(|socket| socket.recv_from(buffer)).await
    }

    /// Waits for a datagram and lets `receive` take it, until it says other than
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    ///
    /// What `receive` says.
    pub async fn receive_with<R>(
        &self,
        receive: impl FnMut(&net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.read_with(receive).await
    }

    /// Whether datagrams may go to a broadcast address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.get_ref().broadcast()
    }

    /// Sets whether datagrams may go to a broadcast address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.0.get_ref().set_broadcast(broadcast)
    }

    /// How many hops a datagram may take.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.get_ref().ttl()
    }

    /// Sets how many hops a datagram may take.
    ///
    /// # Errors
    ///
    /// What the system says, for example that it is more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.get_ref().set_ttl(ttl)
    }
}
