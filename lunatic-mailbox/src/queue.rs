//! The messages of one mailbox in arrival order, with an index by tag.
//!
//! There are no locks and no tasks here. Every message gets a sequence number when it arrives. The
//! numbers increase, so the messages are sorted by them. They lie in blocks: no step moves more
//! than a block. Taking a message from the middle leaves an empty slot; neighbouring blocks with
//! few messages are joined.
//!
//! A search for a tag begins at the front. When it has passed over many messages, it continues in
//! pieces, and puts the messages that it passes over into an index by tag, which is dropped when
//! the queue is empty. So a mailbox whose messages are received in order never has an index.

mod block;
mod payer;
mod tag_index;

use std::collections::VecDeque;
use std::mem;

use crate::message::{Message, Tag};
use crate::queue::block::{Block, SLOTS, SPARSE, Stamp};
pub(crate) use crate::queue::payer::Payer;
use crate::queue::tag_index::TagIndex;
use crate::wanted::{TagList, Wanted};

/// A search that has passed over so many messages builds an index.
const SEARCH_LIMIT: usize = 64;

/// A piece of a search looks at so many messages and tags.
const SEARCH_PIECE: usize = 256;

/// Two neighbouring blocks that have no more messages are joined.
const JOINED: usize = SLOTS / 2;

/// The first block, when it is emptied from the front, is joined later: most likely it
/// is empty soon. Together the two have then as few messages as a block that gives
/// memory back.
const FIRST_JOINED: usize = 2 * SLOTS / SPARSE;

/// A queue takes no more messages in its life than a sequence number can count.
const SEQUENCES: u64 = 1 << (u64::BITS - Payer::BITS);

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
    /// The blocks before `last`; none of them is empty.
    full: VecDeque<Block>,
    /// The block that messages are appended to. Most queues have only this one.
    last: Block,
    next_sequence: u64,
    /// The number of messages.
    live: usize,
    /// The sum of their sizes.
    bytes: usize,
    by_tag: Option<Box<TagIndex>>,
}

/// A search for the oldest message with one of several tags, which is continued piece
/// by piece. It does not look at messages that arrived after it has begun.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// The number of the first message that arrived later.
    until: u64,
    /// How many of the tags were looked up in the index.
    looked_up: usize,
    /// The oldest message that was found there.
    oldest: Option<u64>,
}

/// The result of a piece of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The message with this sequence number.
    Found(u64),
    /// No message matches, and the search is over.
    Nothing,
    /// No message matches yet.
    Unfinished,
}

impl Queue {
    /// Returns an empty queue.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// Returns the number of queued messages.
    #[inline]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Returns whether no message is queued.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Returns the sum of the sizes of the queued messages, in bytes; see
    /// [`Message::size`].
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns tag and size of the data, in bytes, of the messages that were appended last, the
    /// last one behind.
    ///
    /// - `max`: no more than so many.
    pub fn last(&self, max: usize) -> Vec<(Option<Tag>, usize)> {
        let blocks = std::iter::once(&self.last).chain(self.full.iter().rev());
        let newest = blocks.flat_map(Block::newest_first).take(max);
        let data = |message: &Message| match message {
            Message::Data(data) => data.bytes().len(),
            Message::LinkDied { .. } | Message::ProcessDied { .. } => 0,
        };
        let mut last: Vec<_> = newest.map(|it| (it.tag(), data(it))).collect();
        last.reverse();
        last
    }

    /// Returns for how many messages the queue has memory.
    pub fn capacity(&self) -> usize {
        let full: usize = self.full.iter().map(Block::capacity).sum();
        full + self.last.capacity()
    }

    /// Appends a message and returns its sequence number.
    pub fn push(&mut self, message: Message) -> u64 {
        self.push_taken(&mut Some(message), Payer::NOBODY)
    }

    /// Appends a message that is charged to an account, and returns its sequence number.
    ///
    /// - `message`: is taken out; it must not be `None`.
    #[inline]
    pub(crate) fn push_taken(&mut self, message: &mut Option<Message>, payer: Payer) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.live += 1;
        self.bytes += message.as_ref().map_or(0, Message::size);
        if self.last.is_full() {
            self.begin_block();
        }
        self.last.push(sequence, payer, message);
        sequence
    }

    /// Returns whether all sequence numbers were used.
    #[inline]
    pub(crate) fn is_worn_out(&self) -> bool {
        self.next_sequence >= SEQUENCES
    }

    /// Takes the oldest queued message that is wanted. This searches all of the queue.
    pub fn take_wanted(&mut self, wanted: &Wanted) -> Option<Message> {
        let mut taken = None;
        match wanted {
            Wanted::Any => {
                self.take_first(&mut taken);
            }
            Wanted::Tags(tags) => {
                let mut search = self.begin_search();
                loop {
                    match self.search(tags, &mut search) {
                        Progress::Found(sequence) => return self.take(sequence),
                        Progress::Nothing => break,
                        Progress::Unfinished => {}
                    }
                }
            }
        }
        taken
    }

    /// Takes the message with this sequence number, if it is still queued.
    pub fn take(&mut self, sequence: u64) -> Option<Message> {
        let mut taken = None;
        self.take_sequence(sequence, &mut taken);
        taken
    }

    /// Returns the oldest message.
    #[inline]
    pub(crate) fn first(&self) -> Option<&Message> {
        self.full.front().unwrap_or(&self.last).first_message()
    }

    /// Takes the oldest message, and returns to whom it was charged.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(crate) fn take_first(&mut self, taken: &mut Option<Message>) -> Option<Payer> {
        let Some(block) = self.full.front_mut() else {
            let stamp = self.last.take_first(taken)?;
            self.count_out(stamp, taken.as_ref());
            self.last.release_memory();
            return Some(stamp.payer());
        };
        let stamp = block.take_first(taken)?;
        let left = block.live();
        self.count_out(stamp, taken.as_ref());
        if left <= FIRST_JOINED {
            self.join_first(left);
        }
        Some(stamp.payer())
    }

    /// Takes the message with this sequence number, if it is still queued, and returns to whom
    /// it was charged.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(crate) fn take_sequence(
        &mut self,
        sequence: u64,
        taken: &mut Option<Message>,
    ) -> Option<Payer> {
        if self.full.is_empty() {
            let stamp = self.last.take(sequence, taken)?;
            self.count_out(stamp, taken.as_ref());
            self.last.release_memory();
            return Some(stamp.payer());
        }
        let position = block_of(&self.full, &self.last, sequence);
        let stamp = match self.full.get_mut(position) {
            Some(block) => block.take(sequence, taken),
            None => self.last.take(sequence, taken),
        }?;
        self.count_out(stamp, taken.as_ref());
        self.join_neighbours(position);
        Some(stamp.payer())
    }

    /// Begins a search among the messages that are queued now.
    pub(crate) fn begin_search(&self) -> Search {
        Search {
            until: self.next_sequence,
            looked_up: 0,
            oldest: None,
        }
    }

    /// Does the next piece of a search. The messages before that piece are in the index, and have
    /// none of the tags.
    pub(crate) fn search(&mut self, tags: &TagList, search: &mut Search) -> Progress {
        let Some(index) = &mut self.by_tag else {
            return self.search_without_index(tags, search);
        };
        let mut left = SEARCH_PIECE;
        let lookups = tags.as_slice()[search.looked_up..].iter().take(left);
        left -= lookups.len();
        search.looked_up += lookups.len();
        let oldest = lookups.filter_map(|tag| index.oldest(*tag)).min();
        search.oldest = search.oldest.into_iter().chain(oldest).min();
        if search.looked_up < tags.as_slice().len() {
            return Progress::Unfinished;
        }
        if let Some(oldest) = search.oldest {
            return Progress::Found(oldest);
        }
        for (sequence, message) in messages_from(&self.full, &self.last, index.end) {
            if sequence >= search.until {
                break;
            }
            if left == 0 {
                return Progress::Unfinished;
            }
            left -= 1;
            index.end = sequence;
            if let Some(tag) = message.tag() {
                if tags.contains(tag) {
                    return Progress::Found(sequence);
                }
                index.insert(tag, sequence);
            }
            index.end = sequence + 1;
        }
        Progress::Nothing
    }

    /// Searches the first messages. If there are more, the next piece makes an index.
    fn search_without_index(&mut self, tags: &TagList, search: &mut Search) -> Progress {
        let first = messages_from(&self.full, &self.last, 0)
            .take_while(|(sequence, _)| *sequence < search.until)
            .take(SEARCH_LIMIT)
            .find(|(_, message)| message.tag().is_some_and(|tag| tags.contains(tag)));
        if let Some((sequence, _)) = first {
            return Progress::Found(sequence);
        }
        if self.live <= SEARCH_LIMIT {
            return Progress::Nothing;
        }
        let first = self.full.front().unwrap_or(&self.last).first();
        self.by_tag = Some(Box::new(TagIndex::new(first.unwrap_or_default())));
        // Nothing is in the index yet.
        search.looked_up = tags.as_slice().len();
        search.oldest = None;
        self.search(tags, search)
    }

    /// Counts a message out that was taken from a block.
    #[inline]
    fn count_out(&mut self, stamp: Stamp, taken: Option<&Message>) {
        let Some(taken) = taken else {
            return;
        };
        self.live -= 1;
        self.bytes -= taken.size();
        if self.by_tag.is_some() {
            self.unindex(stamp, taken.tag());
        }
    }

    #[cold]
    fn unindex(&mut self, stamp: Stamp, tag: Option<Tag>) {
        if self.live == 0 {
            self.by_tag = None;
        }
        if let (Some(index), Some(tag)) = (&mut self.by_tag, tag) {
            index.remove(tag, stamp.sequence());
        }
    }

    #[cold]
    fn begin_block(&mut self) {
        if self.last.live() <= JOINED {
            return self.last.remove_empty_slots();
        }
        // A queue of so many messages is likely to be as long for a while.
        let full = mem::replace(&mut self.last, Block::with_room(SLOTS));
        self.full.push_back(full);
    }

    /// Removes the first block if it has no messages, or joins it with the second if both
    /// have few.
    fn join_first(&mut self, left: usize) {
        if left == 0 {
            return self.remove(0);
        }
        let second = self.full.get(1).unwrap_or(&self.last);
        if left + second.live() <= FIRST_JOINED {
            self.join(0);
        }
    }

    /// Removes a block without messages, or joins it with one beside it if both have few.
    fn join_neighbours(&mut self, position: usize) {
        if self
            .full
            .get(position)
            .is_some_and(|block| block.live() == 0)
        {
            return self.remove(position);
        }
        for first in [Some(position), position.checked_sub(1)]
            .into_iter()
            .flatten()
        {
            let (Some(earlier), later) = (
                self.full.get(first),
                self.full.get(first + 1).unwrap_or(&self.last),
            ) else {
                continue;
            };
            if earlier.live() + later.live() <= JOINED {
                return self.join(first);
            }
        }
    }

    /// Removes a block without messages.
    fn remove(&mut self, position: usize) {
        self.full.remove(position);
        if self.full.is_empty() {
            self.last.release_memory();
        }
    }

    /// Joins a block and the one after it.
    fn join(&mut self, first: usize) {
        let later = self.full.remove(first + 1);
        let is_last = later.is_none();
        let later = later.unwrap_or_else(|| mem::take(&mut self.last));
        let Some(earlier) = self.full.get_mut(first) else {
            return;
        };
        let joined = mem::take(earlier).join(later);
        match is_last {
            true => {
                self.full.pop_back();
                self.last = joined;
            }
            false => *earlier = joined,
        }
    }
}

/// Returns the position of the block in which a message is, if it is queued; `last` is
/// behind the end of `full`.
fn block_of(full: &VecDeque<Block>, last: &Block, sequence: u64) -> usize {
    if last.first().is_some_and(|first| first <= sequence) {
        return full.len();
    }
    let behind = full.partition_point(|block| block.first() <= Some(sequence));
    behind.saturating_sub(1)
}

/// Returns the messages from a sequence number on, with their numbers.
fn messages_from<'a>(
    full: &'a VecDeque<Block>,
    last: &'a Block,
    sequence: u64,
) -> impl Iterator<Item = (u64, &'a Message)> {
    let position = block_of(full, last, sequence);
    full.range(position.min(full.len())..)
        .chain([last])
        .flat_map(move |block| block.messages_from(sequence))
}
