//! Copies of messages, for processes that are reloaded.

use smallvec::SmallVec;

use crate::message::{DataMessage, Resources};
use crate::resource::{MessageResource, NotShared};

/// A [copy](DataMessage::shared) of a message that is made in pieces, as a large message
/// takes longer than a thread may be kept.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{DataMessage, NotShared, SharedCopy};
///
/// # futures_lite::future::block_on(async {
/// let message = DataMessage::new(None, vec![7; 1_000_000]);
/// let mut copy = SharedCopy::of(&message);
/// while !copy.advance(&message)? {
///     futures_lite::future::yield_now().await;
/// }
/// assert_eq!(copy.into_message().bytes(), message.bytes());
/// # Ok::<(), NotShared>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct SharedCopy(DataMessage);

impl SharedCopy {
    /// The bytes and the resources that are copied at once.
    const BYTES: usize = 64 * 1024;
    const RESOURCES: usize = 256;

    /// Begins the copy of a message. There is room for all of it already.
    pub fn of(message: &DataMessage) -> SharedCopy {
        let resources = message
            .resources
            .as_ref()
            .map(|resources| Box::new(Resources::with_capacity(resources.slots.len())));
        SharedCopy(DataMessage {
            tag: message.tag,
            buffer: SmallVec::with_capacity(message.buffer.len()),
            cursor: 0,
            resources,
        })
    }

    /// Copies the next piece, and returns whether that was the last one.
    ///
    /// - `message`: the same message in each call, unchanged.
    ///
    /// # Errors
    ///
    /// [`NotShared`] names the first resource that cannot be shared.
    pub fn advance(&mut self, message: &DataMessage) -> Result<bool, NotShared> {
        let copy = &mut self.0;
        let missing = message.buffer.get(copy.buffer.len()..).unwrap_or_default();
        copy.write(&missing[..missing.len().min(Self::BYTES)]);
        if let (Some(of), Some(own)) = (&message.resources, &mut copy.resources) {
            let missing = of.slots.iter().skip(own.slots.len());
            for slot in missing.take(Self::RESOURCES) {
                own.push(slot.as_deref().map(share).transpose()?);
            }
        }
        let is_complete = copy.buffer.len() >= message.buffer.len()
            && copy.resource_count() >= message.resource_count();
        Ok(is_complete)
    }

    /// Returns the copy, as far as it is made.
    pub fn into_message(self) -> DataMessage {
        self.0
    }
}

fn share(resource: &dyn MessageResource) -> Result<Box<dyn MessageResource>, NotShared> {
    let kind = resource.kind();
    resource.share().ok_or(NotShared { kind })
}

impl DataMessage {
    /// Returns a message with the same tag and bytes, the cursor at their start, and
    /// further handles of the same resources at the same indexes; slots that were taken
    /// stay empty. [`SharedCopy`] makes one in pieces.
    ///
    /// # Errors
    ///
    /// [`NotShared`] names the first resource that cannot be shared.
    pub fn shared(&self) -> Result<DataMessage, NotShared> {
        let mut copy = SharedCopy::of(self);
        while !copy.advance(self)? {}
        Ok(copy.into_message())
    }
}
