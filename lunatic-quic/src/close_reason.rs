//! Why a connection ended.

use std::fmt;

use quinn_proto::{ConnectionError, TransportErrorCode};
use rustls::AlertDescription;

/// Application codes from here on are this crate's own: rules of frames and lanes.
const FRAMING: u64 = 1 << 32;
/// Characters of a peer's text that are kept.
const MAX_TEXT: usize = 512;

/// Why a connection ended, or a dial failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Nothing came from the peer for the idle time, or the handshake took too long.
    TimedOut,
    /// The peer's endpoint takes no more connections.
    Refused,
    /// The network said that nothing can be delivered there.
    Unreachable(Unreachable),
    /// The peer doesn't know the connection: it has been restarted.
    Reset,
    /// One side didn't accept the other's certificate or TLS settings.
    Tls {
        /// The number of the TLS alert.
        alert: u8,
        /// What was wrong, if it is known.
        text: String,
        /// Whether the peer has sent the alert.
        by_peer: bool,
    },
    /// The owner of the peer's endpoint has closed the connection.
    ByPeer {
        /// The code that it gave.
        code: u32,
        /// The reason that it gave.
        text: String,
    },
    /// One side broke a rule of frames and lanes: a frame that is too long, for example.
    Framing {
        /// Which rule.
        text: String,
        /// Whether the peer found this side at fault.
        by_peer: bool,
    },
    /// One side broke a rule of QUIC.
    Protocol {
        /// The code, as RFC 9000 has them in section 20.1.
        code: u64,
        /// What was wrong, if it is known.
        text: String,
        /// Whether the peer found this side at fault.
        by_peer: bool,
    },
    /// The peer speaks no version of QUIC that this side speaks.
    VersionMismatch,
    /// The owner of this endpoint has closed the connection.
    Local {
        /// The code that it gave.
        code: u32,
        /// The reason that it gave.
        text: String,
    },
}

/// What can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The host is there, but no process listens at the port.
    Port,
    /// The host doesn't answer, or there is no way to it.
    Host,
    /// A firewall forbids it.
    Prohibited,
}

impl CloseReason {
    /// The code with which the peer is told that it broke a rule of frames and lanes.
    pub(crate) fn framing_code() -> quinn_proto::VarInt {
        quinn_proto::VarInt::from_u64(FRAMING).unwrap_or(quinn_proto::VarInt::MAX)
    }
}

impl From<ConnectionError> for CloseReason {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::VersionMismatch => Self::VersionMismatch,
            ConnectionError::TransportError(error) => {
                transport(error.code, error.reason.as_bytes(), false)
            }
            ConnectionError::ConnectionClosed(close) => {
                transport(close.error_code, &close.reason, true)
            }
            ConnectionError::ApplicationClosed(close) => {
                let text = readable(&close.reason);
                match u32::try_from(close.error_code.into_inner()) {
                    Ok(code) => Self::ByPeer { code, text },
                    Err(_) => Self::Framing {
                        text,
                        by_peer: true,
                    },
                }
            }
            ConnectionError::Reset => Self::Reset,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::LocallyClosed => Self::Local {
                code: 0,
                text: String::new(),
            },
            ConnectionError::CidsExhausted => Self::Protocol {
                code: TransportErrorCode::INTERNAL_ERROR.into(),
                text: "there are no more connection ids".to_owned(),
                by_peer: false,
            },
        }
    }
}

fn transport(code: TransportErrorCode, text: &[u8], by_peer: bool) -> CloseReason {
    let text = readable(text);
    if by_peer && code == TransportErrorCode::CONNECTION_REFUSED {
        return CloseReason::Refused;
    }
    let code = u64::from(code);
    match code.checked_sub(0x100).map(u8::try_from) {
        Some(Ok(alert)) => CloseReason::Tls {
            alert,
            text,
            by_peer,
        },
        _ => CloseReason::Protocol {
            code,
            text,
            by_peer,
        },
    }
}

/// A peer's text, cut, and without control characters.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => formatter.write_str("timed out"),
            Self::Refused => formatter.write_str("the peer takes no more connections"),
            Self::Unreachable(what) => what.fmt(formatter),
            Self::Reset => {
                formatter.write_str("the peer has been restarted and doesn't know the connection")
            }
            Self::Tls {
                alert,
                text,
                by_peer,
            } => {
                let who = if *by_peer { "the peer" } else { "this side" };
                let name = AlertDescription::from(*alert);
                write!(formatter, "{who} gave up in TLS: {name:?} ({alert})")?;
                with_text(formatter, text)
            }
            Self::ByPeer { code, text } => {
                write!(formatter, "closed by the peer with code {code}")?;
                with_text(formatter, text)
            }
            Self::Framing { text, by_peer } => {
                let who = if *by_peer { "this side" } else { "the peer" };
                write!(formatter, "{who} broke a rule of frames")?;
                with_text(formatter, text)
            }
            Self::Protocol {
                code,
                text,
                by_peer,
            } => {
                let who = if *by_peer { "the peer" } else { "this side" };
                write!(formatter, "{who} found an error of QUIC, code {code:#x}")?;
                with_text(formatter, text)
            }
            Self::VersionMismatch => formatter.write_str("the peer speaks another version of QUIC"),
            Self::Local { code, text } => {
                write!(formatter, "closed by this side with code {code}")?;
                with_text(formatter, text)
            }
        }
    }
}

fn with_text(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.is_empty() {
        Ok(())
    } else {
        write!(formatter, ": {text}")
    }
}

impl std::error::Error for CloseReason {}

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Port => "nothing listens at the port",
            Self::Host => "the host can't be reached",
            Self::Prohibited => "a firewall forbids to send there",
        })
    }
}
