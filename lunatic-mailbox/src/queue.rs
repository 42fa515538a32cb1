//! The messages of one mailbox in arrival order, with an index by tag.
//!
//! Pure data: no locks, no tasks. Every message gets a sequence number when it
//! arrives; the numbers only go up, so the slots are sorted by them. A message
//! taken from the middle leaves a hole, and holes are swept when they are more
//! than the messages.
//!
//! A short queue is searched for a tag from the front. Only when a search has
//! passed over many messages is an index built, and it is forgotten when the
//! queue runs empty: a mailbox that is received in order never pays for it.

use std::collections::{HashMap, VecDeque};

use crate::message::{Message, Tag};

/// A search that has passed over so many messages builds the index.
const SEARCH_LIMIT: usize = 64;

/// Fewer holes than this are not worth a sweep.
const HOLES_KEPT: usize = 64;

/// What a receiver wants of the messages in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The oldest message of any kind, tagged or not.
    Any,
    /// The oldest message with one of these tags. An empty list matches nothing.
    Tags(Vec<Tag>),
}

impl Wanted {
    /// A wait for any of these tags.
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Wanted {
        Wanted::Tags(tags.into_iter().collect())
    }

    /// Whether a message is wanted.
    pub fn matches(&self, message: &Message) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Tags(tags) => message.tag().is_some_and(|tag| tags.contains(&tag)),
        }
    }
}

/// Messages in arrival order.
#[derive(Debug, Default)]
pub struct Queue {
    /// Sorted by sequence; the first slot is never a hole.
    slots: VecDeque<Slot>,
    next_sequence: u64,
    live: usize,
    bytes: usize,
    by_tag: Option<TagIndex>,
}

#[derive(Debug)]
struct Slot {
    sequence: u64,
    message: Option<Message>,
}

/// The sequences of the queued messages of each tag, oldest first.
type TagIndex = HashMap<Tag, VecDeque<u64>>;

impl Queue {
    /// An empty queue.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// What the queued messages weigh, in bytes (see [`Message::size`]).
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
        self.sweep();
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

    /// Keeps the first slot filled, and the holes fewer than the messages.
    fn sweep(&mut self) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.message.is_none())
        {
            self.slots.pop_front();
        }
        let holes = self.slots.len() - self.live;
        if holes > HOLES_KEPT && holes > self.live {
            self.slots.retain(|slot| slot.message.is_some());
        }
        self.give_back();
    }

    /// A queue that was very long once does not keep its memory for ever.
    fn give_back(&mut self) {
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
