//! A TLS connection.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_lock::Mutex;
use futures_lite::future;
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_blocking::Class;
use lunatic_reactor::{Known, Source};
use rustls::Connection;

use crate::errors::StreamError;
use crate::open_sockets::{Kind as SocketKind, OpenSocket};
use crate::open_streams::OpenStream;
use crate::operation_lock::OperationLock;
use crate::time_limit::{TimeLimit, within};
use crate::tls::handshake::HandshakeError;
use crate::tls::session::{Session, Step};

/// A TLS connection. All clones are handles of the same one, which is closed when the
/// last one is dropped.
///
/// One handle can read while another one writes. Two reads wait for each other, and so
/// do two writes. The time limits are those of all handles; at first there are none.
///
/// It is made by [`TlsConnector`](crate::TlsConnector), which has an example, and by
/// [`TlsListener`](crate::TlsListener).
#[derive(Debug, Clone)]
pub struct TlsStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Source<net::TcpStream>,
    /// Locked only while bytes are copied, never over an `await`.
    session: parking_lot::Mutex<Session>,
    /// Whether the handshake is done. The session knows that too, but is locked.
    ready: AtomicBool,
    /// Whether a step of the handshake takes milliseconds.
    has_slow_handshake: bool,
    /// Held by the operation that does the handshake.
    handshaking: Mutex<()>,
    /// Held by the operation that reads.
    reading: OperationLock,
    /// Held by the operation that writes.
    writing: OperationLock,
    read_limit: TimeLimit,
    write_limit: TimeLimit,
    /// What the root certificates take that belong to this connection alone, in bytes.
    roots: u64,
    /// Pays for what TLS keeps, until the connection is closed.
    charge: OnceLock<Charge>,
    _counted: OpenSocket,
    /// Counts until the connection is closed.
    _open: Option<OpenStream>,
}

/// What TLS keeps for a connection, in bytes: its state, a record that has come in part, and one
/// that is to be sent. What is measured of idle ones is less.
const TLS_BYTES: u64 = 64 << 10;

impl TlsStream {
    /// Charges what TLS keeps for the connection, until it is closed, to whoever has made it.
    /// Who gets a handle later pays nothing.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left.
    pub fn charge_to(&self, payer: &Account) -> Result<(), Exceeded> {
        if self.0.charge.get().is_none() {
            let charge = Charge::new(payer, Kind::Memory, TLS_BYTES + self.0.roots)?;
            // If another thread was first, its charge stays, and this one is released.
            self.0.charge.set(charge).ok();
        }
        Ok(())
    }

    /// - `roots`: what root certificates take that belong to this connection alone, in bytes.
    /// - `has_slow_handshake`: whether a step of the handshake takes milliseconds: then whoever polls
    ///   does none.
    pub(super) fn new(
        socket: Source<net::TcpStream>,
        connection: Connection,
        roots: u64,
        handshake_limit: Option<Duration>,
        has_slow_handshake: bool,
        open: Option<OpenStream>,
    ) -> TlsStream {
        TlsStream(Arc::new(Shared {
            socket,
            session: parking_lot::Mutex::new(Session::new(connection, handshake_limit)),
            ready: AtomicBool::new(false),
            has_slow_handshake,
            handshaking: Mutex::new(()),
            reading: OperationLock::new(),
            writing: OperationLock::new(),
            read_limit: TimeLimit::none(),
            write_limit: TimeLimit::none(),
            _open: open,
            roots,
            charge: OnceLock::new(),
            _counted: OpenSocket::new(SocketKind::Tls),
        }))
    }

    /// Does the handshake, or waits for the operation that is doing it. Reading and
    /// writing do this themselves.
    ///
    /// # Errors
    ///
    /// [`StreamError::Handshake`] if it fails, with the same error in each call.
    pub async fn handshake(&self) -> Result<(), StreamError> {
        if self.0.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _guard = self.0.handshaking.lock().await;
        let left = self.0.session.lock().begin_handshake()?;
        let socket = self.0.socket.get_ref();
        let outcome = match within(left, self.shake_hands()).await {
            Some(outcome) => outcome,
            None => Err(self.0.session.lock().too_late()),
        };
        match outcome {
            Ok(()) => self.0.ready.store(true, Ordering::Release),
            Err(error) => {
                self.0.session.lock().fail(socket, error.clone());
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn shake_hands(&self) -> Result<(), HandshakeError> {
        loop {
            let known = self.0.socket.known();
            let stream = self.clone();
            let step = move || {
                let Shared {
                    session, socket, ..
                } = &*stream.0;
                session.lock().shake_hands(socket.get_ref())
            };
            let step = match self.0.has_slow_handshake {
                true => Class::Cache.queue().run(step).await?,
                false => step()?,
            };
            match step {
                Step::Done(()) => return Ok(()),
                step => self.wait(&step, known).await,
            }
        }
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
    /// [`StreamError`] if TLS or the operating system fails, or the time limit is over.
    /// If the other side closes the connection without an alert, it is
    /// [`io::ErrorKind::UnexpectedEof`].
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.read_with(|source| source.read(buffer)).await
    }

    /// Waits for bytes, and has `read` read them.
    ///
    /// `read` is called until it returns something else than
    /// [`io::ErrorKind::WouldBlock`]. It must read at most once in each call, and may
    /// use another buffer each time.
    ///
    /// # Errors
    ///
    /// As [`read`](TlsStream::read).
    pub async fn read_with(
        &self,
        mut read: impl FnMut(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let operation = async {
            self.handshake().await?;
            loop {
                let known = self.0.socket.known();
                let socket = self.0.socket.get_ref();
                let step = self.0.session.lock().read(socket, &mut read)?;
                match step {
                    Step::Done(count) => return Ok(count),
                    step => self.wait(&step, known).await,
                }
            }
        };
        self.0.reading.run(&self.0.read_limit, operation).await
    }

    /// Writes some of the bytes, and returns how many.
    ///
    /// They are given to the operating system then. If the time limit is over before
    /// that, bytes that are encrypted already count as written, and the next operation
    /// sends them.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if TLS or the operating system fails, or the time limit is over
    /// and nothing was encrypted.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.write_with(|sink| sink.write(bytes)).await
    }

    /// Writes all of the bytes. The time limit is that of each single write.
    ///
    /// # Errors
    ///
    /// As [`write`](TlsStream::write).
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Like [`write`](TlsStream::write), but has `write` write the bytes.
    ///
    /// `write` is called until it returns something else than
    /// [`io::ErrorKind::WouldBlock`]. It must write at most once in each call.
    ///
    /// # Errors
    ///
    /// As [`write`](TlsStream::write), or if `write` fails.
    pub async fn write_with(
        &self,
        mut write: impl FnMut(&mut dyn Write) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let mut taken = None;
        let operation = async {
            self.handshake().await?;
            loop {
                let known = self.0.socket.known();
                let socket = self.0.socket.get_ref();
                let step = self.0.session.lock().write(socket, &mut write)?;
                match step {
                    Step::Done(count) => {
                        taken = Some(count);
                        break;
                    }
                    step => self.wait(&step, known).await,
                }
            }
            self.send_all().await
        };
        let outcome = self.0.writing.run(&self.0.write_limit, operation).await;
        match (outcome, taken) {
            (Ok(()) | Err(StreamError::TimedOut), Some(count)) => Ok(count),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Ok(0),
        }
    }

    /// Waits until everything that was written is given to the operating system.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if TLS or the operating system fails, or the time limit is over.
    pub async fn flush(&self) -> Result<(), StreamError> {
        let operation = async {
            self.handshake().await?;
            self.send_all().await
        };
        self.0.writing.run(&self.0.write_limit, operation).await
    }

    async fn send_all(&self) -> Result<(), StreamError> {
        loop {
            let known = self.0.socket.known();
            let step = self.0.session.lock().flush(self.0.socket.get_ref())?;
            match step {
                Step::Done(()) => return Ok(()),
                step => self.wait(&step, known).await,
            }
        }
    }

    /// Waits for what a step waits for.
    ///
    /// - `known`: of the socket, from before the step.
    async fn wait<R>(&self, step: &Step<R>, known: Known) {
        let socket = &self.0.socket;
        match step {
            Step::Done(_) => {}
            Step::Readable => socket.readable(known).await,
            Step::Writable => socket.writable(known).await,
            Step::Either => future::or(socket.readable(known), socket.writable(known)).await,
            Step::Yield => future::yield_now().await,
        }
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
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.session.get_mut().close(self.socket.get_ref());
    }
}
