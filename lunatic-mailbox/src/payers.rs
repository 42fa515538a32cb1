//! The accounts that pay for the messages of one mailbox.

use std::collections::BTreeMap;

use lunatic_account::{Account, AccountId, Exceeded, Kind};

use crate::queue::Payer;

/// The accounts to which queued messages are charged.
///
/// Each is charged more than it uses, in chunks, so that most messages cost no atomic
/// operation; when nothing of it is queued any more, everything is released.
#[derive(Debug, Default)]
pub(crate) struct Payers {
    /// The first of them. In most mailboxes it is the only one.
    first: Option<Entry>,
    others: Option<Box<Others>>,
}

/// The accounts beside the first.
#[derive(Debug, Default)]
struct Others {
    /// The accounts by [`Payer`].
    entries: Vec<Option<Entry>>,
    /// The numbers of the empty entries.
    free: Vec<Payer>,
    /// A tree, since a hash table that grows moves all of its entries in one step.
    by_account: BTreeMap<AccountId, Payer>,
    /// The account that was charged last.
    last: Payer,
}

#[derive(Debug)]
struct Entry {
    account: Account,
    /// How much is charged to the account, in bytes.
    reserved: u64,
    /// How much of that is for queued messages.
    used: u64,
}

/// Why a message is not charged.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The account has no memory left.
    Exceeded(Exceeded),
    /// The list of payers is full.
    TooManyPayers,
}

/// Whether a charge can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// The charge is refused if the account has no memory left.
    WithinLimits,
    /// The charge is never refused: the message must not be lost.
    BeyondLimits,
}

/// No less than this is charged at once, if the account allows it.
const CHUNK: u64 = 4096;

impl Payers {
    /// Charges a message.
    #[inline]
    pub(crate) fn charge(
        &mut self,
        account: &Account,
        bytes: u64,
        terms: Terms,
    ) -> Result<Payer, Refusal> {
        match &mut self.first {
            Some(first) if first.account.is(account) => match first.charge(bytes, terms) {
                Ok(()) => Ok(Payer::FIRST),
                Err(exceeded) => Err(Refusal::Exceeded(exceeded)),
            },
            _ => self.charge_another(account, bytes, terms),
        }
    }

    /// Charges a message to an account that is not the first, or becomes it.
    fn charge_another(
        &mut self,
        account: &Account,
        bytes: u64,
        terms: Terms,
    ) -> Result<Payer, Refusal> {
        let others = self.others.as_ref();
        let is_known = others.is_some_and(|others| others.find(account).is_some());
        if self.first.is_some() || is_known {
            let others = self.others.get_or_insert_default();
            return others.charge(account, bytes, terms);
        }
        let mut first = Entry::new(account);
        first.charge(bytes, terms).map_err(Refusal::Exceeded)?;
        self.first = Some(first);
        Ok(Payer::FIRST)
    }

    /// Releases what was charged for a message. Returns an account that is not used any
    /// more, to be dropped outside of locks.
    #[inline]
    pub(crate) fn release(&mut self, payer: Payer, bytes: u64) -> Option<Account> {
        if payer != Payer::FIRST {
            return self.others.as_mut()?.release(payer, bytes);
        }
        let first = self.first.as_mut()?;
        first.release(bytes);
        match first.used {
            0 => self.first.take().map(Entry::end),
            _ => None,
        }
    }
}

impl Others {
    /// Charges a message.
    fn charge(&mut self, account: &Account, bytes: u64, terms: Terms) -> Result<Payer, Refusal> {
        let account = match self.is_crowded() && self.find(account).is_none() {
            true => account.below_root(),
            false => account,
        };
        let known = self.find(account);
        let payer = match known {
            Some(payer) => payer,
            None => self.add(account)?,
        };
        self.last = payer;
        let Some(entry) = self.entry(payer) else {
            return Err(Refusal::TooManyPayers);
        };
        match entry.charge(bytes, terms) {
            Ok(()) => Ok(payer),
            Err(exceeded) => {
                // The sender holds a reference of its own: this is not the last one.
                drop(self.remove_unused(payer));
                Err(Refusal::Exceeded(exceeded))
            }
        }
    }

    fn release(&mut self, payer: Payer, bytes: u64) -> Option<Account> {
        self.entry(payer)?.release(bytes);
        self.remove_unused(payer)
    }

    /// Returns whether half of the numbers are taken. Then an account that is not in the list yet
    /// shares the number of its branch, so that a branch with many accounts leaves numbers for
    /// others.
    fn is_crowded(&self) -> bool {
        self.entries.len() - self.free.len() >= Payer::MAX_LISTED / 2
    }

    fn find(&self, account: &Account) -> Option<Payer> {
        let last = self.entries.get(self.last.index()?);
        let is_last = |entry: &Option<Entry>| {
            let entry = entry.as_ref();
            entry.is_some_and(|entry| entry.account.is(account))
        };
        match last.is_some_and(is_last) {
            true => Some(self.last),
            false => self.by_account.get(&account.id()).copied(),
        }
    }

    fn add(&mut self, account: &Account) -> Result<Payer, Refusal> {
        let entry = Entry::new(account);
        let payer = match self.free.pop() {
            Some(payer) => payer,
            None => {
                let new = Payer::of_index(self.entries.len());
                self.entries.push(None);
                new.ok_or(Refusal::TooManyPayers).inspect_err(|_| {
                    self.entries.pop();
                })?
            }
        };
        if let Some(free) = payer.index().and_then(|index| self.entries.get_mut(index)) {
            *free = Some(entry);
        }
        self.by_account.insert(account.id(), payer);
        Ok(payer)
    }

    fn entry(&mut self, payer: Payer) -> Option<&mut Entry> {
        self.entries.get_mut(payer.index()?)?.as_mut()
    }

    fn remove_unused(&mut self, payer: Payer) -> Option<Account> {
        let place = self.entries.get_mut(payer.index()?)?;
        let unused = place.take_if(|entry| entry.used == 0)?;
        self.by_account.remove(&unused.account.id());
        self.free.push(payer);
        Some(unused.end())
    }
}

impl Entry {
    fn new(account: &Account) -> Entry {
        Entry {
            account: account.clone(),
            reserved: 0,
            used: 0,
        }
    }

    #[inline]
    fn charge(&mut self, bytes: u64, terms: Terms) -> Result<(), Exceeded> {
        let used = self.used + bytes;
        if used > self.reserved {
            self.reserve(used - self.reserved, terms)?;
        }
        self.used = used;
        Ok(())
    }

    /// Charges so many bytes to the account, and some more if it allows that.
    #[cold]
    fn reserve(&mut self, missing: u64, terms: Terms) -> Result<(), Exceeded> {
        let chunk = missing.max(CHUNK).max(self.used / 4);
        let mut charge = |amount| {
            self.account.charge(Kind::Memory, amount)?;
            self.reserved += amount;
            Ok(())
        };
        let charged = charge(chunk).or_else(|_: Exceeded| charge(missing));
        if charged.is_err() && terms == Terms::BeyondLimits {
            self.account.charge_beyond_limits(Kind::Memory, missing);
            self.reserved += missing;
            return Ok(());
        }
        charged
    }

    #[inline]
    fn release(&mut self, bytes: u64) {
        self.used -= bytes;
        let unused = self.reserved - self.used;
        if unused > 2 * CHUNK && unused > self.used {
            self.give_back(unused);
        }
    }

    #[cold]
    fn give_back(&mut self, unused: u64) {
        let kept = CHUNK.max(self.used / 4);
        self.account.release(Kind::Memory, unused - kept);
        self.reserved -= unused - kept;
    }

    /// Releases everything.
    fn end(self) -> Account {
        self.account.release(Kind::Memory, self.reserved);
        self.account
    }
}

/// Whatever is still charged is released.
impl Drop for Payers {
    fn drop(&mut self) {
        let others = self.others.iter().flat_map(|others| &others.entries);
        for entry in self.first.iter().chain(others.flatten()) {
            entry.account.release(Kind::Memory, entry.reserved);
        }
    }
}
