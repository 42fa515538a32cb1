//! One connection, from its first byte to its last, in a process of its own.

use std::io::{ErrorKind, Read, Result, Write};
use std::time::{Duration, Instant};

use lunatic::net::TcpStream;
use lunatic::Mailbox;

use super::request::{self, Progress};
use super::response::{Output, Response, Status, CLOSE};
use super::site;

/// How much is read at once.
const CHUNK: usize = 4 << 10;

/// How many bytes of answers to pipelined requests wait for each other.
const MAX_OUTPUT: usize = 64 << 10;

/// How much of what a refused client still sends is read before its connection is
/// closed, and for how long: a connection that is closed with bytes unread is
/// reset, and the answer may be lost with it.
const LINGER_BYTES: usize = 64 << 10;
const LINGER_TIME: Duration = Duration::from_millis(500);

/// The entry of a connection's process.
pub(super) fn serve((stream, patience): (TcpStream, Duration), mailbox: Mailbox<()>) {
    let connection = Connection {
        stream,
        patience,
        process: mailbox.this().id(),
        input: Vec::new(),
        filled: 0,
        output: Output::default(),
    };
    // Whatever breaks a connection ends its process, and concerns nobody else.
    let _ = connection.run();
}

struct Connection {
    stream: TcpStream,
    patience: Duration,
    /// The id of this process.
    process: u64,
    /// What was read is at the beginning of it; the rest is room.
    input: Vec<u8>,
    filled: usize,
    output: Output,
}

/// What becomes of a connection.
enum Next {
    /// More bytes are needed for a request.
    Read,
    /// It ends in good order.
    Close,
    /// It ends, though the client may be sending still.
    Refuse,
}

impl Connection {
    fn run(mut self) -> Result<()> {
        self.stream.set_read_timeout(Some(self.patience))?;
        self.stream.set_write_timeout(Some(self.patience))?;
        loop {
            let next = match self.receive()? {
                Received::Bytes => self.answer_all()?,
                Received::End => return Ok(()),
                Received::TooLate if self.filled == 0 => return Ok(()),
                Received::TooLate => {
                    let response = Response::error(Status::RequestTimeout);
                    self.output.push(&response, CLOSE, true);
                    self.send()?;
                    Next::Refuse
                }
            };
            match next {
                Next::Read => {}
                Next::Close => return Ok(()),
                Next::Refuse => return self.linger(),
            }
        }
    }

    /// Reads until there may be a request: at once if none has begun. One that
    /// comes byte by byte has no more time than one that comes at once.
    fn receive(&mut self) -> Result<Received> {
        if self.filled == 0 {
            return self.read();
        }
        let deadline = Instant::now() + self.patience;
        let received = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Received::TooLate;
            }
            // Less than a millisecond would be none.
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.read()? {
                Received::Bytes if self.is_begun_only() => {}
                received => break received,
            }
        };
        self.stream.set_read_timeout(Some(self.patience))?;
        Ok(received)
    }

    fn is_begun_only(&self) -> bool {
        matches!(request::parse(&self.input[..self.filled]), Progress::Begun)
    }

    fn read(&mut self) -> Result<Received> {
        if self.input.len() - self.filled < CHUNK {
            self.input.resize(self.filled + CHUNK, 0);
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => Ok(Received::End),
            Ok(count) => {
                self.filled += count;
                Ok(Received::Bytes)
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Received::TooLate),
            Err(error) => Err(error),
        }
    }

    /// Answers every request that is there completely.
    fn answer_all(&mut self) -> Result<Next> {
        let mut used = 0;
        let next = loop {
            match request::parse(&self.input[used..self.filled]) {
                Progress::Complete(request) => {
                    let response = site::answer(&request, self.process);
                    let has_body = request.method != "HEAD";
                    self.output.push(&response, request.connection, has_body);
                    used += request.len;
                    match (request.keep_alive, used == self.filled) {
                        (true, false) => {}
                        (true, true) => break Next::Read,
                        (false, true) => break Next::Close,
                        (false, false) => break Next::Refuse,
                    }
                }
                Progress::Begun => break Next::Read,
                Progress::AwaitsContinue => {
                    self.output.push_continue();
                    break Next::Read;
                }
                Progress::Refused(status) => {
                    self.output.push(&Response::error(status), CLOSE, true);
                    break Next::Refuse;
                }
            }
            if self.output.bytes.len() >= MAX_OUTPUT {
                self.send()?;
            }
        };
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
        self.send()?;
        Ok(next)
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.output.bytes)?;
        self.output.bytes.clear();
        Ok(())
    }

    /// Reads what the client is still sending, within limits.
    fn linger(mut self) -> Result<()> {
        let deadline = Instant::now() + LINGER_TIME;
        self.stream.set_read_timeout(Some(LINGER_TIME))?;
        let mut count = 0;
        let mut buffer = [0; CHUNK];
        while count < LINGER_BYTES && Instant::now() < deadline {
            match self.stream.read(&mut buffer)? {
                0 => break,
                more => count += more,
            }
        }
        Ok(())
    }
}

/// What came of waiting for the client.
enum Received {
    Bytes,
    End,
    TooLate,
}
