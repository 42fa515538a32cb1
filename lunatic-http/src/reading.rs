//! Requests out of bytes, with limits of length and time.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, future};

use crate::limits::Limits;
use crate::request::Request;

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum NoRequest {
    /// The client has gone, or was silent for too long.
    Gone,
    /// The client gets this status and text, and is disconnected.
    Refused(u16, &'static str),
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> NoRequest {
        NoRequest::Gone
    }
}

/// Bytes that have come and belong to no request yet.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    read: Vec<u8>,
}

/// The head of a request, and how long what follows is.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: Request,
    pub(crate) body: u64,
}

impl Reader {
    /// Waits for the head of the next request.
    pub(crate) async fn head(
        &mut self,
        stream: &Async<TcpStream>,
        limits: &Limits,
    ) -> Result<Head, NoRequest> {
        if self.read.is_empty() {
            match in_time(limits.idle_time, self.more(stream, limits.head)).await {
                Some(more) => more?,
                None => return Err(NoRequest::Gone),
            }
        }
        let head = async {
            loop {
                if let Some(head) = self.parse(limits)? {
                    return Ok(head);
                }
                if self.read.len() >= limits.head {
                    return Err(NoRequest::Refused(431, "the head is too large"));
                }
                self.more(stream, limits.head).await?;
            }
        };
        let late = NoRequest::Refused(408, "the request took too long");
        in_time(limits.head_time, head).await.unwrap_or(Err(late))
    }

    /// Waits for what follows a head.
    pub(crate) async fn body(
        &mut self,
        stream: &Async<TcpStream>,
        length: u64,
        limits: &Limits,
    ) -> Result<Vec<u8>, NoRequest> {
        let length = usize::try_from(length).map_err(|_| NoRequest::Gone)?;
        let body = async {
            while self.read.len() < length {
                self.more(stream, length).await?;
            }
            Ok(())
        };
        let late = NoRequest::Refused(408, "the request took too long");
        in_time(limits.body_time, body).await.unwrap_or(Err(late))?;
        let rest = self.read.split_off(length);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    /// Reads some bytes, so that there are no more than `max`.
    async fn more(&mut self, mut stream: &Async<TcpStream>, max: usize) -> Result<(), NoRequest> {
        const READ_BYTES: usize = 16 << 10;
        let have = self.read.len();
        let room = max.saturating_sub(have).clamp(1, READ_BYTES);
        self.read.resize(have + room, 0);
        let read = stream.read(&mut self.read[have..]).await;
        self.read.truncate(have + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(NoRequest::Gone),
            _ => Ok(()),
        }
    }

    /// The head, if all of it is there.
    fn parse(&mut self, limits: &Limits) -> Result<Option<Head>, NoRequest> {
        let bad = |what| NoRequest::Refused(400, what);
        let mut headers = vec![httparse::EMPTY_HEADER; limits.headers];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(&self.read) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(NoRequest::Refused(431, "there are too many headers"));
            }
            Err(_) => return Err(bad("that is no HTTP/1.1")),
        };
        let mut request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            keeps_alive: parsed.version == Some(1),
            ..Request::default()
        };
        request.set_target(parsed.path.unwrap_or_default());
        for header in parsed.headers.iter() {
            let value =
                std::str::from_utf8(header.value).map_err(|_| bad("a header is no text"))?;
            let name = header.name.to_ascii_lowercase();
            request.headers.push((name, value.to_owned()));
        }
        self.read.drain(..length);
        let connection = request.header("connection").unwrap_or_default();
        if connection.eq_ignore_ascii_case("close") {
            request.keeps_alive = false;
        }
        if request.has_header("transfer-encoding") {
            return Err(bad("a body needs a length"));
        }
        let body = match request.has_header("content-length") {
            true => request.header("content-length").and_then(digits),
            false => Some(0),
        };
        let body = body.ok_or(bad("that is no length"))?;
        Ok(Some(Head { request, body }))
    }
}

/// A number without sign.
fn digits(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Returns the output of `future`; `None` if it takes longer than `time`.
pub(crate) async fn in_time<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(time).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}
