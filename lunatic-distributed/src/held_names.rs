//! The names that are unique in the cluster and belong to processes of this node.

use std::collections::{BTreeMap, btree_map};

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{Pid, Tag};
use parking_lot::Mutex;

/// What becomes of a process that loses its name to an older claim, made where the two nodes
/// could not reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// It is killed, as OTP's `global` does by default.
    Kill,
    /// It is told, by a message with this tag.
    Tell(Option<Tag>),
}

/// The names that processes of this node have or want, each charged to who has asked for it.
///
/// The maps are trees: a hash map would move all of its entries at once when it grows, under the
/// lock.
#[derive(Debug, Default)]
pub struct HeldNames {
    /// By process; one that has ended has no entry.
    held: Mutex<BTreeMap<Pid, BTreeMap<String, Held>>>,
}

/// The names of a process that has ended. Each is charged until it is taken out.
#[derive(Debug)]
pub struct NamesOfEnded(btree_map::IntoIter<String, Held>);

impl Iterator for NamesOfEnded {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.0.next().map(|(name, _)| name)
    }
}

#[derive(Debug)]
struct Held {
    on_loss: OnLoss,
    /// So many registrations are not decided yet.
    pending: u32,
    /// The process has the name.
    is_owned: bool,
    _charges: [Charge; 2],
}

impl HeldNames {
    /// A process is to have a name. Returns whether it is the first since its start: then
    /// [`ended`](HeldNames::ended) has to be called when it ends. When it is decided whether it
    /// gets the name, [`decided`](HeldNames::decided) has to be called.
    ///
    /// - `payer`: to whom the name is charged.
    /// - `claim`: asks for it; called before anybody can learn that the process has ended.
    ///
    /// # Errors
    ///
    /// The payer has no name or no memory left.
    pub fn hold(
        &self,
        process: Pid,
        name: &str,
        on_loss: OnLoss,
        payer: &Account,
        claim: impl FnOnce(),
    ) -> Result<bool, Exceeded> {
        let bytes = (size_of::<Held>() + 2 * name.len()) as u64;
        let mut held = self.held.lock();
        if let Some(known) = held.get_mut(&process).and_then(|names| names.get_mut(name)) {
            known.on_loss = on_loss;
            known.pending = known.pending.saturating_add(1);
            claim();
            return Ok(false);
        }
        let charges = [
            Charge::new(payer, Kind::Names, 1)?,
            Charge::new(payer, Kind::Memory, bytes)?,
        ];
        let is_first = !held.contains_key(&process);
        let new = Held {
            on_loss,
            pending: 1,
            is_owned: false,
            _charges: charges,
        };
        held.entry(process).or_default().insert(name.into(), new);
        claim();
        Ok(is_first)
    }

    /// A registration is decided: the process has the name, or this one has come to nothing.
    pub fn decided(&self, process: Pid, name: &str, has_got_it: bool) {
        self.change(process, name, |held| {
            held.pending = held.pending.saturating_sub(1);
            held.is_owned |= has_got_it;
        });
    }

    /// A process has lost a name to an older claim. What becomes of it; `None` if it has given the
    /// name up meanwhile, or has ended.
    pub fn lost(&self, process: Pid, name: &str) -> Option<OnLoss> {
        let mut was_owned = false;
        let on_loss = self.change(process, name, |held| {
            was_owned = std::mem::take(&mut held.is_owned);
        });
        on_loss.filter(|_| was_owned)
    }

    /// Whether a process has asked for a name since its start.
    pub fn is_known(&self, process: Pid) -> bool {
        self.held.lock().contains_key(&process)
    }

    /// A process gives a name up.
    ///
    /// - `release`: tells the other nodes; called before the name can be asked for again. It is not
    ///   called if the process has given the name up already: what it costs is charged to nobody.
    pub fn give_up(&self, process: Pid, name: &str, release: impl FnOnce()) {
        let mut held = self.held.lock();
        let give_up = |held: &mut Held| held.is_owned = false;
        let was_held = change_in(&mut held, process, name, give_up).is_some();
        // The names of other processes may be known to the caller alone.
        if was_held || !held.contains_key(&process) {
            release();
        }
    }

    fn change(&self, process: Pid, name: &str, change: impl FnOnce(&mut Held)) -> Option<OnLoss> {
        change_in(&mut self.held.lock(), process, name, change)
    }

    /// A process has ended; returns the names that it has or wants. There may be many.
    pub fn ended(&self, process: Pid) -> NamesOfEnded {
        let names = self.held.lock().remove(&process);
        NamesOfEnded(names.unwrap_or_default().into_iter())
    }
}

/// Changes what is known of a name, and forgets it if the process neither has nor wants it.
fn change_in(
    held: &mut BTreeMap<Pid, BTreeMap<String, Held>>,
    process: Pid,
    name: &str,
    change: impl FnOnce(&mut Held),
) -> Option<OnLoss> {
    // That a process has held none so far is not forgotten: who follows its end does so once.
    let names = held.get_mut(&process)?;
    let known = names.get_mut(name)?;
    let on_loss = known.on_loss;
    change(known);
    if known.pending == 0 && !known.is_owned {
        names.remove(name);
    }
    Some(on_loss)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::AccountLimits;

    use super::*;

    const PROCESS: Pid = Pid::from_bits(7);

    fn account() -> Account {
        Account::root(AccountLimits {
            names: 2,
            ..AccountLimits::UNLIMITED
        })
    }

    #[test]
    fn a_name_is_charged_until_it_is_lost_or_the_process_ends() {
        let names = HeldNames::default();
        let account = account();
        let hold = |name: &str| names.hold(PROCESS, name, OnLoss::Kill, &account, || {});
        assert_eq!(hold("one"), Ok(true));
        assert_eq!(hold("two"), Ok(false));
        assert_eq!(hold("two"), Ok(false));
        assert_eq!(hold("three").unwrap_err().kind, Kind::Names);
        names.decided(PROCESS, "one", true);
        assert_eq!(names.lost(PROCESS, "one"), Some(OnLoss::Kill));
        assert_eq!(names.lost(PROCESS, "one"), None);
        assert_eq!(account.used(Kind::Names), 1);
        let ended: Vec<_> = names.ended(PROCESS).collect();
        assert_eq!(ended, ["two"]);
        assert_eq!(account.used(Kind::Names), 0);
        assert_eq!(account.used(Kind::Memory), 0);
        assert_eq!(hold("one"), Ok(true));
        names.decided(PROCESS, "one", false);
        assert_eq!(account.used(Kind::Names), 0);
    }

    #[test]
    fn a_registration_that_fails_takes_nothing_from_another_of_the_same_process() {
        let names = HeldNames::default();
        let account = account();
        let hold = |on_loss| names.hold(PROCESS, "one", on_loss, &account, || {});
        assert_eq!(hold(OnLoss::Kill), Ok(true));
        assert_eq!(hold(OnLoss::Kill), Ok(false));
        // The second, as the first is not decided yet.
        names.decided(PROCESS, "one", false);
        names.decided(PROCESS, "one", true);
        assert_eq!(account.used(Kind::Names), 1);
        // Wanted again as it is lost.
        assert_eq!(hold(OnLoss::Tell(None)), Ok(false));
        assert_eq!(names.lost(PROCESS, "one"), Some(OnLoss::Tell(None)));
        assert_eq!(account.used(Kind::Names), 1);
        names.decided(PROCESS, "one", true);
        let ended: Vec<_> = names.ended(PROCESS).collect();
        assert_eq!(ended, ["one"]);
        assert_eq!(account.used(Kind::Names), 0);
    }

    #[test]
    fn the_names_of_who_has_ended_are_charged_until_they_are_taken() {
        let names = HeldNames::default();
        let account = Account::default();
        for name in ["a", "b", "c"] {
            let held = names.hold(PROCESS, name, OnLoss::Kill, &account, || {});
            assert!(held.is_ok());
        }
        let mut ended = names.ended(PROCESS);
        assert!(!names.is_known(PROCESS));
        assert_eq!(ended.next().as_deref(), Some("a"));
        assert_eq!(account.used(Kind::Names), 2);
        drop(ended);
        assert_eq!(account.used(Kind::Names), 0);
    }

    #[test]
    fn a_name_that_is_given_up_is_charged_no_longer() {
        let names = HeldNames::default();
        let account = account();
        let held = names.hold(PROCESS, "one", OnLoss::Kill, &account, || {});
        assert_eq!(held, Ok(true));
        names.decided(PROCESS, "one", true);
        let mut is_released = false;
        names.give_up(PROCESS, "one", || is_released = true);
        assert!(is_released);
        assert_eq!(account.used(Kind::Names), 0);
        // Nobody is told of it again.
        let mut is_released = false;
        names.give_up(PROCESS, "one", || is_released = true);
        assert!(!is_released);
        // Of a process that has held none, nothing is known here.
        names.give_up(Pid::from_bits(8), "one", || is_released = true);
        assert!(is_released);
        // That an older claim has turned up is no longer of its concern, even if it wants the name
        // again.
        assert_eq!(names.lost(PROCESS, "one"), None);
        let held = names.hold(PROCESS, "one", OnLoss::Kill, &account, || {});
        assert_eq!(held, Ok(false));
        assert_eq!(names.lost(PROCESS, "one"), None);
        assert_eq!(account.used(Kind::Names), 1);
    }
}
