//! What travels between processes.

use std::any::Any;
use std::fmt;
use std::num::NonZeroI64;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::pid::Pid;
use crate::resource::{EncodedResource, MessageResource, NotTransferable};

/// A number that a receiver can wait for.
///
/// 0 stands for "no tag" in the host interface, so there is no tag 0: an absent
/// tag is `None` and matches no wait for a tag (ABI §15.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag(NonZeroI64);

impl Tag {
    /// The tag with this value; `None` for 0.
    pub const fn new(value: i64) -> Option<Tag> {
        match NonZeroI64::new(value) {
            Some(value) => Some(Tag(value)),
            None => None,
        }
    }

    /// The value as the host interface writes it.
    pub const fn get(self) -> i64 {
        self.0.get()
    }
}

/// One entry of a mailbox.
#[derive(Debug)]
pub enum Message {
    /// What a process sent.
    Data(DataMessage),
    /// A linked process ended abnormally, and the receiver traps link deaths.
    LinkDied {
        /// The tag of the link.
        tag: Option<Tag>,
    },
    /// A monitored process ended.
    ProcessDied {
        /// Its id.
        process: Pid,
    },
}

impl Message {
    /// The tag a selective receive looks at.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Message::Data(data) => data.tag,
            Message::LinkDied { tag } => *tag,
            Message::ProcessDied { .. } => None,
        }
    }

    /// What the message counts against the limits of a mailbox, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Message>()
            + match self {
                Message::Data(data) => data.size(),
                Message::LinkDied { .. } | Message::ProcessDied { .. } => 0,
            }
    }
}

impl From<DataMessage> for Message {
    fn from(data: DataMessage) -> Message {
        Message::Data(data)
    }
}

/// A place for a resource of a message; empty once the resource is taken out.
type ResourceSlot = Option<Box<dyn MessageResource>>;

/// A message of so many bytes needs no memory of its own: most are a number or an
/// id, and a queue of them is all there is to be allocated.
const INLINE_BYTES: usize = 16;

/// Bytes with a read cursor, a tag, and resources by index.
#[derive(Default)]
pub struct DataMessage {
    tag: Option<Tag>,
    buffer: SmallVec<[u8; INLINE_BYTES]>,
    cursor: usize,
    /// Most messages have none.
    resources: Option<Box<Resources>>,
}

// A long queue is read and written from end to end, so its messages are kept small.
const _: () = assert!(size_of::<DataMessage>() <= 48);

#[derive(Default)]
struct Resources {
    slots: Vec<ResourceSlot>,
}

/// A data message in the form in which it crosses to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireMessage {
    /// The tag.
    pub tag: Option<Tag>,
    /// All bytes.
    pub bytes: Vec<u8>,
    /// The resources by index; `None` where one was taken out.
    pub resources: Vec<Option<EncodedResource>>,
}

impl WireMessage {
    /// The message, on the node at which it arrived.
    ///
    /// - `decode`: makes a resource of its encoded form.
    ///
    /// # Errors
    ///
    /// What `decode` fails with.
    pub fn into_message<E>(
        self,
        mut decode: impl FnMut(EncodedResource) -> Result<Box<dyn MessageResource>, E>,
    ) -> Result<DataMessage, E> {
        let mut message = DataMessage::new(self.tag, self.bytes);
        if !self.resources.is_empty() {
            let slots = self.resources.into_iter();
            let slots = slots.map(|slot| slot.map(&mut decode).transpose());
            let slots = slots.collect::<Result<_, _>>()?;
            message.resources = Some(Box::new(Resources { slots }));
        }
        Ok(message)
    }
}

/// The cursor of a message was set behind the end of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorBehindEnd {
    /// Where the cursor is, in bytes from the start.
    pub cursor: usize,
    /// How long the message is, in bytes.
    pub length: usize,
}

impl DataMessage {
    /// What a resource is reckoned to weigh against limits, wherever it lives.
    pub const RESOURCE_BYTES: usize = 128;

    /// A message of these bytes.
    pub fn new(tag: Option<Tag>, bytes: impl Into<Vec<u8>>) -> DataMessage {
        DataMessage {
            tag,
            buffer: SmallVec::from_vec(bytes.into()),
            ..DataMessage::default()
        }
    }

    /// The tag.
    pub fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// All bytes, wherever the cursor is.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Appends bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Copies as many bytes as there are from the cursor on and `target` takes,
    /// moves the cursor behind them, and returns how many; 0 at the end.
    ///
    /// # Errors
    ///
    /// [`CursorBehindEnd`] after a [`seek`](DataMessage::seek) too far.
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

    /// Sets the read cursor, counted from the start. It is looked at by the next
    /// [`read`](DataMessage::read) only.
    pub fn seek(&mut self, cursor: usize) {
        self.cursor = cursor;
    }

    /// Adds a resource and returns its index.
    pub fn push(&mut self, resource: impl MessageResource) -> usize {
        let slots = &mut self.resources.get_or_insert_default().slots;
        slots.push(Some(Box::new(resource)));
        slots.len() - 1
    }

    /// Takes the resource at `index` out, if it is there and of this type.
    ///
    /// Taking leaves a hole, so other indexes stay what they are; asking for
    /// another type leaves the resource in its place.
    pub fn take<R: MessageResource>(&mut self, index: usize) -> Option<R> {
        let slot = self.resources.as_mut()?.slots.get_mut(index)?;
        let is_wanted = slot.as_deref().is_some_and(|resource| {
            let resource: &dyn Any = resource;
            resource.is::<R>()
        });
        let resource: Box<dyn Any> = is_wanted.then(|| slot.take())??;
        resource.downcast().ok().map(|resource| *resource)
    }

    /// The message in the form in which it crosses to another node. The read cursor
    /// does not cross.
    ///
    /// # Errors
    ///
    /// [`NotTransferable`] names the first resource that cannot leave this node.
    pub fn to_wire(&self) -> Result<WireMessage, NotTransferable> {
        let slots = self.resources.iter().flat_map(|resources| &resources.slots);
        let encoded = |slot: &ResourceSlot| {
            let resource = slot.as_ref().map(|resource| resource.encode());
            resource.transpose()
        };
        Ok(WireMessage {
            tag: self.tag,
            bytes: self.buffer.to_vec(),
            resources: slots.map(encoded).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a resource was ever pushed, taken out since or not.
    pub fn had_resources(&self) -> bool {
        self.resource_count() > 0
    }

    fn resource_count(&self) -> usize {
        self.resources
            .as_ref()
            .map_or(0, |resources| resources.slots.len())
    }

    /// What the content counts against limits, in bytes.
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
