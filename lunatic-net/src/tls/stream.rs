//! A TLS connection.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_io::Async;
use async_lock::Mutex;
use futures_lite::future;
use rustls::Connection;

use crate::errors::StreamError;
use crate::operation_lock::OperationLock;
use crate::time_limit::{TimeLimit, within};
use crate::tls::handshake::HandshakeError;
use crate::tls::session::{Session, Step};

/// A TLS connection; clone it freely, it closes with its last handle.
///
/// One handle may read while another writes. Two that read queue up, and so do
/// two that write. All handles share the time limits; none is set at first.
#[derive(Debug, Clone)]
pub struct TlsStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Async<net::TcpStream>,
    /// Locked only while bytes move; nobody waits with it.
    session: parking_lot::Mutex<Session>,
    /// The handshake is done. It is in the session as well; this costs less.
    ready: AtomicBool,
    /// Held by whoever drives the handshake.
    shaking: Mutex<()>,
    /// Held by whoever reads.
    reading: OperationLock,
    /// Held by whoever writes.
    writing: OperationLock,
    read_limit: TimeLimit,
    write_limit: TimeLimit,
}

impl TlsStream {
    pub(super) fn new(
        socket: Async<net::TcpStream>,
        connection: Connection,
        handshake_limit: Option<Duration>,
    ) -> TlsStream {
        TlsStream(Arc::new(Shared {
            socket,
            session: parking_lot::Mutex::new(Session::new(connection, handshake_limit)),
            ready: AtomicBool::new(false),
            shaking: Mutex::new(()),
            reading: OperationLock::new(),
            writing: OperationLock::new(),
            read_limit: TimeLimit::none(),
            write_limit: TimeLimit::none(),
        }))
    }

    /// Does the handshake, or waits for who is doing it. Reading and writing do
    /// this by themselves.
    ///
    /// # Errors
    ///
    /// [`StreamError::Handshake`], and the same again each time.
    pub async fn handshake(&self) -> Result<(), StreamError> {
        if self.0.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _turn = self.0.shaking.lock().await;
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
            let step = self.0.session.lock().shake_hands(self.0.socket.get_ref())?;
            match step {
                Step::Done(()) => return Ok(()),
                step => self.wait(&step).await?,
            }
        }
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
    /// [`StreamError`]; an end that the other side did not announce is
    /// [`io::ErrorKind::UnexpectedEof`].
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.read_with(|source| source.read(buffer)).await
    }

    /// Waits for bytes and lets `read` take them.
    ///
    /// It is called until it says other than [`io::ErrorKind::WouldBlock`], and
    /// must read at most once each time. Nothing of it is used in between, so
    /// the buffer may be another one each time.
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
                let socket = self.0.socket.get_ref();
                let step = self.0.session.lock().read(socket, &mut read)?;
                match step {
                    Step::Done(count) => return Ok(count),
                    step => self.wait(&step).await?,
                }
            }
        };
        self.0.reading.run(&self.0.read_limit, operation).await
    }

    /// Writes some of the bytes and returns how many.
    ///
    /// They are with the system then, unless the time limit was over: what has
    /// been encrypted cannot be taken back, and is sent by what is done next.
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

    /// Waits for room and lets `write` put bytes in; for what is asked of it see
    /// [`read_with`](TlsStream::read_with), for the rest [`write`](TlsStream::write).
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn write_with(
        &self,
        mut write: impl FnMut(&mut dyn Write) -> io::Result<usize>,
    ) -> Result<usize, StreamError> {
        let mut taken = None;
        let operation = async {
            self.handshake().await?;
            loop {
                let socket = self.0.socket.get_ref();
                let step = self.0.session.lock().write(socket, &mut write)?;
                match step {
                    Step::Done(count) => {
                        taken = Some(count);
                        break;
                    }
                    step => self.wait(&step).await?,
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

    /// Waits until everything that was written is with the system.
    ///
    /// # Errors
    ///
    /// [`StreamError`].
    pub async fn flush(&self) -> Result<(), StreamError> {
        let operation = async {
            self.handshake().await?;
            self.send_all().await
        };
        self.0.writing.run(&self.0.write_limit, operation).await
    }

    async fn send_all(&self) -> Result<(), StreamError> {
        loop {
            let step = self.0.session.lock().flush(self.0.socket.get_ref())?;
            match step {
                Step::Done(()) => return Ok(()),
                step => self.wait(&step).await?,
            }
        }
    }

    /// Waits for what a step needs.
    async fn wait<R>(&self, step: &Step<R>) -> io::Result<()> {
        let socket = &self.0.socket;
        match step {
            Step::Done(_) => Ok(()),
            Step::Readable => socket.readable().await,
            Step::Writable => socket.writable().await,
            Step::Either => future::or(socket.readable(), socket.writable()).await,
        }
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
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.session.get_mut().close(self.socket.get_ref());
    }
}
