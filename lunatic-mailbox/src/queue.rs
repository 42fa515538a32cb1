//! The messages of one mailbox in arrival order, with an index by tag.
//!
//! There are no locks and no tasks here. Every message gets a sequence number when it
//! arrives. The numbers increase, so the slots are sorted by them. Taking a message
//! from the middle leaves an empty slot; empty slots are removed when there are more
//! of them than messages.
//!
//! A search for a tag begins at the front. When it has passed over many messages, an
//! index by tag is built, which is dropped when the queue is empty. So a mailbox whose
//! messages are received in order never has an index.

use std::collections::{HashMap, VecDeque};

use crate::message::{Message, Tag};

/// A search that has passed over so many messages builds an index.
const SEARCH_LIMIT: usize = 64;

/// Up to so many empty slots are never removed.
const EMPTY_SLOTS_KEPT: usize = 64;

/// Which message a receiver waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The oldest message of any kind, tagged or not.
    Any,
    /// The oldest message with one of these tags. An empty list matches nothing.
    Tags(Vec<Tag>),
}

impl Wanted {
    /// Returns a wait for the oldest message with one of these tags.
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Wanted {
        Wanted::Tags(tags.into_iter().collect())
    }

    /// Returns whether a message ends the wait.
    pub fn matches(&self, message: &Message) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Tags(tags) => message.tag().is_some_and(|tag| tags.contains(&tag)),
        }
    }
}

/// Messages in arrival order.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{DataMessage, Queue, Tag, Wanted};
///
/// let mut queue = Queue::new();
/// queue.push(DataMessage::new(None, *b"first").into());
/// let second = queue.push(DataMessage::new(Tag::new(5), *b"second").into());
///
/// let tagged = queue.take_wanted(&Wanted::tags(Tag::new(5)));
/// assert_eq!(tagged.and_then(|message| message.tag()), Tag::new(5));
/// assert!(queue.take(second).is_none());
/// assert_eq!(queue.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Queue {
    /// Sorted by sequence number; the first one is never empty.
    slots: VecDeque<Slot>,
    next_sequence: u64,
    /// The number of messages.
    live: usize,
    /// The sum of their sizes.
    bytes: usize,
    by_tag: Option<TagIndex>,
}

#[derive(Debug)]
struct Slot {
    sequence: u64,
    message: Option<Message>,
}

/// The sequence numbers of the queued messages of each tag, oldest first.
type TagIndex = HashMap<Tag, VecDeque<u64>>;

impl Queue {
    /// Returns an empty queue.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// Returns the number of queued messages.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Returns whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Returns the sum of the sizes of the queued messages, in bytes; see
    /// [`Message::size`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a message and returns its sequence number.
    pub fn push(&mut self, message: Message) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.live += 1;
        self.bytes += message.size();
        if let (Some(index), Some(tag)) = (&mut self.by_tag, message.tag()) {
            index.entry(tag).or_default().push_back(sequence);
        }
        self.slots.push_back(Slot {
            sequence,
            message: Some(message),
        });
        sequence
    }

    /// Takes the oldest queued message that is wanted.
    pub fn take_wanted(&mut self, wanted: &Wanted) -> Option<Message> {
        match wanted {
            Wanted::Any => self.take_at(0),
            Wanted::Tags(tags) => {
                let position = self.find(tags)?;
                self.take_at(position)
            }
        }
    }

    /// Takes the message with this sequence number, if it is still queued.
    pub fn take(&mut self, sequence: u64) -> Option<Message> {
        let position = self.position(sequence)?;
        self.take_at(position)
    }

    fn find(&mut self, tags: &[Tag]) -> Option<usize> {
        if self.by_tag.is_none() {
            let searched = self.slots.len().min(SEARCH_LIMIT);
            let found = self.slots.iter().take(searched).position(|slot| {
                slot.message
                    .as_ref()
                    .and_then(Message::tag)
                    .is_some_and(|tag| tags.contains(&tag))
            });
            if found.is_some() || searched == self.slots.len() {
                return found;
            }
        }
        let slots = &self.slots;
        let index = self.by_tag.get_or_insert_with(|| index_of(slots));
        let oldest = tags
            .iter()
            .filter_map(|tag| index.get(tag)?.front().copied())
            .min()?;
        self.position(oldest)
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        self.slots
            .binary_search_by_key(&sequence, |slot| slot.sequence)
            .ok()
    }

    fn take_at(&mut self, position: usize) -> Option<Message> {
        let slot = self.slots.get_mut(position)?;
        let sequence = slot.sequence;
        let message = slot.message.take()?;
        self.live -= 1;
        self.bytes -= message.size();
        self.unindex(&message, sequence);
        self.remove_empty_slots();
        Some(message)
    }

    fn unindex(&mut self, message: &Message, sequence: u64) {
        if self.live == 0 {
            self.by_tag = None;
        }
        let (Some(index), Some(tag)) = (&mut self.by_tag, message.tag()) else {
            return;
        };
        let Some(sequences) = index.get_mut(&tag) else {
            return;
        };
        if let Ok(position) = sequences.binary_search(&sequence) {
            sequences.remove(position);
        }
        if sequences.is_empty() {
            index.remove(&tag);
        }
    }

    /// Removes empty slots at the front, and all of them if there are more than
    /// messages.
    fn remove_empty_slots(&mut self) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.message.is_none())
        {
            self.slots.pop_front();
        }
        let empty = self.slots.len() - self.live;
        if empty > EMPTY_SLOTS_KEPT && empty > self.live {
            self.slots.retain(|slot| slot.message.is_some());
        }
        self.release_memory();
    }

    /// Gives the memory of a queue back that was very long and is empty now.
    fn release_memory(&mut self) {
        const KEPT: usize = 1024;
        if self.slots.is_empty() && self.slots.capacity() > KEPT {
            self.slots = VecDeque::new();
        }
    }
}

fn index_of(slots: &VecDeque<Slot>) -> TagIndex {
    let mut index = TagIndex::new();
    for slot in slots {
        if let Some(tag) = slot.message.as_ref().and_then(Message::tag) {
            index.entry(tag).or_default().push_back(slot.sequence);
        }
    }
    index
}
