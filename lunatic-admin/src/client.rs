//! The client of a runtime.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Async;
use lunatic_error::on_one_line;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::directory::{Directory, DirectoryError};
use crate::hello::{Hello, PROTOCOL};
use crate::limits::MAX_RESPONSE_BYTES;
use crate::lines::{LineError, Lines, write};
use crate::name::RuntimeName;
use crate::peer;
use crate::request::Request;
use crate::response::{Refusal, Response};
use crate::socket;

/// A connection to a runtime.
///
/// ```no_run
/// use lunatic_admin::{Client, Directory, Request, Response};
///
/// # futures_lite::future::block_on(async {
/// let mut client = Client::connect(&Directory::of_user()?, None).await?;
/// if let Response::Version(info) = client.request(&Request::Version).await? {
///     println!("{} has run for {} ms", client.name(), info.uptime_ms);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Client {
    name: String,
    stream: Stream,
    /// The id of the next request.
    next: u64,
}

/// The responses to a subscription. When it is dropped, the runtime is disconnected.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    id: u64,
}

/// The error of a request without a response.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no directory for sockets.
    Directory(DirectoryError),
    /// No runtime is running.
    NoRuntime,
    /// Several runtimes are running, and none was named.
    Several(Vec<RuntimeName>),
    /// There is no runtime of this name, but there are the listed ones.
    Unknown(RuntimeName, Vec<RuntimeName>),
    /// Another user listens at the socket.
    ForeignUser(PathBuf, u32),
    /// The runtime speaks another protocol.
    Protocol {
        /// The first line of the runtime.
        runtime: Hello,
    },
    /// The runtime refuses.
    Refused(Refusal),
    /// The runtime does not send its first line, or does not read: it is stopped, for example.
    NoAnswer,
    /// The runtime has closed the connection; it may have ended.
    Closed,
    /// The runtime has sent a line that this client does not understand.
    Nonsense(String),
    /// Writing or reading failed.
    Io(io::Error),
}

/// A stream to a runtime, read line by line.
type Stream = Lines<Async<UnixStream>>;

/// The time limit for a runtime to send its first line, to read a request, and to send the rest of
/// a line that has begun.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for a runtime to read the bytes after a request.
const BYTES_TIMEOUT: Duration = Duration::from_secs(60);

/// The first line of a runtime.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum First {
    Hello(Hello),
    Refused(Response),
}

/// A request as it is sent.
#[derive(Debug, Serialize)]
struct Numbered<'a> {
    id: u64,
    #[serde(skip_serializing_if = "is_zero")]
    bytes: usize,
    #[serde(flatten)]
    request: &'a Request,
}

/// A response as it comes.
#[derive(Debug, Deserialize)]
struct Answered {
    id: u64,
    #[serde(flatten)]
    response: Response,
}

/// Returns the names of the running runtimes of this user, in order.
///
/// # Errors
///
/// [`ClientError::Io`] if the directory cannot be read.
pub fn runtimes(directory: &Directory) -> Result<Vec<RuntimeName>, ClientError> {
    socket::living(directory).map_err(ClientError::Io)
}

impl Client {
    /// Connects to the runtime of this name, or to the only one.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`Several`](ClientError::Several) and [`Unknown`](ClientError::Unknown)
    /// contain the names of the running runtimes.
    pub async fn connect(
        directory: &Directory,
        name: Option<&RuntimeName>,
    ) -> Result<Client, ClientError> {
        let name = match name {
            Some(name) => name.clone(),
            None => {
                let mut names = runtimes(directory)?;
                match (names.pop(), names.is_empty()) {
                    (Some(only), true) => only,
                    (Some(last), false) => {
                        names.push(last);
                        return Err(ClientError::Several(names));
                    }
                    (None, _) => return Err(ClientError::NoRuntime),
                }
            }
        };
        match Client::connect_to(&directory.socket(&name)).await {
            Err(ClientError::NoRuntime) => {
                let others = runtimes(directory)?;
                Err(ClientError::Unknown(name, others))
            }
            connected => connected,
        }
    }

    /// Connects to the runtime at this socket.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect_to(path: &Path) -> Result<Client, ClientError> {
        let stream = match socket::try_connect(path) {
            Ok(stream) => Async::new(stream).map_err(ClientError::Io)?,
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(ClientError::NoRuntime),
            Err(Errno::AGAIN) => return Err(ClientError::NoAnswer),
            Err(error) => return Err(ClientError::Io(error.into())),
        };
        if let Some(uid) = peer::stranger(&stream).map_err(ClientError::Io)? {
            return Err(ClientError::ForeignUser(path.to_owned(), uid));
        }
        let mut lines = Lines::new(stream, MAX_RESPONSE_BYTES);
        // The first line is sent even if the runtime has refused already; the refusal is read in
        // any case.
        send(&lines, &Hello::of_client(), &[]).await.ok();
        let first = lines.next_in_time(RESPONSE_TIMEOUT).await.map_err(unread)?;
        match parse(&first.ok_or(ClientError::Closed)?)? {
            First::Hello(runtime) if runtime.lunatic_admin != PROTOCOL => {
                Err(ClientError::Protocol { runtime })
            }
            First::Hello(runtime) => Ok(Client {
                name: runtime.name.unwrap_or_default(),
                stream: lines,
                next: 1,
            }),
            First::Refused(Response::Error(refusal)) => Err(ClientError::Refused(refusal)),
            First::Refused(_) => Err(ClientError::Nonsense("it does not say hello".into())),
        }
    }

    /// Returns the name of the runtime.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks, and waits for the response.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a [`Response::Error`] is [`ClientError::Refused`].
    pub async fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        self.request_with(request, &[]).await
    }

    /// Asks with bytes, of a module for example, and waits for the response.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; a [`Response::Error`] is [`ClientError::Refused`].
    pub async fn request_with(
        &mut self,
        request: &Request,
        bytes: &[u8],
    ) -> Result<Response, ClientError> {
        let id = self.send(request, bytes).await?;
        self.response(id).await
    }

    /// Asks for a stream of responses.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn subscribe(mut self, request: &Request) -> Result<Subscription, ClientError> {
        let id = self.send(request, &[]).await?;
        Ok(Subscription { client: self, id })
    }

    async fn send(&mut self, request: &Request, bytes: &[u8]) -> Result<u64, ClientError> {
        let id = self.next;
        self.next += 1;
        let numbered = Numbered {
            id,
            bytes: bytes.len(),
            request,
        };
        match send(&self.stream, &numbered, bytes).await {
            // It has closed the connection, and may have said why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(id),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(ClientError::NoAnswer),
            Err(error) => Err(ClientError::Io(error)),
            Ok(()) => Ok(id),
        }
    }

    async fn response(&mut self, id: u64) -> Result<Response, ClientError> {
        let line = self.stream.next(RESPONSE_TIMEOUT).await.map_err(unread)?;
        let answered: Answered = parse(&line.ok_or(ClientError::Closed)?)?;
        match answered.response {
            Response::Error(refusal) => Err(ClientError::Refused(refusal)),
            response if answered.id == id => Ok(response),
            _ => Err(ClientError::Nonsense("it answers another request".into())),
        }
    }
}

impl Subscription {
    /// Waits for the next response; `None` if there are no more.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Response>, ClientError> {
        match self.client.response(self.id).await? {
            Response::End => Ok(None),
            response => Ok(Some(response)),
        }
    }
}

async fn send(stream: &Stream, head: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(head)?;
    line.push(b'\n');
    let stream = stream.get_ref();
    write(stream, &line, RESPONSE_TIMEOUT).await?;
    match bytes.is_empty() {
        true => Ok(()),
        false => write(stream, bytes, BYTES_TIMEOUT).await,
    }
}

fn parse<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|error| ClientError::Nonsense(error.to_string()))
}

fn unread(error: LineError) -> ClientError {
    match error {
        LineError::TooLong => ClientError::Nonsense("its line is too long".into()),
        LineError::Timeout => ClientError::NoAnswer,
        LineError::Cut => ClientError::Closed,
        LineError::Io(error) if error.kind() == ErrorKind::ConnectionReset => ClientError::Closed,
        LineError::Io(error) => ClientError::Io(error),
    }
}

fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

/// Names of runtimes in a sentence.
struct Names<'a>(&'a [RuntimeName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Directory(error) => error.fmt(f),
            ClientError::NoRuntime => f.write_str("no runtime is running"),
            ClientError::Several(names) => {
                write!(f, "several runtimes are running: {}", Names(names))
            }
            ClientError::Unknown(name, others) if others.is_empty() => {
                write!(
                    f,
                    "there is no runtime `{name}`, and no other one is running"
                )
            }
            ClientError::Unknown(name, others) => {
                write!(
                    f,
                    "there is no runtime `{name}`; running: {}",
                    Names(others)
                )
            }
            ClientError::ForeignUser(path, uid) => write!(
                f,
                "at `{}` listens a program of another user, {uid}",
                path.display()
            ),
            ClientError::Protocol { runtime } => write!(
                f,
                "the runtime is lunatic {} with protocol {}, this is lunatic {} with protocol \
                 {PROTOCOL}",
                on_one_line(&runtime.version, 64),
                runtime.lunatic_admin,
                env!("CARGO_PKG_VERSION"),
            ),
            ClientError::Refused(refusal) => on_one_line(refusal, 4096).fmt(f),
            ClientError::NoAnswer => f.write_str("the runtime does not answer"),
            ClientError::Closed => f.write_str("the runtime has closed the connection"),
            ClientError::Nonsense(what) => {
                write!(
                    f,
                    "the runtime says something unknown: {}",
                    on_one_line(what, 256)
                )
            }
            ClientError::Io(error) => write!(f, "cannot talk to the runtime: {error}"),
        }
    }
}

impl Error for ClientError {}

impl From<DirectoryError> for ClientError {
    fn from(error: DirectoryError) -> ClientError {
        ClientError::Directory(error)
    }
}
