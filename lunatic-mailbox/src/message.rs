//! Messages, their tags and their contents.

pub(crate) mod shared_copy;

use std::any::Any;
use std::fmt;
use std::num::NonZeroI64;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::pid::Pid;
use crate::resource::{EncodedResource, MessageResource, NotTransferable};

/// A number by which a receiver can select messages.
///
/// In the host interface 0 means "no tag", so there is no tag 0. A message without a
/// tag has `None`, and does not end a wait for a tag (ABI §15.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag(NonZeroI64);

impl Tag {
    /// Returns the tag with this value, or `None` for 0.
    pub const fn new(value: i64) -> Option<Tag> {
        match NonZeroI64::new(value) {
            Some(value) => Some(Tag(value)),
            None => None,
        }
    }

    /// Returns the value of the tag.
    pub const fn get(self) -> i64 {
        self.0.get()
    }
}

/// An entry of a mailbox.
#[derive(Debug)]
pub enum Message {
    /// A message that a process sent.
    Data(DataMessage),
    /// A linked process ended abnormally, and the receiver traps link deaths.
    LinkDied {
        /// The tag of the link.
        tag: Option<Tag>,
    },
    /// A monitored process ended.
    ProcessDied {
        /// The id of the process that ended.
        process: Pid,
    },
}

impl Message {
    /// Returns the tag by which a receiver can select the message.
    #[inline]
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Message::Data(data) => data.tag,
            Message::LinkDied { tag } => *tag,
            Message::ProcessDied { .. } => None,
        }
    }

    /// Returns how much of [`Limits::bytes`](crate::Limits::bytes) the message takes.
    #[inline]
    pub fn size(&self) -> usize {
        size_of::<Message>()
            + match self {
                Message::Data(data) => data.size(),
                Message::LinkDied { .. } | Message::ProcessDied { .. } => 0,
            }
    }
}

impl Message {
    /// The greatest [`size`](Message::size) of a message that takes no memory beside
    /// itself.
    pub(crate) const SMALL_BYTES: usize = size_of::<Message>() + INLINE_BYTES;

    /// Returns whether it takes no memory beside itself.
    #[inline]
    pub(crate) fn is_small(&self) -> bool {
        self.heap_bytes() == 0
    }

    /// Returns how many bytes it takes beside itself, room that is not used included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Message::Data(data) => data.heap_bytes(),
            Message::LinkDied { .. } | Message::ProcessDied { .. } => 0,
        }
    }
}

impl From<DataMessage> for Message {
    fn from(data: DataMessage) -> Message {
        Message::Data(data)
    }
}

/// A slot for a resource of a message. It is empty after the resource was taken out.
type ResourceSlot = Option<Box<dyn MessageResource>>;

/// Up to so many bytes are stored in the message itself, without an allocation: most
/// messages are a number or an id.
const INLINE_BYTES: usize = 16;

/// Bytes with a read cursor, a tag, and resources by index.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{DataMessage, Tag};
///
/// let mut message = DataMessage::new(Tag::new(1), *b"hello ");
/// message.write(b"world");
///
/// let mut buffer = [0; 8];
/// assert_eq!(message.read(&mut buffer), Ok(8));
/// assert_eq!(&buffer, b"hello wo");
/// assert_eq!(message.read(&mut buffer), Ok(3));
/// assert_eq!(message.read(&mut buffer), Ok(0));
/// ```
///
/// See [`MessageResource`] for resources.
#[derive(Default)]
pub struct DataMessage {
    tag: Option<Tag>,
    buffer: SmallVec<[u8; INLINE_BYTES]>,
    cursor: usize,
    /// None for most messages.
    resources: Option<Box<Resources>>,
}

// Small messages make long queues faster to fill and to empty.
const _: () = assert!(size_of::<DataMessage>() <= 48);

#[derive(Default)]
struct Resources {
    slots: Vec<ResourceSlot>,
    /// The bytes that are charged for the resources that are present; there may be many.
    charged_bytes: usize,
}

impl Resources {
    fn with_capacity(count: usize) -> Resources {
        Resources {
            slots: Vec::with_capacity(count),
            charged_bytes: 0,
        }
    }

    fn push(&mut self, slot: ResourceSlot) {
        self.charged_bytes += slot.as_ref().map_or(0, |resource| resource.charged_bytes());
        self.slots.push(slot);
    }
}

#[cfg(feature = "guest")]
impl Drop for Resources {
    /// Drops a large number of resources on another thread, so that a worker is not blocked by it:
    /// each may be a socket that must be closed.
    fn drop(&mut self) {
        const DROP_LATER_RESOURCES: usize = 256;
        if self.slots.len() > DROP_LATER_RESOURCES {
            lunatic_blocking::drop_later(std::mem::take(&mut self.slots));
        }
    }
}

/// A data message in the form in which it is sent to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireMessage {
    /// The tag.
    pub tag: Option<Tag>,
    /// All bytes.
    pub bytes: Vec<u8>,
    /// The resources by index, `None` for removed ones.
    pub resources: Vec<Option<EncodedResource>>,
}

impl WireMessage {
    /// Returns the message on the node that received it.
    ///
    /// - `decode`: makes a resource from its encoded form.
    ///
    /// # Errors
    ///
    /// Fails if `decode` does.
    pub fn into_message<E>(
        self,
        mut decode: impl FnMut(EncodedResource) -> Result<Box<dyn MessageResource>, E>,
    ) -> Result<DataMessage, E> {
        let mut message = DataMessage::new(self.tag, self.bytes);
        if !self.resources.is_empty() {
            let mut resources = Resources::with_capacity(self.resources.len());
            for slot in self.resources {
                resources.push(slot.map(&mut decode).transpose()?);
            }
            message.resources = Some(Box::new(resources));
        }
        Ok(message)
    }
}

/// The error of [`DataMessage::read`] when the cursor is behind the end of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorBehindEnd {
    /// The position of the cursor, in bytes from the start.
    pub cursor: usize,
    /// How long the message is, in bytes.
    pub length: usize,
}

impl DataMessage {
    /// How much of the limits of a mailbox a resource takes, whatever its real size.
    pub const RESOURCE_BYTES: usize = 128;

    /// Returns a message of these bytes, with the cursor at their start.
    pub fn new(tag: Option<Tag>, bytes: impl Into<Vec<u8>>) -> DataMessage {
        DataMessage {
            tag,
            buffer: SmallVec::from_vec(bytes.into()),
            ..DataMessage::default()
        }
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// Returns all bytes, independently of the cursor.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes all bytes out, without a copy if there are many. The resources stay.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.cursor = 0;
        std::mem::take(&mut self.buffer).into_vec()
    }

    /// Appends bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Copies bytes from the cursor on into `target`, until the target is full or the
    /// message ends, and moves the cursor behind them. Returns their number, which is
    /// 0 at the end of the message.
    ///
    /// # Errors
    ///
    /// [`CursorBehindEnd`] if [`seek`](DataMessage::seek) moved the cursor behind the
    /// end of the bytes.
    pub fn read(&mut self, target: &mut [u8]) -> Result<usize, CursorBehindEnd> {
        let rest = self.buffer.get(self.cursor..).ok_or(CursorBehindEnd {
            cursor: self.cursor,
            length: self.buffer.len(),
        })?;
        let count = rest.len().min(target.len());
        target[..count].copy_from_slice(&rest[..count]);
        self.cursor += count;
        Ok(count)
    }

    /// Sets the read cursor, in bytes from the start. Whether it is inside of the
    /// message is checked only by the next [`read`](DataMessage::read).
    pub fn seek(&mut self, cursor: usize) {
        self.cursor = cursor;
    }

    /// Adds a resource and returns its index.
    pub fn push(&mut self, resource: impl MessageResource) -> usize {
        let resources = self.resources.get_or_insert_default();
        resources.push(Some(Box::new(resource)));
        resources.slots.len() - 1
    }

    /// Takes the resource at `index` out of the message. Returns `None`, and leaves it
    /// in its place, if it has another type; and `None` if there is no resource.
    ///
    /// The indexes of the other resources do not change.
    pub fn take<R: MessageResource>(&mut self, index: usize) -> Option<R> {
        let resources = self.resources.as_mut()?;
        let slot = resources.slots.get_mut(index)?;
        let is_wanted = slot.as_deref().is_some_and(|resource| {
            let resource: &dyn Any = resource;
            resource.is::<R>()
        });
        let resource = is_wanted.then(|| slot.take())??;
        resources.charged_bytes -= resource.charged_bytes();
        let resource: Box<dyn Any> = resource;
        resource.downcast().ok().map(|resource| *resource)
    }

    /// The message in the form in which it crosses to another node. The read cursor
    /// does not cross.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] with the first resource that cannot leave this node.
    pub fn to_wire(&self) -> Result<WireMessage, NotTransferable> {
        Ok(WireMessage {
            tag: self.tag,
            bytes: self.buffer.to_vec(),
            resources: self.encode_resources()?,
        })
    }

    /// Returns the resources by index, encoded for another node; `None` for removed ones.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] with the first resource that cannot leave this node.
    pub fn encode_resources(&self) -> Result<Vec<Option<EncodedResource>>, NotTransferable> {
        let slots = self.resources.iter().flat_map(|resources| &resources.slots);
        let encoded = |slot: &ResourceSlot| {
            let resource = slot.as_ref().map(|resource| resource.encode());
            resource.transpose()
        };
        slots.map(encoded).collect()
    }

    /// Returns whether a resource was ever pushed, even if it was taken out since.
    pub fn had_resources(&self) -> bool {
        self.resource_count() > 0
    }

    /// Returns how many bytes it takes beside itself, room that is not used included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        let buffer = match self.buffer.spilled() {
            true => self.buffer.capacity(),
            false => 0,
        };
        let resources = self.resources.as_ref().map_or(0, |resources| {
            let slots = resources.slots.capacity() * size_of::<ResourceSlot>();
            let entries = resources.slots.len() * DataMessage::RESOURCE_BYTES;
            slots + entries + resources.charged_bytes
        });
        buffer + resources
    }

    /// Returns the number of resources that were pushed, including removed ones.
    #[inline]
    pub fn resource_count(&self) -> usize {
        self.resources
            .as_ref()
            .map_or(0, |resources| resources.slots.len())
    }

    /// Returns the size of the contents, as it counts against limits, in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.buffer.len() + self.resource_count() * DataMessage::RESOURCE_BYTES
    }
}

impl fmt::Debug for DataMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataMessage")
            .field("tag", &self.tag)
            .field("bytes", &self.buffer.len())
            .field("cursor", &self.cursor)
            .field("resources", &self.resource_count())
            .finish()
    }
}
