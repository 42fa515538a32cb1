//! Serves one client.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, Stream, StreamExt, future};
use serde::{Deserialize, Serialize};

use crate::answering::{Answer, Answering};
use crate::hello::{Hello, PROTOCOL};
use crate::limits::Limits;
use crate::lines::{LineError, Lines, write};
use crate::name::RuntimeName;
use crate::peer;
use crate::permit::Permit;
use crate::request::Request;
use crate::response::{Refusal, RefusalKind, Response};

/// A client that is connected.
pub(crate) struct Connection<'a> {
    stream: &'a Async<UnixStream>,
    lines: Lines<&'a Async<UnixStream>>,
    limits: &'a Limits,
    uploads: &'a Arc<AtomicUsize>,
    /// How many requests of all clients wait for their answer.
    unanswered: &'a Arc<AtomicUsize>,
}

/// The fields of every request.
#[derive(Debug, Deserialize)]
struct Head {
    /// The responses have the same.
    #[serde(default)]
    id: u64,
    #[serde(rename = "type")]
    kind: String,
    /// The number of bytes that follow the line.
    #[serde(default)]
    bytes: u64,
}

/// A response with the id of its request.
#[derive(Debug, Serialize)]
struct Numbered<'a> {
    id: u64,
    #[serde(flatten)]
    response: &'a Response,
}

/// Why a connection is closed.
enum Closing {
    /// The client has gone, or does not read.
    Gone(io::Error),
    /// The request is refused; the client gets the error.
    Refused(u64, Refusal),
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        stream: &'a Async<UnixStream>,
        limits: &'a Limits,
        uploads: &'a Arc<AtomicUsize>,
        unanswered: &'a Arc<AtomicUsize>,
    ) -> Connection<'a> {
        Connection {
            stream,
            lines: Lines::new(stream, limits.line),
            limits,
            uploads,
            unanswered,
        }
    }

    /// Serves the client until it goes, or does something that it must not.
    pub(crate) async fn serve(
        &mut self,
        name: &RuntimeName,
        answering: &impl Answering,
    ) -> io::Result<()> {
        let closing = match self.greet(name).await {
            Ok(true) => self.answer_all(answering).await,
            Ok(false) => return Ok(()),
            Err(closing) => Err(closing),
        };
        match closing {
            Ok(()) => Ok(()),
            Err(Closing::Gone(error)) => Err(error),
            Err(Closing::Refused(id, refusal)) => {
                let text = refusal.text.clone();
                self.send(id, &refusal.into()).await.ok();
                self.part().await;
                Err(io::Error::new(ErrorKind::InvalidData, text))
            }
        }
    }

    /// Exchanges the first lines. Returns false if the client goes at once.
    async fn greet(&mut self, name: &RuntimeName) -> Result<bool, Closing> {
        if let Some(uid) = peer::stranger(self.stream).map_err(Closing::Gone)? {
            let text = format!("this runtime belongs to another user than {uid}");
            return Err(refused(0, RefusalKind::User, text));
        }
        let mut hello = to_json(&Hello::of_runtime(name.as_str())).map_err(Closing::Gone)?;
        hello.push(b'\n');
        self.write(&hello).await.map_err(Closing::Gone)?;
        let line = self.lines.next_in_time(self.limits.line_time).await;
        let Some(line) = line.map_err(|error| self.unread(error))? else {
            return Ok(false);
        };
        let client: Hello = serde_json::from_slice(&line)
            .map_err(|_| refused(0, RefusalKind::Garbage, "the first line is no greeting"))?;
        if client.lunatic_admin != PROTOCOL {
            let text = format!(
                "this runtime is lunatic {} with protocol {PROTOCOL}, the client is lunatic {} \
                 with protocol {}",
                env!("CARGO_PKG_VERSION"),
                lunatic_error::on_one_line(&client.version, 64),
                client.lunatic_admin,
            );
            return Err(refused(0, RefusalKind::Protocol, text));
        }
        Ok(true)
    }

    async fn answer_all(&mut self, answering: &impl Answering) -> Result<(), Closing> {
        loop {
            let line = self.lines.next(self.limits.line_time).await;
            let Some(line) = line.map_err(|error| self.unread(error))? else {
                return Ok(());
            };
            let head: Head = serde_json::from_slice(&line)
                .map_err(|error| refused(0, RefusalKind::Garbage, unreadable(&error)))?;
            let id = head.id;
            let request: serde_json::Result<Request> = serde_json::from_slice(&line);
            let bytes = self.bytes_of(&head, request.as_ref().ok()).await?;
            let unanswered = Permit::take(self.unanswered, usize::MAX);
            let answer = match request {
                Ok(Request::Unknown) => unknown(&head.kind).into(),
                Ok(request) => answering.answer(request, bytes).await,
                Err(error) => Refusal::new(RefusalKind::BadRequest, unreadable(&error)).into(),
            };
            match answer {
                Answer::One(response) => self.send(id, &response).await.map_err(Closing::Gone)?,
                Answer::Many(responses) => {
                    drop(unanswered);
                    let responses = Box::pin(responses);
                    if !self.send_all(id, responses).await.map_err(Closing::Gone)? {
                        return Ok(());
                    }
                }
                Answer::Stream(responses) => {
                    drop(unanswered);
                    if !self.send_all(id, responses).await.map_err(Closing::Gone)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads the bytes that follow a request.
    ///
    /// - `request`: `None` if it is a wrong one, whose bytes are to be left out.
    async fn bytes_of(
        &mut self,
        head: &Head,
        request: Option<&Request>,
    ) -> Result<Vec<u8>, Closing> {
        if head.bytes == 0 {
            return Ok(Vec::new());
        }
        let max = self.limits.bytes;
        if head.bytes > max {
            let text = format!("{} bytes are more than {max}", head.bytes);
            return Err(refused(head.id, RefusalKind::TooLarge, text));
        }
        if request.is_some_and(|request| !request.takes_bytes() && *request != Request::Unknown) {
            let text = "no bytes can follow this request";
            return Err(refused(head.id, RefusalKind::BadRequest, text));
        }
        let Some(_place) = Permit::take(self.uploads, self.limits.uploads) else {
            let text = format!(
                "{} other clients are sending bytes; try again",
                self.limits.uploads
            );
            return Err(refused(head.id, RefusalKind::Busy, text));
        };
        let count = usize::try_from(head.bytes).unwrap_or(usize::MAX);
        let bytes = self.lines.bytes(count, self.limits.bytes_time).await;
        bytes.map_err(|error| self.unread(error))
    }

    async fn send(&mut self, id: u64, response: &Response) -> io::Result<()> {
        let mut bytes = line(id, response)?;
        if bytes.len() > self.limits.response {
            let text = format!("the answer has {} bytes", bytes.len());
            bytes = line(id, &Refusal::new(RefusalKind::TooLarge, text).into())?;
        }
        self.write(&bytes).await
    }

    /// Sends all responses of a subscription. Returns false if the client has gone, or sends
    /// something else.
    async fn send_all(
        &mut self,
        id: u64,
        mut responses: impl Stream<Item = Response> + Unpin,
    ) -> io::Result<bool> {
        loop {
            let next = async { Some(responses.next().await) };
            let disturbed = async {
                self.lines.disturbed().await;
                None
            };
            match future::or(next, disturbed).await {
                Some(Some(response)) => self.send(id, &response).await?,
                Some(None) => {
                    self.send(id, &Response::End).await?;
                    return Ok(true);
                }
                None => return Ok(false),
            }
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        write(self.stream, bytes, self.limits.write_time).await
    }

    /// Lets the client read the last response: if the socket were closed while something that
    /// the client has sent is unread, it would get an error instead.
    async fn part(&mut self) {
        const CLOSE_DELAY: Duration = Duration::from_millis(500);
        let mut stream = self.stream;
        let read_to_end = async {
            stream.close().await.ok();
            let mut piece = [0; 4096];
            while stream.read(&mut piece).await.is_ok_and(|count| count > 0) {}
        };
        let deadline = async {
            Timer::after(CLOSE_DELAY).await;
        };
        future::or(read_to_end, deadline).await;
    }

    fn unread(&self, error: LineError) -> Closing {
        let (kind, text) = match error {
            LineError::Io(error) => return Closing::Gone(error),
            LineError::Cut => return Closing::Gone(ErrorKind::UnexpectedEof.into()),
            LineError::TooLong => (
                RefusalKind::TooLarge,
                format!("a line is longer than {} bytes", self.limits.line),
            ),
            LineError::Timeout => (RefusalKind::Timeout, "the rest did not come in time".into()),
        };
        refused(0, kind, text)
    }
}

/// A response as a line.
pub(crate) fn line(id: u64, response: &Response) -> io::Result<Vec<u8>> {
    let mut line = to_json(&Numbered { id, response })?;
    line.push(b'\n');
    Ok(line)
}

fn to_json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn refused(id: u64, kind: RefusalKind, text: impl std::fmt::Display) -> Closing {
    Closing::Refused(id, Refusal::new(kind, text))
}

fn unknown(kind: &str) -> Refusal {
    let shown = lunatic_error::on_one_line(kind, 64);
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("this runtime, lunatic {version}, knows no request `{shown}`");
    Refusal::new(RefusalKind::UnknownRequest, text)
}

fn unreadable(error: &serde_json::Error) -> String {
    lunatic_error::on_one_line(format_args!("this is no request: {error}"), 256).to_string()
}
