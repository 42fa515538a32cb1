//! What a message carries besides bytes.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a message carries besides its bytes, for example a module or a socket.
///
/// Within a node it is moved. To another node its encoded form is sent, if it has one. A
/// socket, for example, has none, as it belongs to this node.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{DataMessage, MessageResource};
///
/// struct Ticket(u32);
///
/// impl MessageResource for Ticket {
///     fn kind(&self) -> &'static str {
///         "ticket"
///     }
/// }
///
/// let mut message = DataMessage::default();
/// let index = message.push(Ticket(7));
/// let ticket: Option<Ticket> = message.take(index);
/// assert_eq!(ticket.map(|ticket| ticket.0), Some(7));
/// assert_eq!(Ticket(8).encode().unwrap_err().to_string(), "a ticket cannot leave its node");
/// ```
pub trait MessageResource: Any + Send {
    /// Returns the name of its kind in the singular, `TCP stream` for example.
    fn kind(&self) -> &'static str;

    /// Returns its form for another node.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] if it cannot leave this node, as by default.
    fn encode(&self) -> Result<EncodedResource, NotTransferable> {
        Err(NotTransferable { kind: self.kind() })
    }

    /// Returns the bytes to charge while the resource waits in a mailbox, in addition to the slot
    /// of every resource; 0, the default, if they are charged in another way. The number must not
    /// change while it is in a message.
    fn charged_bytes(&self) -> usize {
        0
    }

    /// Returns another handle of the same resource, for a process that is reloaded: its
    /// old code keeps this one until the new code has accepted the other. `None` if it
    /// cannot be shared, as by default.
    fn share(&self) -> Option<Box<dyn MessageResource>> {
        None
    }
}

/// A resource in the form in which it is sent to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedResource {
    /// The name of its kind, by which the other node knows how to decode it.
    pub kind: Cow<'static, str>,
    /// The content.
    pub bytes: Vec<u8>,
}

/// The error of a resource that cannot leave its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTransferable {
    /// The name of its kind.
    pub kind: &'static str,
}

/// The error of a resource that cannot be [shared](MessageResource::share).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotShared {
    /// The name of its kind.
    pub kind: &'static str,
}

impl EncodedResource {
    /// Encodes a value with serde.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] if serde fails.
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

impl fmt::Display for NotShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} cannot be shared", self.kind)
    }
}

impl Error for NotShared {}
