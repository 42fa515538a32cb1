//! The names that are unique in the cluster and belong to processes of this node.

use std::collections::HashMap;

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
#[derive(Debug, Default)]
pub struct HeldNames {
    /// By process; one that has ended has no entry.
    held: Mutex<HashMap<Pid, HashMap<String, Held>>>,
}

#[derive(Debug)]
struct Held {
    on_loss: OnLoss,
    _charges: [Charge; 2],
}

impl HeldNames {
    /// A process is to have a name. Returns whether it is the first since its start: then
    /// [`ended`](HeldNames::ended) has to be called when it ends.
    ///
    /// - `payer`: to whom the name is charged.
    /// - `claim`: asks for it; called before anybody can learn that the process has ended.
    ///
    /// # Errors
    ///
    /// The payer has no name or no memory left.
    pub(crate) fn hold(
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
            _charges: charges,
        };
        held.entry(process).or_default().insert(name.into(), new);
        claim();
        Ok(is_first)
    }

    /// A process does not have, or get, a name. What becomes of it, if it had it.
    pub fn lost(&self, process: Pid, name: &str) -> Option<OnLoss> {
        let mut held = self.held.lock();
        let lost = held.get_mut(&process)?.remove(name);
        lost.map(|lost| lost.on_loss)
    }

    /// A process has ended; returns the names that it has or wants.
    pub(crate) fn ended(&self, process: Pid) -> Vec<String> {
        let names = self.held.lock().remove(&process).unwrap_or_default();
        names.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::AccountLimits;

    use super::*;

    const PROCESS: Pid = Pid::from_bits(7);

    #[test]
    fn a_name_is_charged_until_it_is_lost_or_the_process_ends() {
        let names = HeldNames::default();
        let account = Account::root(AccountLimits {
            names: 2,
            ..AccountLimits::UNLIMITED
        });
        let hold = |name: &str| names.hold(PROCESS, name, OnLoss::Kill, &account, || {});
        assert_eq!(hold("one"), Ok(true));
        assert_eq!(hold("two"), Ok(false));
        assert_eq!(hold("two"), Ok(false));
        assert_eq!(hold("three").unwrap_err().kind, Kind::Names);
        assert_eq!(names.lost(PROCESS, "one"), Some(OnLoss::Kill));
        assert_eq!(names.lost(PROCESS, "one"), None);
        assert_eq!(account.used(Kind::Names), 1);
        assert_eq!(names.ended(PROCESS), ["two"]);
        assert_eq!(account.used(Kind::Names), 0);
        assert_eq!(account.used(Kind::Memory), 0);
        assert_eq!(hold("one"), Ok(true));
    }
}
