//! Links and monitors of one process as a pure state machine.

use std::collections::{hash_map, hash_set};

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{DataMessage, Message, Pid, PidMap, PidSet, Tag};

use crate::exit::ExitReason;
use crate::failure::Failure;
use crate::signal::{LinkNotice, Signal};

impl From<LinkNotice> for Reaction {
    fn from(notice: LinkNotice) -> Reaction {
        let mut message = DataMessage::default();
        message.push(notice);
        Reaction::Deliver(message.into())
    }
}

/// What a signal makes a process do.
#[derive(Debug)]
pub enum Reaction {
    /// Go on.
    None,
    /// Put this into its own mailbox.
    Deliver(Message),
    /// Put this into its own mailbox, and end if there is no room.
    MustDeliver(Message),
    /// End for this reason.
    Die(ExitReason),
}

/// So many links and monitors of a process are not charged: it has paid for them by being one of
/// the processes that there may be.
const FREE_ENTRIES: usize = 8;

/// Links and monitors are charged so many at once.
const BATCH: usize = 32;

/// What a link or a monitor takes at one of its ends, in bytes, with room that is not used.
const ENTRY_BYTES: u64 = 64;

/// Who is told when a process ends, and what it does when others do.
///
/// Allocates nothing until there is a link or a monitor.
#[derive(Debug)]
pub struct Relations {
    links: PidMap<Option<Tag>>,
    watchers: PidSet,
    /// The monitored processes whose end is told by a message with this tag, and why.
    told_why: Option<Box<PidMap<Option<Tag>>>>,
    on_link_death: OnLinkDeath,
    /// What is charged for all of them.
    charge: Option<Box<Charge>>,
}

/// What a link death does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnLinkDeath {
    Die,
    /// An abnormal one becomes [`Message::LinkDied`].
    Tell,
    /// Every one becomes a [`LinkNotice`].
    Notice,
}

impl Relations {
    /// No links, no monitors.
    ///
    /// - `trap_exits`: what happens to links becomes a [`LinkNotice`]; otherwise,
    ///   link deaths kill.
    pub fn new(trap_exits: bool) -> Relations {
        Relations {
            links: PidMap::default(),
            watchers: PidSet::default(),
            told_why: None,
            on_link_death: match trap_exits {
                true => OnLinkDeath::Notice,
                false => OnLinkDeath::Die,
            },
            charge: None,
        }
    }

    /// Charges one link or monitor more, which is about to be added. Most calls charge nothing,
    /// as that is done for many at once.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left; what is charged stays as it was.
    pub fn make_room(&mut self, payer: &Account) -> Result<(), Exceeded> {
        let needed = bytes_of(self.entry_count() + 1);
        match &mut self.charge {
            Some(charge) if charge.amount() >= needed => Ok(()),
            Some(charge) => charge.set(needed),
            None if needed == 0 => Ok(()),
            None => {
                let charge = Charge::new(payer, Kind::Memory, needed)?;
                self.charge = Some(Box::new(charge));
                Ok(())
            }
        }
    }

    /// Releases what is charged for links and monitors that are gone, if those are many.
    fn give_back(&mut self) {
        let needed = bytes_of(self.entry_count());
        if let Some(charge) = &mut self.charge
            && charge.amount() > needed + bytes_of(FREE_ENTRIES + BATCH)
        {
            // Less is never refused.
            charge.set(needed).ok();
        }
    }

    fn entry_count(&self) -> usize {
        let told_why = self.told_why.as_ref().map_or(0, |told_why| told_why.len());
        self.links.len() + self.watchers.len() + told_why
    }

    /// Takes a signal in and says what follows from it.
    pub fn apply(&mut self, signal: Signal) -> Reaction {
        match signal {
            Signal::Kill => return Reaction::Die(ExitReason::Killed),
            Signal::DieWhenLinkDies(true) => self.on_link_death = OnLinkDeath::Die,
            Signal::DieWhenLinkDies(false) => self.on_link_death = OnLinkDeath::Tell,
            Signal::TrapExits => self.on_link_death = OnLinkDeath::Notice,
            Signal::Exit { from, tag, reason } => return self.asked_to_end(from, tag, reason),
            Signal::Link { peer, tag } => {
                self.links.insert(peer, tag);
            }
            Signal::Unlink { peer } => {
                let was_linked = self.links.remove(&peer).is_some();
                self.give_back();
                if was_linked && self.on_link_death == OnLinkDeath::Notice {
                    return LinkNotice::Unlinked { peer }.into();
                }
            }
            Signal::LinkDied { peer, tag, reason } => return self.link_died(peer, tag, reason),
            Signal::Monitor { watcher } => {
                self.watchers.insert(watcher);
            }
            Signal::StopMonitoring { watcher } => {
                self.watchers.remove(&watcher);
                self.give_back();
            }
            Signal::MailboxFull { receiver } => {
                let full = format!("the mailbox of process {receiver} is full");
                return Reaction::Die(Failure::new(full).into());
            }
            Signal::MessageRefused { receiver } => {
                let refused = format!(
                    "a message to process {receiver} was refused: its node keeps no more for this one"
                );
                return Reaction::Die(Failure::new(refused).into());
            }
            Signal::ProcessDied { process, reason } => return self.process_died(process, reason),
        }
        Reaction::None
    }

    /// Takes out what is charged for links and monitors, to be kept until they are told.
    pub(crate) fn take_charge(&mut self) -> Option<Box<Charge>> {
        self.charge.take()
    }

    /// The linked processes, each with the tag it is to be told, and those that monitor
    /// this one.
    pub(crate) fn into_parts(
        self,
    ) -> (
        hash_map::IntoIter<Pid, Option<Tag>>,
        hash_set::IntoIter<Pid>,
    ) {
        (self.links.into_iter(), self.watchers.into_iter())
    }

    /// The linked processes, each with the tag it is to be told.
    pub fn links(&self) -> impl Iterator<Item = (Pid, Option<Tag>)> {
        self.links.iter().map(|(peer, tag)| (*peer, *tag))
    }

    /// How many processes are linked.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The processes that monitor this one.
    pub fn watchers(&self) -> impl Iterator<Item = Pid> {
        self.watchers.iter().copied()
    }

    /// How many processes monitor this one.
    pub fn watcher_count(&self) -> usize {
        self.watchers.len()
    }

    /// What the other end of a link is told when this process dies; `None` if
    /// there is no link.
    pub fn link_to(&self, peer: Pid) -> Option<Option<Tag>> {
        self.links.get(&peer).copied()
    }

    /// From now on, the end of a monitored process is told by a message with this tag, and why.
    pub fn tell_why(&mut self, process: Pid, tag: Option<Tag>) {
        let told_why = self.told_why.get_or_insert_default();
        told_why.insert(process, tag);
    }

    /// Undoes [`tell_why`](Relations::tell_why).
    pub fn do_not_tell_why(&mut self, process: Pid) -> Option<Option<Tag>> {
        let told_why = self.told_why.as_mut()?;
        let tag = told_why.remove(&process);
        if told_why.is_empty() {
            self.told_why = None;
        }
        self.give_back();
        tag
    }

    fn process_died(&mut self, process: Pid, reason: ExitReason) -> Reaction {
        match self.do_not_tell_why(process) {
            Some(tag) => Reaction::MustDeliver(end_notice(process, tag, &reason).into()),
            // Of a process that never was, nothing is told (ABI §3.5).
            None if reason == ExitReason::NoProcess => Reaction::None,
            None => Reaction::Deliver(Message::ProcessDied { process }),
        }
    }

    fn link_died(&mut self, peer: Pid, tag: Option<Tag>, reason: ExitReason) -> Reaction {
        // A link that was undone meanwhile has nothing to tell.
        if self.links.remove(&peer).is_none() {
            return Reaction::None;
        }
        self.give_back();
        match self.on_link_death {
            OnLinkDeath::Notice => LinkNotice::Exit { from: peer, reason }.into(),
            _ if reason.is_normal() => Reaction::None,
            OnLinkDeath::Die => Reaction::Die(reason.passed_on_by(peer)),
            OnLinkDeath::Tell => Reaction::Deliver(Message::LinkDied { tag }),
        }
    }

    fn asked_to_end(&self, from: Pid, tag: Option<Tag>, reason: ExitReason) -> Reaction {
        match self.on_link_death {
            OnLinkDeath::Notice => LinkNotice::Exit { from, reason }.into(),
            _ if reason.is_normal() => Reaction::None,
            OnLinkDeath::Die => Reaction::Die(reason),
            OnLinkDeath::Tell => Reaction::Deliver(Message::LinkDied { tag }),
        }
    }
}

/// What is charged for so many links and monitors.
fn bytes_of(entries: usize) -> u64 {
    let charged = entries.saturating_sub(FREE_ENTRIES);
    charged.next_multiple_of(BATCH) as u64 * ENTRY_BYTES
}

/// The message that tells why a monitored process has ended (ABI §31).
pub(crate) fn end_notice(process: Pid, tag: Option<Tag>, reason: &ExitReason) -> DataMessage {
    let number: u32 = match reason {
        ExitReason::Normal => 0,
        ExitReason::Failed(_) => 1,
        ExitReason::Killed => 2,
        ExitReason::Shutdown => 3,
        ExitReason::NoProcess => 4,
        ExitReason::NoConnection => 5,
    };
    let mut notice = DataMessage::new(tag, Vec::new());
    notice.write(&process.to_bits().to_le_bytes());
    notice.write(&number.to_le_bytes());
    if let ExitReason::Failed(failure) = reason {
        notice.write(failure.to_string().as_bytes());
    }
    notice
}

impl Default for Relations {
    fn default() -> Relations {
        Relations::new(false)
    }
}
