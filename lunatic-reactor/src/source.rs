//! A socket, or another descriptor, that tasks wait for.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};

use crate::reactor::Reactor;
use crate::readiness::{Direction, Seen};
use crate::sources::Readiness;

/// A socket, or another descriptor that can be waited for, without blocking a thread.
///
/// It is made known to the kernel once, when this is made, and until this is dropped. Any number of
/// tasks may use it at the same time.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use lunatic_reactor::Source;
///
/// # futures_lite::future::block_on(async {
/// let (one, other) = UnixStream::pair()?;
/// let (one, other) = (Source::new(one)?, Source::new(other)?);
/// one.write_with(|mut one| one.write(b"hello")).await?;
/// let mut buffer = [0; 16];
/// let count = other.read_with(|mut other| other.read(&mut buffer)).await?;
/// assert_eq!(&buffer[..count], b"hello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Source<S: AsFd> {
    io: S,
    key: u64,
    readiness: Arc<Readiness>,
    reactor: &'static Reactor,
}

/// What was known of a [`Source`] at a moment; see [`Source::known`].
#[derive(Debug, Clone, Copy)]
pub struct Known {
    read: Seen,
    write: Seen,
}

impl<S: AsFd> Source<S> {
    /// Makes a descriptor one that does not block, and makes it known to the kernel.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does: with [`ErrorKind::PermissionDenied`] for a file, which
    /// cannot be waited for.
    pub fn new(io: S) -> io::Result<Source<S>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        let reactor = Reactor::get()?;
        reactor.be_driven()?;
        let readiness = Readiness::new();
        let key = reactor.add(&io, readiness.clone())?;
        Ok(Source {
            io,
            key,
            readiness,
            reactor,
        })
    }

    /// Returns the descriptor. No operation on it blocks.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// Calls `read` until it returns something else than [`ErrorKind::WouldBlock`]: at once, then each
    /// time when there may be something to read.
    ///
    /// # Errors
    ///
    /// Fails if `read` does.
    pub async fn read_with<R>(&self, read: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.attempt(&self.readiness.read, read).await
    }

    /// Calls `write` until it returns something else than [`ErrorKind::WouldBlock`]: at once, then each
    /// time when there may be room.
    ///
    /// # Errors
    ///
    /// Fails if `write` does.
    pub async fn write_with<R>(&self, write: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.attempt(&self.readiness.write, write).await
    }

    async fn attempt<R>(
        &self,
        direction: &Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut seen = direction.seen();
        loop {
            match operation(&self.io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => direction.clear(seen),
                outcome => return outcome,
            }
            seen = direction.ready().await;
        }
    }

    /// Returns what is known now: to be called before an operation on [`get_ref`](Source::get_ref),
    /// for [`readable`](Source::readable) and [`writable`](Source::writable) after it.
    pub fn known(&self) -> Known {
        Known {
            read: self.readiness.read.seen(),
            write: self.readiness.write.seen(),
        }
    }

    /// Waits until there may be something to read, after an operation has failed with
    /// [`ErrorKind::WouldBlock`].
    ///
    /// - `known`: from before the operation.
    pub async fn readable(&self, known: Known) {
        self.readiness.read.clear(known.read);
        self.readiness.read.ready().await;
    }

    /// Waits until there may be room to write, after an operation has failed with
    /// [`ErrorKind::WouldBlock`].
    ///
    /// - `known`: from before the operation.
    pub async fn writable(&self, known: Known) {
        self.readiness.write.clear(known.write);
        self.readiness.write.ready().await;
    }
}

impl Source<TcpStream> {
    /// Connects to an address, with the time limit of the system only.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn connect(address: SocketAddr) -> io::Result<Source<TcpStream>> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = Source::new(TcpStream::from(socket))?;
        let is_connected = |stream: &TcpStream| {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    Err(ErrorKind::WouldBlock.into())
                }
                connected => connected,
            }
        };
        stream.write_with(is_connected).await?;
        Ok(stream)
    }
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        self.reactor.remove(&self.io, self.key);
    }
}
