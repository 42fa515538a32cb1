//! What a node and the holder of a cluster directory say to each other.

use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::token::Proof;

/// The longest request, response or list that is read, in bytes.
pub const MAX_EXCHANGE_BYTES: usize = 64 * 1024;

/// What a node asks for. `request` is a PKCS#10 request in DER.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request<'a> {
    /// To become a member, as it has a token.
    Join {
        proof: Proof,
        name: NodeName,
        request: &'a [u8],
    },
    /// Another certificate for the name in that of the connection.
    Renew { request: &'a [u8] },
}

/// What it is told. The certificates are in DER.
#[derive(Serialize, Deserialize)]
pub(crate) enum Response<'a> {
    Issued {
        certificate: &'a [u8],
        authority: &'a [u8],
        revocations: &'a [u8],
    },
    /// Why is in the log of who was asked.
    Refused,
}

impl Request<'_> {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

impl Response<'_> {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

/// Reads a request or a response that has nothing behind it.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    if bytes.len() > MAX_EXCHANGE_BYTES {
        return None;
    }
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}
