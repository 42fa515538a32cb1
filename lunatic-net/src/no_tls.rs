//! The errors of TLS in a build without the feature `tls`: there are none.

use std::error::Error;
use std::fmt;

pub(crate) use std::convert::Infallible as TlsError;

/// Why a TLS handshake failed, which there is only with the feature `tls`.
#[derive(Debug, Clone)]
pub enum HandshakeError {}

impl fmt::Display for HandshakeError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Error for HandshakeError {}
