//! A TCP connection.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lunatic_reactor::Source;

use crate::connecting;
use crate::errors::{ConnectError, StreamError};
use crate::open_sockets::{Kind, OpenSocket};
use crate::open_streams::OpenStream;
use crate::operation_lock::OperationLock;
use crate::time_limit::TimeLimit;

/// A TCP connection. All clones are handles of the same one, which is closed when the
/// last one is dropped.
///
/// One handle can read while another one writes. Two reads wait for each other, and so
/// do two writes. The time limits are those of all handles; at first there are none.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use lunatic_net::{StreamError, TcpListener, TcpStream};
///
/// # futures_lite::future::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?).await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
///
/// server.write_all(b"hello").await?;
/// let mut buffer = [0; 16];
/// let count = client.read(&mut buffer).await?;
/// assert_eq!(&buffer[..count], b"hello");
///
/// client.set_read_timeout(Some(Duration::from_millis(1)));
/// let late = client.read(&mut buffer).await;
/// assert!(matches!(late, Err(StreamError::TimedOut)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TcpStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Source<net::TcpStream>,
    /// Held by the operation that reads or peeks.
    reading: OperationLock,
    /// Held by the operation that writes.
    writing: OperationLock,
    read_limit: TimeLimit,
    write_limit: TimeLimit,
    peek_limit: TimeLimit,
    _counted: OpenSocket,
    /// Counts until the connection is closed.
    _open: Option<OpenStream>,
}

impl TcpStream {
    /// Connects to an address, with the time limit of the system only.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`] if the operating system fails.
    pub async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectError> {
        Ok(TcpStream::new(connecting::connect(address).await?, None))
    }

    pub(crate) fn new(socket: Source<net::TcpStream>, open: Option<OpenStream>) -> TcpStream {
        TcpStream(Arc::new(Shared {
            socket,
            reading: OperationLock::new(),
            writing: OperationLock::new(),
            read_limit: TimeLimit::none(),
            write_limit: TimeLimit::none(),
            peek_limit: TimeLimit::none(),
            _open: open,
            _counted: OpenSocket::new(Kind::Tcp),
        }))
    }

    /// Returns the address of this side.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket.get_ref().local_addr()
    }

    /// Returns the address of the other side.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because the connection is
    /// closed.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket.get_ref().peer_addr()
    }

    /// Waits for bytes, reads as many as fit into the buffer, and returns their number,
    /// which is 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the operating system fails, or the time limit is over.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.read_with(|source| source.read(buffer)).await
    }

    /// Waits for bytes, and has `read` read them from the socket.
    ///
    /// `read` is called until it returns something else than
    /// [`io::ErrorKind::WouldBlock`]. It must read at most once in each call, and may
    /// use another buffer each time.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if `read` fails, or the time limit is over.
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

    /// Like [`read`](TcpStream::read), but consumes nothing: the next read returns the
    /// same bytes.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the operating system fails, or the time limit is over.
    pub async fn peek(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.peek_with(|source| source.read(buffer)).await
    }

    /// Like [`read_with`](TcpStream::read_with), but consumes nothing.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if `peek` fails, or the time limit is over.
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

    /// Writes some of the bytes, and returns how many.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the operating system fails, or the time limit is over.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.write_with(|sink| sink.write(bytes)).await
    }

    /// Writes all of the bytes. The time limit is that of each single write.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the operating system fails, or the time limit is over.
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits until the socket can be written, and has `write` write to it.
    ///
    /// `write` is called until it returns something else than
    /// [`io::ErrorKind::WouldBlock`]. It must write at most once in each call.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if `write` fails, or the time limit is over.
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

    /// Returns how long a read may take.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.0.read_limit.get()
    }

    /// Sets how long a read may take, in whole milliseconds, for all handles.
    pub fn set_read_timeout(&self, limit: Option<Duration>) {
        self.0.read_limit.set(limit);
    }

    /// Returns how long a write may take.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.0.write_limit.get()
    }

    /// Sets how long a write may take, in whole milliseconds, for all handles.
    pub fn set_write_timeout(&self, limit: Option<Duration>) {
        self.0.write_limit.set(limit);
    }

    /// Returns how long a peek may take.
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
