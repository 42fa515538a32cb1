//! A queue and the accounts that pay for the messages in it.

use lunatic_account::Account;

use crate::message::Message;
use crate::payers::{Payers, Refusal, Terms};
use crate::queue::{Payer, Queue};

/// The number of messages of at most [`FREE_BYTES`] that may wait without being charged: they are
/// charged to the owner with the mailbox.
const FREE_MESSAGES: usize = 8;

/// See [`FREE_MESSAGES`].
const FREE_BYTES: usize = 128;

/// The bytes that are charged for a message beside its contents: its slot, and its entry in an
/// index, with unused room.
const SLOT_BYTES: usize = 128;

/// Messages, and the accounts that they are charged to.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    pub(crate) queue: Queue,
    payers: Payers,
}

/// An account that pays for nothing in a mailbox any more, to be dropped outside of its
/// lock.
pub(crate) type Unused = Option<Account>;

impl Queued {
    /// Charges a message to its sender, unless it is one of the first few small ones.
    #[inline]
    pub(crate) fn charge(
        &mut self,
        from: Option<&Account>,
        message: &Message,
        terms: Terms,
    ) -> Result<Payer, Refusal> {
        let Some(account) = from else {
            return Ok(Payer::NOBODY);
        };
        if self.queue.len() < FREE_MESSAGES && message.heap_bytes() <= FREE_BYTES {
            return Ok(Payer::NOBODY);
        }
        self.payers.charge(account, charged_bytes(message), terms)
    }

    /// Takes the oldest message, which is not charged any more. Returns whether there was one.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(crate) fn take_first(&mut self, taken: &mut Option<Message>, unused: &mut Unused) -> bool {
        let payer = self.queue.take_first(taken);
        self.release(payer, taken.as_ref(), unused)
    }

    /// Takes a message by its sequence number; it is not charged any more. Returns whether
    /// there was one.
    ///
    /// - `taken`: where it is put.
    #[inline]
    pub(crate) fn take(
        &mut self,
        sequence: u64,
        taken: &mut Option<Message>,
        unused: &mut Unused,
    ) -> bool {
        let payer = self.queue.take_sequence(sequence, taken);
        self.release(payer, taken.as_ref(), unused)
    }

    #[inline]
    fn release(
        &mut self,
        payer: Option<Payer>,
        taken: Option<&Message>,
        unused: &mut Unused,
    ) -> bool {
        let (Some(payer), Some(message)) = (payer, taken) else {
            return false;
        };
        if payer != Payer::NOBODY {
            *unused = self.payers.release(payer, charged_bytes(message));
        }
        true
    }
}

#[inline]
fn charged_bytes(message: &Message) -> u64 {
    (SLOT_BYTES + message.heap_bytes()) as u64
}
