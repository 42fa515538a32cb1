//! The state of one TLS connection, without waiting for the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::Connection;

use crate::errors::StreamError;
use crate::tls::handshake::HandshakeError;

/// The state of a connection. None of its methods waits: each does what can be done
/// now, and returns what to wait for before it is called again.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    handshake: Handshake,
    /// How long the handshake may take, if that is limited.
    limit: Option<Duration>,
}

#[derive(Debug)]
enum Handshake {
    NotBegun,
    Begun(Instant),
    Done,
    Failed(HandshakeError),
}

/// Whether an operation is done, or what it waits for.
#[derive(Debug)]
pub(super) enum Step<R> {
    /// It is done.
    Done(R),
    /// The socket must become readable first.
    Readable,
    /// The socket must become writable first.
    Writable,
    /// The socket must become readable or writable first.
    Either,
    /// Nothing: others are to have their turn first.
    Yield,
}

impl Session {
    pub(super) fn new(connection: Connection, limit: Option<Duration>) -> Session {
        Session {
            connection,
            handshake: Handshake::NotBegun,
            limit,
        }
    }

    /// Begins the handshake if it has not begun, and returns how much time is left for
    /// it, if that is limited.
    pub(super) fn begin_handshake(&mut self) -> Result<Option<Duration>, HandshakeError> {
        let began = match &self.handshake {
            Handshake::Done => return Ok(None),
            Handshake::Failed(error) => return Err(error.clone()),
            Handshake::Begun(began) => *began,
            Handshake::NotBegun => {
                let now = Instant::now();
                self.handshake = Handshake::Begun(now);
                now
            }
        };
        Ok(self
            .limit
            .map(|limit| limit.saturating_sub(began.elapsed())))
    }

    /// Continues the handshake.
    pub(super) fn shake_hands(&mut self, socket: &TcpStream) -> Result<Step<()>, HandshakeError> {
        /// A step that takes longer is one with a private key, or with several certificates.
        const LONG: Duration = Duration::from_millis(1);
        let began = Instant::now();
        loop {
            if !self.send(socket)? {
                return Ok(Step::Writable);
            }
            if began.elapsed() >= LONG {
                return Ok(Step::Yield);
            }
            if !self.connection.is_handshaking() {
                self.handshake = Handshake::Done;
                return Ok(Step::Done(()));
            }
            match self.connection.read_tls(&mut &*socket) {
                Ok(0) => return Err(HandshakeError::Closed),
                Ok(_) => self.process(socket)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Readable),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns the error of a handshake that takes too long.
    pub(super) fn too_late(&self) -> HandshakeError {
        HandshakeError::TimedOut(self.limit.unwrap_or_default())
    }

    /// Records that the handshake has failed, and closes the connection.
    pub(super) fn fail(&mut self, socket: &TcpStream, error: HandshakeError) {
        self.handshake = Handshake::Failed(error);
        // It may be closed already.
        let _ = socket.shutdown(Shutdown::Both);
    }

    /// Has `read` read plaintext that has arrived.
    pub(super) fn read(
        &mut self,
        socket: &TcpStream,
        read: &mut dyn FnMut(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<Step<usize>, StreamError> {
        /// So much of the connection is decrypted at once: all of it may be records of TLS itself,
        /// which take time and lead to no plaintext.
        const PIECE: usize = 16 << 10;
        let mut decrypted = 0;
        loop {
            match read(&mut self.connection.reader()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Ok(Step::Done(done?)),
            }
            if decrypted >= PIECE {
                return Ok(Step::Yield);
            }
            match self.connection.read_tls(&mut &*socket) {
                // The end of the stream is reported by the reader.
                Ok(count) => {
                    decrypted += count;
                    self.process(socket).map_err(StreamError::Tls)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        // This sends what a writer could not, and answers to what was read. An error
        // is left to the next writer, as there may still be something to read.
        match self.send(socket) {
            Ok(false) => Ok(Step::Either),
            Ok(true) | Err(_) => Ok(Step::Readable),
        }
    }

    /// Has `write` write plaintext, after all that was written before is sent.
    pub(super) fn write(
        &mut self,
        socket: &TcpStream,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<usize>,
    ) -> Result<Step<usize>, StreamError> {
        match self.send(socket)? {
            true => Ok(Step::Done(write(&mut self.connection.writer())?)),
            false => Ok(Step::Writable),
        }
    }

    /// Sends everything that was written.
    pub(super) fn flush(&mut self, socket: &TcpStream) -> Result<Step<()>, StreamError> {
        match self.send(socket)? {
            true => Ok(Step::Done(())),
            false => Ok(Step::Writable),
        }
    }

    /// Sends the alert that closes the connection, if that is possible without waiting.
    pub(super) fn close(&mut self, socket: &TcpStream) {
        if matches!(self.handshake, Handshake::Done) {
            self.connection.send_close_notify();
            let _ = self.send(socket);
        }
    }

    fn process(&mut self, socket: &TcpStream) -> Result<(), rustls::Error> {
        let processed = self.connection.process_new_packets();
        if processed.is_err() {
            // The alert that tells the other side, which may have closed already.
            let _ = self.send(socket);
        }
        processed.map(|_| ())
    }

    /// Writes ciphertext to the socket, and returns whether all of it was written.
    fn send(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut &*socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
