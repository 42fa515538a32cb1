//! Who pays for what other nodes make this one keep.

use std::collections::HashMap;

use lunatic_account::{Account, AccountLimits, BranchError, Kind};
use lunatic_mailbox::NodeNumber;
use lunatic_trust::NodeName;
use parking_lot::Mutex;

/// The accounts of the other nodes, by their names, so that a node that starts again pays
/// for what is left of its earlier start.
///
/// An account is a [part](Account::part) of that of the runtime: what processes may do to each
/// other does not depend on who has started them.
#[derive(Debug)]
pub(super) struct PeerAccounts {
    root: Account,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<NodeName, Account>,
    /// Those of the nodes that are connected and have made this one keep something.
    by_number: HashMap<NodeNumber, (NodeName, Account)>,
}

impl PeerAccounts {
    /// - `root`: the account of the runtime.
    pub(super) fn new(root: &Account) -> PeerAccounts {
        PeerAccounts {
            root: root.clone(),
            known: Mutex::default(),
        }
    }

    /// The account of the runtime.
    pub(super) fn root(&self) -> &Account {
        &self.root
    }

    /// The account of a node that is connected, if it has made this one keep something.
    pub(super) fn get(&self, number: NodeNumber) -> Option<Account> {
        let known = self.known.lock();
        known
            .by_number
            .get(&number)
            .map(|(_, account)| account.clone())
    }

    /// The account of a node that is connected.
    ///
    /// - `limits`: of a new account. Without a limit of memory of its own, it may have half of
    ///   what the runtime has.
    ///
    /// # Errors
    ///
    /// The runtime has no memory left for another account.
    pub(super) fn begin(
        &self,
        number: NodeNumber,
        name: &NodeName,
        mut limits: AccountLimits,
    ) -> Result<Account, BranchError> {
        let mut known = self.known.lock();
        let account = match known.by_name.get(name) {
            Some(account) => account.clone(),
            None => {
                if limits.memory == u64::MAX {
                    limits.memory = self.root.limits().memory / 2;
                }
                let account = self.root.part(limits)?;
                known.by_name.insert(name.clone(), account.clone());
                account
            }
        };
        let entry = (name.clone(), account.clone());
        known.by_number.insert(number, entry);
        Ok(account)
    }

    /// A node is not connected any more. Its account is kept as long as something is charged
    /// to it.
    pub(super) fn end(&self, number: NodeNumber) {
        let mut known = self.known.lock();
        known.by_number.remove(&number);
        let Known { by_name, by_number } = &mut *known;
        by_name.retain(|name, account| {
            let is_used = Kind::ALL.iter().any(|kind| account.used(*kind) > 0);
            is_used || by_number.values().any(|(other, _)| other == name)
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn accounts() -> PeerAccounts {
        let memory = 1000 << 10;
        PeerAccounts::new(&Account::root(AccountLimits {
            memory,
            ..AccountLimits::UNLIMITED
        }))
    }

    #[test]
    fn a_node_that_starts_again_has_the_account_of_before_while_that_is_used() {
        let accounts = accounts();
        let [first, second] = [1, 2].map(|number| NodeNumber::new(number).unwrap());
        let name = "one".parse().unwrap();
        let begin = |number| accounts.begin(number, &name, AccountLimits::UNLIMITED);
        let before = begin(first).unwrap();
        assert_eq!(before.limits().memory, 500 << 10);
        before.charge(Kind::Memory, 7).unwrap();
        accounts.end(first);
        assert!(accounts.get(first).is_none());
        let again = begin(second).unwrap();
        assert!(again.is(&before));
        again.release(Kind::Memory, 7);
        accounts.end(second);
        assert!(!begin(first).unwrap().is(&before));
    }

    #[test]
    fn processes_of_all_nodes_are_of_one_branch() {
        let accounts = accounts();
        let number = NodeNumber::new(1).unwrap();
        let account = accounts.begin(number, &"one".parse().unwrap(), AccountLimits::UNLIMITED);
        assert!(!account.unwrap().is_branch());
    }
}
