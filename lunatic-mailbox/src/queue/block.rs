//! A part of a queue that is so short that all of it may be moved in one step.

use std::collections::VecDeque;
use std::mem;

use crate::message::Message;
use crate::queue::payer::Payer;

/// The highest number of slots of a block.
pub(super) const SLOTS: usize = 1024;

/// A block without messages keeps room for so many.
const KEPT_SLOTS: usize = 64;

/// A block of more than [`KEPT_SLOTS`] of which less than one in so many is used gives
/// memory back.
pub(super) const SPARSE: usize = 8;

/// The factor by which a block grows when it needs more room.
const GROWTH: usize = 4;

/// Messages in order. Neither the first nor the last slot is empty.
#[derive(Debug, Default)]
pub(super) struct Block {
    slots: VecDeque<Slot>,
    /// The number of messages.
    live: usize,
}

/// The place of a message, which is empty after the message was taken.
#[derive(Debug)]
struct Slot {
    stamp: Stamp,
    message: Option<Message>,
}

// One cache line.
const _: () = assert!(size_of::<Slot>() <= 64);

/// A sequence number of 48 bits above the number of a payer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(u64);

impl Block {
    /// Returns a block with room for so many messages.
    pub(super) fn with_room(slots: usize) -> Block {
        Block {
            slots: VecDeque::with_capacity(slots),
            live: 0,
        }
    }

    /// Returns the number of messages.
    #[inline]
    pub(super) fn live(&self) -> usize {
        self.live
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= SLOTS
    }

    /// Returns for how many messages there is room.
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Returns the sequence number of the first message.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.stamp.sequence())
    }

    /// Returns the first message.
    #[inline]
    pub(super) fn first_message(&self) -> Option<&Message> {
        self.slots.front()?.message.as_ref()
    }

    /// Returns the messages, the last one first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Message> {
        self.slots
            .iter()
            .rev()
            .filter_map(|slot| slot.message.as_ref())
    }

    /// Appends a message.
    ///
    /// - `message`: is taken out; it must not be `None`.
    #[inline]
    pub(super) fn push(&mut self, sequence: u64, payer: Payer, message: &mut Option<Message>) {
        if self.slots.len() == self.slots.capacity() {
            self.grow();
        }
        self.live += 1;
        self.slots.push_back(Slot {
            stamp: Stamp::new(sequence, payer),
            message: message.take(),
        });
    }

    /// Takes the first message.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(super) fn take_first(&mut self, taken: &mut Option<Message>) -> Option<Stamp> {
        let Slot { stamp, message } = self.slots.pop_front()?;
        *taken = message;
        self.live -= 1;
        if self.slots.len() > self.live {
            self.trim();
        }
        Some(stamp)
    }

    /// Takes the message with this sequence number.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(super) fn take(&mut self, sequence: u64, taken: &mut Option<Message>) -> Option<Stamp> {
        match self.first() == Some(sequence) {
            true => self.take_first(taken),
            false => self.take_from_middle(sequence, taken),
        }
    }

    fn take_from_middle(&mut self, sequence: u64, taken: &mut Option<Message>) -> Option<Stamp> {
        let position = self.position(sequence).ok()?;
        let slot = self.slots.get_mut(position)?;
        let stamp = slot.stamp;
        *taken = Some(mem::take(&mut slot.message)?);
        self.live -= 1;
        self.trim();
        Some(stamp)
    }

    /// Returns the messages from this sequence number on, with their numbers.
    pub(super) fn messages_from(&self, sequence: u64) -> impl Iterator<Item = (u64, &Message)> {
        let (Ok(from) | Err(from)) = self.position(sequence);
        self.slots.range(from..).filter_map(|slot| {
            let message = slot.message.as_ref()?;
            Some((slot.stamp.sequence(), message))
        })
    }

    /// Returns a block with the messages of this one and of a later one.
    pub(super) fn join(mut self, mut later: Block) -> Block {
        self.remove_empty_slots();
        later.remove_empty_slots();
        if self.live < later.live {
            while let Some(slot) = self.slots.pop_back() {
                later.slots.push_front(slot);
            }
            later.live += self.live;
            return later;
        }
        self.slots.append(&mut later.slots);
        self.live += later.live;
        self
    }

    /// Removes the slots whose messages were taken.
    pub(super) fn remove_empty_slots(&mut self) {
        if self.slots.len() > self.live {
            self.slots.retain(|slot| slot.message.is_some());
        }
    }

    /// Gives memory back if little of it is used.
    #[inline]
    pub(super) fn release_memory(&mut self) {
        let capacity = self.slots.capacity();
        if capacity > KEPT_SLOTS && self.live * SPARSE <= capacity {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.remove_empty_slots();
        match self.live {
            0 => self.slots = VecDeque::new(),
            live => self.slots.shrink_to((live * 2).max(KEPT_SLOTS)),
        }
    }

    #[cold]
    fn grow(&mut self) {
        const FIRST: usize = 4;
        let capacity = self.slots.capacity();
        let wanted = (capacity * GROWTH).clamp(FIRST, SLOTS.max(capacity + 1));
        self.slots.reserve_exact(wanted - capacity);
    }

    /// Removes empty slots at both ends.
    fn trim(&mut self) {
        let is_empty = |slot: Option<&Slot>| slot.is_some_and(|slot| slot.message.is_none());
        while is_empty(self.slots.front()) {
            self.slots.pop_front();
        }
        while is_empty(self.slots.back()) {
            self.slots.pop_back();
        }
    }

    fn position(&self, sequence: u64) -> Result<usize, usize> {
        self.slots
            .binary_search_by_key(&sequence, |slot| slot.stamp.sequence())
    }
}

impl Stamp {
    const PAYER_BITS: u32 = Payer::BITS;

    #[inline]
    fn new(sequence: u64, payer: Payer) -> Stamp {
        Stamp(sequence << Stamp::PAYER_BITS | u64::from(payer.to_bits()))
    }

    #[inline]
    pub(super) fn sequence(self) -> u64 {
        self.0 >> Stamp::PAYER_BITS
    }

    /// Returns to whom the message was charged.
    #[inline]
    pub(super) fn payer(self) -> Payer {
        Payer::from_bits(self.0 as u16)
    }
}
