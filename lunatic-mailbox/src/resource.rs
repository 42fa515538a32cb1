//! What travels inside a message and is not bytes.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that travels inside a message beside its bytes: a module, a socket.
///
/// Within a node it moves as it is. To another node it moves in its encoded form, if
/// it has one; what is tied to this node, a socket for example, has none.
pub trait MessageResource: Any + Send {
    /// What kind of thing it is, in the singular: `TCP stream`.
    fn kind(&self) -> &'static str;

    /// Its form for another node.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`], the default, if it cannot leave this node.
    fn encode(&self) -> Result<EncodedResource, NotTransferable> {
        Err(NotTransferable { kind: self.kind() })
    }
}

/// A resource in the form in which it crosses to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedResource {
    /// The kind, by which the other node knows how to decode it.
    pub kind: Cow<'static, str>,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A resource cannot leave this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTransferable {
    /// What kind of thing it is.
    pub kind: &'static str,
}

impl EncodedResource {
    /// Encodes a value with serde.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] if serde cannot.
    pub fn of(
        value: &impl Serialize,
        kind: &'static str,
    ) -> Result<EncodedResource, NotTransferable> {
        let bytes = postcard::to_allocvec(value).map_err(|_| NotTransferable { kind })?;
        Ok(EncodedResource {
            kind: kind.into(),
            bytes,
        })
    }
}

impl fmt::Display for NotTransferable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} cannot leave its node", self.kind)
    }
}

impl Error for NotTransferable {}
