//! A TCP connection.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_io::Async;

use crate::connecting;
use crate::errors::{ConnectError, StreamError};
use crate::operation_lock::OperationLock;
use crate::time_limit::TimeLimit;

/// A TCP connection; clone it freely, it closes with its last handle.
///
/// One handle may read while another writes. Two that read queue up, and so do
/// two that write. All handles share the time limits; none is set at first.
#[derive(Debug, Clone)]
pub struct TcpStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Async<net::TcpStream>,
    /// Held by whoever reads or peeks.
    reading: OperationLock,
    /// Held by whoever writes.
    writing: OperationLock,
    read_limit: TimeLimit,
    write_limit: TimeLimit,
    peek_limit: TimeLimit,
}

impl TcpStream {
    /// Connects; there is no time limit but the system's.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`].
    pub async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectError> {
        Ok(TcpStream::new(connecting::connect(address).await?))
    }

    pub(crate) fn new(socket: Async<net::TcpStream>) -> TcpStream {
        TcpStream(Arc::new(Shared {
            socket,
            reading: OperationLock::new(),
            writing: OperationLock::new(),
            read_limit: TimeLimit::none(),
            write_limit: TimeLimit::none(),
            peek_limit: TimeLimit::none(),
        }))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket.get_ref().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// What the system says, for example that there is none any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket.get_ref().peer_addr()
    }

    /// Waits for bytes and takes what fits; 0 is the end.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.read_with(|source| source.read(buffer)).await
    }

    /// Waits for bytes and lets `read` take them from the socket.
    ///
    /// It is called until it says other than [`io::ErrorKind::WouldBlock`], and
    /// must read at most once each time. Nothing of it is used in between, so
    /// the buffer may be another one each time.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn read_with(
        &self,
        mut read: impl FnMut(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let operation = async {
            let attempt = |mut socket: &net::TcpStream| read(&mut socket);
            Ok(self.0.socket.read_with(attempt).await?)
        };
        self.0.reading.run(&self.0.read_limit, operation).await
    }

    /// Waits for bytes and copies what fits, for the next read to find it still.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn peek(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.peek_with(|source| source.read(buffer)).await
    }

    /// Like [`read_with`](TcpStream::read_with), but consumes nothing.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn peek_with(
        &self,
        mut peek: impl FnMut(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let operation = async {
            let attempt = |socket: &net::TcpStream| peek(&mut Peeker(socket));
            Ok(self.0.socket.read_with(attempt).await?)
        };
        self.0.reading.run(&self.0.peek_limit, operation).await
    }

    /// Writes some of the bytes and returns how many.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.write_with(|sink| sink.write(bytes)).await
    }

    /// Writes all of the bytes; the time limit is for each part of them.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits for room and lets `write` put bytes into the socket; for what is
    /// asked of it see [`read_with`](TcpStream::read_with).
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn write_with(
        &self,
        mut write: impl FnMut(&mut dyn Write) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let operation = async {
            let attempt = |mut socket: &net::TcpStream| write(&mut socket);
            Ok(self.0.socket.write_with(attempt).await?)
        };
        self.0.writing.run(&self.0.write_limit, operation).await
    }

    /// How long a read may take.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.0.read_limit.get()
    }

    /// Sets how long a read may take, in whole milliseconds, for all handles.
    pub fn set_read_timeout(&self, limit: Option<Duration>) {
        self.0.read_limit.set(limit);
    }

    /// How long a write may take.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.0.write_limit.get()
    }

    /// Sets how long a write may take, in whole milliseconds, for all handles.
    pub fn set_write_timeout(&self, limit: Option<Duration>) {
        self.0.write_limit.set(limit);
    }

    /// How long a peek may take.
    pub fn peek_timeout(&self) -> Option<Duration> {
        self.0.peek_limit.get()
    }

    /// Sets how long a peek may take, in whole milliseconds, for all handles.
    pub fn set_peek_timeout(&self, limit: Option<Duration>) {
        self.0.peek_limit.set(limit);
    }
}

/// Reads a socket without consuming anything.
struct Peeker<'a>(&'a net::TcpStream);

impl Read for Peeker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buffer)
    }
}
