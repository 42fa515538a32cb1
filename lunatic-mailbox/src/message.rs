//! Messages, their tags and their contents.

use std::any::Any;
use std::fmt;
use std::num::NonZeroI64;

use smallvec::SmallVec;

/// A number by which a receiver can select messages.
///
/// In the host interface 0 means "no tag", so there is no tag 0. A message without a
/// tag has `None`, and does not end a wait for a tag (ABI §15.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// One entry of a mailbox.
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
        process: u64,
    },
}

impl Message {
    /// Returns the tag by which a receiver can select the message.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Message::Data(data) => data.tag,
            Message::LinkDied { tag } => *tag,
            Message::ProcessDied { .. } => None,
        }
    }

    /// Returns how much of [`Limits::bytes`](crate::Limits::bytes) the message takes.
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

/// A slot for a resource that is sent in a message besides its bytes, for example a
/// module or a socket. It is `None` after the resource was taken out. Only the code
/// that puts a resource in and the code that takes it out know its type.
pub type ResourceSlot = Option<Box<dyn Any + Send>>;

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
/// let index = message.push(String::from("any type that is Send"));
///
/// let mut buffer = [0; 8];
/// assert_eq!(message.read(&mut buffer), Ok(8));
/// assert_eq!(&buffer, b"hello wo");
/// assert_eq!(message.read(&mut buffer), Ok(3));
///
/// assert_eq!(message.take::<u32>(index), None);
/// assert!(message.take::<String>(index).is_some());
/// ```
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
}

/// The error of [`DataMessage::read`] when the cursor is behind the end of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorBehindEnd {
    /// Where the cursor is, in bytes from the start.
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
    pub fn push(&mut self, resource: impl Any + Send) -> usize {
        let slots = &mut self.resources.get_or_insert_default().slots;
        slots.push(Some(Box::new(resource)));
        slots.len() - 1
    }

    /// Takes the resource at `index` out of the message. Returns `None`, and leaves it
    /// in its place, if it has another type; and `None` if there is no resource.
    ///
    /// The indexes of the other resources do not change.
    pub fn take<R: Any + Send>(&mut self, index: usize) -> Option<R> {
        let slot = self.resources.as_mut()?.slots.get_mut(index)?;
        match slot.take()?.downcast::<R>() {
            Ok(resource) => Some(*resource),
            Err(other) => {
                *slot = Some(other);
                None
            }
        }
    }

    /// Returns whether a resource was ever pushed, even if it was taken out since.
    pub fn had_resources(&self) -> bool {
        self.resource_count() > 0
    }

    fn resource_count(&self) -> usize {
        self.resources
            .as_ref()
            .map_or(0, |resources| resources.slots.len())
    }

    /// Returns the size of the contents, as it counts against limits, in bytes.
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
