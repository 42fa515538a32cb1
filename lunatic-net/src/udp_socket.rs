//! A socket for UDP datagrams.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use lunatic_reactor::Source;
use parking_lot::Mutex;

use crate::errors::BindError;
use crate::listeners::{Bound, Kind, Lineage, Listeners, Owner, Standing, Table};

/// A socket for UDP datagrams. All clones are handles of the same one, which is closed
/// when the last one is dropped.
///
/// # Examples
///
/// ```
/// use lunatic_net::UdpSocket;
///
/// # futures_lite::future::block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0".parse()?).await?;
/// let client = UdpSocket::bind("127.0.0.1:0".parse()?).await?;
/// client.send_to(b"hello", server.local_addr()?).await?;
///
/// let mut buffer = [0; 16];
/// let (count, sender) = server.receive_from(&mut buffer).await?;
/// assert_eq!((&buffer[..count], sender), (&b"hello"[..], client.local_addr()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct UdpSocket(Arc<Bound<net::UdpSocket>>);

impl Kind for net::UdpSocket {
    const GIVES_STREAMS: bool = false;

    fn bind(address: SocketAddr, _standing: Standing) -> Result<Source<net::UdpSocket>, BindError> {
        let socket = net::UdpSocket::bind(address).and_then(Source::new);
        socket.map_err(|source| BindError { address, source })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        net::UdpSocket::local_addr(self)
    }

    fn table(lineage: &Lineage) -> &Mutex<Table<net::UdpSocket>> {
        &lineage.udp
    }
}

impl UdpSocket {
    /// Binds an address. With port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub async fn bind(address: SocketAddr) -> Result<UdpSocket, BindError> {
        Ok(UdpSocket(Bound::alone(address)?))
    }

    /// Binds an address for a process of a root; see [`Listeners`]. With port 0 the system
    /// chooses one.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the operating system fails.
    pub fn bind_in(listeners: &Listeners, address: SocketAddr) -> Result<UdpSocket, BindError> {
        Ok(UdpSocket(listeners.bind(
            Owner::default(),
            Standing::Root,
            address,
        )?))
    }

    #[cfg(feature = "guest")]
    pub(crate) fn of(bound: Arc<Bound<net::UdpSocket>>) -> UdpSocket {
        UdpSocket(bound)
    }

    /// Sets the address that [`send`](UdpSocket::send) sends to. Datagrams from other
    /// addresses are not received any more.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.0.socket().get_ref().connect(peer)
    }

    /// Returns the address of this side.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().get_ref().local_addr()
    }

    /// Returns the address it is connected to.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, with [`io::ErrorKind::NotConnected`] if it is
    /// not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().get_ref().peer_addr()
    }

    /// Sends a datagram to the address it is connected to, and returns its size.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.send_with(|socket| socket.send(datagram)).await
    }

    /// Sends a datagram to an address, and returns its size.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn send_to(&self, datagram: &[u8], peer: SocketAddr) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to(datagram, peer))
            .await
    }

    /// Waits until the socket can be written, and calls `send` with it, until that
    /// returns something else than [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    ///
    /// Fails if `send` does.
    pub async fn send_with<R>(
        &self,
        send: impl FnMut(&net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.socket().write_with(send).await
    }

    /// Waits for a datagram, reads as much of it as fits into the buffer, and returns
    /// the number of bytes. The rest is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_with(|socket| socket.recv(buffer)).await
    }

    /// Like [`receive`](UdpSocket::receive), and also returns the address of the sender.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn receive_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_with(|socket| socket.recv_from(buffer)).await
    }

    /// Waits for a datagram, and calls `receive` with the socket, until that returns
    /// something else than [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    ///
    /// Fails if `receive` does.
    pub async fn receive_with<R>(
        &self,
        mut receive: impl FnMut(&net::UdpSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        self.0.take_with(|socket, _| receive(socket)).await
    }

    /// Returns whether datagrams may be sent to a broadcast address.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.socket().get_ref().broadcast()
    }

    /// Sets whether datagrams may be sent to a broadcast address.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.0.socket().get_ref().set_broadcast(broadcast)
    }

    /// Returns how many hops a datagram may take.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.socket().get_ref().ttl()
    }

    /// Sets how many hops a datagram may take.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because it is more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.socket().get_ref().set_ttl(ttl)
    }
}
