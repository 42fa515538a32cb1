//! A queue and the accounts that pay for the messages in it.

use lunatic_account::Account;

use crate::message::Message;
use crate::payers::{Payers, Refusal};
use crate::queue::{Payer, Queue, Taken};

/// So many messages of at most [`FREE_BYTES`] may wait without being charged: the owner
/// has paid for them with the mailbox.
const FREE_MESSAGES: usize = 8;

/// See [`FREE_MESSAGES`].
const FREE_BYTES: usize = 128;

/// What is charged for a message beside its contents: its slot, and its entry in an
/// index, with room that is not used.
const SLOT_BYTES: usize = 128;

/// Messages, and who pays for them.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    pub(crate) queue: Queue,
    /// `None` until a message is charged.
    payers: Option<Box<Payers>>,
}

/// A message that was taken out and is not charged any more.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) message: Message,
    /// An account that pays for nothing here any more.
    _account: Option<Account>,
}

impl Queued {
    /// Charges a message to its sender, unless it is one of the first few small ones.
    #[inline]
    pub(crate) fn charge(
        &mut self,
        from: Option<&Account>,
        message: &Message,
    ) -> Result<Payer, Refusal> {
        let Some(account) = from else {
            return Ok(Payer::NOBODY);
        };
        if self.queue.len() < FREE_MESSAGES && message.heap_bytes() <= FREE_BYTES {
            return Ok(Payer::NOBODY);
        }
        let payers = self.payers.get_or_insert_default();
        payers.charge(account, charged_bytes(message))
    }

    /// Takes the oldest message.
    #[inline]
    pub(crate) fn take_first(&mut self) -> Option<Released> {
        let taken = self.queue.take_first()?;
        Some(self.release(taken))
    }

    /// Takes a message by its sequence number.
    #[inline]
    pub(crate) fn take(&mut self, sequence: u64) -> Option<Released> {
        let taken = self.queue.take_sequence(sequence)?;
        Some(self.release(taken))
    }

    #[inline]
    fn release(&mut self, taken: Taken) -> Released {
        let Taken { message, payer, .. } = taken;
        let account = match &mut self.payers {
            Some(payers) if payer != Payer::NOBODY => {
                payers.release(payer, charged_bytes(&message))
            }
            _ => None,
        };
        Released {
            message,
            _account: account,
        }
    }
}

fn charged_bytes(message: &Message) -> u64 {
    (SLOT_BYTES + message.heap_bytes()) as u64
}
