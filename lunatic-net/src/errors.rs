//! Why operations on sockets fail.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use crate::tls::{HandshakeError, TlsError};

/// The error of looking up a name.
#[derive(Debug)]
pub struct ResolveError {
    /// The name, with its port if it had one.
    pub name: String,
    /// The error of the operating system.
    pub source: io::Error,
}

/// The error of binding a socket.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Why a connection could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The system could not connect to the address.
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// This is neither a host name nor an address, so no certificate can be for it.
    BadServerName(String),
    /// The server with this name has no address.
    NoAddress(String),
    /// The server was connected to, but the TLS handshake failed.
    Handshake {
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        source: HandshakeError,
    },
}

/// Why a listener could not accept a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// There were no file descriptors left, for more than half a second.
    NoDescriptors(io::Error),
    /// The operating system failed.
    Io(io::Error),
}

/// Why an operation on a stream failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// It took longer than the time limit of the stream.
    TimedOut,
    /// The TLS handshake failed, which the first operation on a stream does.
    Handshake(HandshakeError),
    /// The other side violated the TLS protocol, or sent an alert.
    Tls(TlsError),
    /// The operating system failed.
    Io(io::Error),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve `{}`", self.name)
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot bind {}{}", self.address, limit(&self.source))
    }
}

/// Returns which limit an operation has met, if it was that of file descriptors.
fn limit(source: &io::Error) -> &'static str {
    match Errno::from_io_error(source) {
        Some(Errno::MFILE) => {
            ": all file descriptors that the runtime may have are in use (`ulimit -n` is the limit)"
        }
        Some(Errno::NFILE) => {
            ": all file descriptors of the machine are in use (`fs.file-max` is the limit)"
        }
        _ => "",
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Unreachable { address, source } => {
                write!(f, "cannot connect to {address}{}", limit(source))
            }
            ConnectError::BadServerName(name) => {
                write!(f, "`{name}` is neither a host name nor an address")
            }
            ConnectError::NoAddress(name) => write!(f, "`{name}` has no address"),
            ConnectError::Handshake { address, .. } => {
                write!(f, "no TLS connection to {address}")
            }
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectError::Unreachable { source, .. } => Some(source),
            ConnectError::BadServerName(_) | ConnectError::NoAddress(_) => None,
            ConnectError::Handshake { source, .. } => Some(source),
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::NoDescriptors(_) => f.write_str(
                "cannot accept a connection: all file descriptors that the runtime may have \
                 are in use (`ulimit -n` is the limit)",
            ),
            AcceptError::Io(_) => f.write_str("cannot accept a connection"),
        }
    }
}

impl Error for AcceptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AcceptError::NoDescriptors(source) | AcceptError::Io(source) => Some(source),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::TimedOut => f.write_str("the time limit of the stream is over"),
            StreamError::Handshake(error) => error.fmt(f),
            StreamError::Tls(error) => write!(f, "TLS: {error}"),
            StreamError::Io(error) => error.fmt(f),
        }
    }
}

impl Error for StreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StreamError::TimedOut | StreamError::Tls(_) => None,
            StreamError::Handshake(error) => error.source(),
            StreamError::Io(error) => error.source(),
        }
    }
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> StreamError {
        StreamError::Io(error)
    }
}

impl From<HandshakeError> for StreamError {
    fn from(error: HandshakeError) -> StreamError {
        StreamError::Handshake(error)
    }
}
