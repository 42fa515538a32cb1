//! Why a TLS handshake fails.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::InvalidMessage;

/// Why a TLS handshake failed. The stream cannot be used any more, and every operation
/// on it fails with this error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It took longer than this.
    TimedOut(Duration),
    /// The other side closed the connection during the handshake.
    Closed,
    /// The two sides do not agree, or one does not trust the other.
    Tls(rustls::Error),
    /// The operating system failed.
    Io(Arc<io::Error>),
}

impl HandshakeError {
    fn is_not_tls(&self) -> bool {
        matches!(
            self,
            HandshakeError::Tls(rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion
            ))
        )
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS handshake failed: ")?;
        match self {
            HandshakeError::TimedOut(limit) => write!(f, "it took longer than {limit:?}"),
            HandshakeError::Closed => f.write_str("the other side closed the connection"),
            error if error.is_not_tls() => f.write_str("the other side does not speak TLS"),
            HandshakeError::Tls(error) => error.fmt(f),
            HandshakeError::Io(error) => error.fmt(f),
        }
    }
}

impl Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> HandshakeError {
        HandshakeError::Io(Arc::new(error))
    }
}

impl From<rustls::Error> for HandshakeError {
    fn from(error: rustls::Error) -> HandshakeError {
        HandshakeError::Tls(error)
    }
}
