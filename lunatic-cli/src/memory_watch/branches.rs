//! What the branches of a runtime use, and which of them has too much.

use std::collections::BTreeMap;

use lunatic_account::{Account, AccountId, Kind, Shortage};

/// A branch with processes, or with branches below it that have some.
///
/// - `P`: a process.
#[derive(Debug)]
pub(super) struct Branch<P> {
    /// In bytes, with what those below it use; nothing for the root, of which that is not known.
    used: u64,
    /// How much of it the host keeps.
    kept: u64,
    /// Those whose account it is.
    processes: Vec<P>,
    below: BTreeMap<AccountId, Branch<P>>,
}

/// The processes that are to be killed first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heaviest<P> {
    pub(super) processes: Vec<P>,
    /// Whether their account is the root.
    pub(super) is_root: bool,
}

impl<P> Branch<P> {
    /// The root of the tree of branches of these processes.
    pub(super) fn root(processes: impl IntoIterator<Item = (Account, P)>) -> Branch<P> {
        let mut root = Branch::new(0, 0);
        for (account, process) in processes {
            root.add(&account).processes.push(process);
        }
        root
    }

    fn new(used: u64, kept: u64) -> Branch<P> {
        Branch {
            used,
            kept,
            processes: Vec::new(),
            below: BTreeMap::new(),
        }
    }

    /// The branch of an account, below this root.
    fn add(&mut self, account: &Account) -> &mut Branch<P> {
        let Some(parent) = account.parent() else {
            return self;
        };
        let above = self.add(parent);
        let branch = above.below.entry(account.id());
        branch.or_insert_with(|| {
            let used = account.used(Kind::Memory);
            Branch::new(used, used.saturating_sub(account.used(Kind::LinearMemory)))
        })
    }

    /// From the root down, of the branch that uses most the one below it that uses most, until
    /// one uses more by itself than any that is below it: so a branch does not get away by dividing
    /// what it uses.
    ///
    /// - `uncharged`: what the program takes and was charged to nobody, in bytes. It counts as used by
    ///   all processes alike: whoever has many does not get away by what a process takes beyond what
    ///   is charged for it.
    pub(super) fn heaviest(mut self, uncharged: u64) -> Heaviest<P> {
        let for_each = uncharged / self.count().max(1);
        for branch in self.below.values_mut() {
            branch.add_for_each(for_each);
        }
        let mut is_root = true;
        loop {
            let below: u64 = self.below.values().map(|branch| branch.used).sum();
            let own = self.used.saturating_sub(below);
            let most = self.below.into_values().max_by_key(|branch| branch.used);
            match most {
                Some(branch) if branch.used > own || self.processes.is_empty() => self = branch,
                _ => {
                    let processes = self.processes;
                    return Heaviest { processes, is_root };
                }
            }
            is_root = false;
        }
    }

    /// How many processes it has, with those of the branches below.
    fn count(&self) -> u64 {
        let below: u64 = self.below.values().map(Branch::count).sum();
        below + self.processes.len() as u64
    }

    /// Adds something to what is used, for each process.
    fn add_for_each(&mut self, bytes: u64) {
        self.used += bytes * self.count();
        for branch in self.below.values_mut() {
            branch.add_for_each(bytes);
        }
    }

    /// Who is to be refused memory while the program takes nearly as much as it may: who has more
    /// than an equal part of it. This has to be the root.
    ///
    /// - `account`: its account.
    /// - `resident`: what the program takes.
    /// - `limit`: what it may take before somebody is refused.
    pub(super) fn shortage(&self, account: &Account, resident: u64, limit: u64) -> Shortage {
        let root = usize::from(!self.processes.is_empty());
        let share = limit / (self.below.len() + root).max(1) as u64;
        let of_branches: u64 = self.below.values().map(|branch| branch.used).sum();
        let of_others = of_branches.saturating_add(self.left_behind(account));
        Shortage::AboveShare {
            share,
            is_root_above: resident.saturating_sub(of_others) > share,
        }
    }

    /// What is charged to branches that have no processes any more, as messages that they have
    /// sent.
    fn left_behind(&self, root: &Account) -> u64 {
        let kept: u64 = self.below.values().map(|branch| branch.kept).sum();
        let of_branches = root.used(Kind::Memory).saturating_sub(root.own_memory());
        of_branches.saturating_sub(kept)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::AccountLimits;

    use super::*;

    fn branch(above: &Account, own: u64) -> Account {
        let branch = above.branch(AccountLimits::UNLIMITED).unwrap();
        branch.charge(Kind::LinearMemory, own).unwrap();
        branch
    }

    fn heaviest(processes: Vec<(Account, &str)>) -> (Vec<&str>, bool) {
        heaviest_with(processes, 0)
    }

    fn heaviest_with(processes: Vec<(Account, &str)>, uncharged: u64) -> (Vec<&str>, bool) {
        let Heaviest { processes, is_root } = Branch::root(processes).heaviest(uncharged);
        (processes, is_root)
    }

    #[test]
    fn who_divides_what_it_uses_between_branches_is_not_passed_over() {
        let root = Account::default();
        let culprit = branch(&root, 1000);
        let neighbour = branch(&root, 1_000_000);
        let parts: Vec<_> = (1..=20).map(|n| branch(&culprit, 100_000 + n)).collect();
        let mut processes: Vec<_> = parts.into_iter().map(|part| (part, "part")).collect();
        processes.push((culprit, "culprit"));
        processes.push((neighbour, "neighbour"));
        assert_eq!(heaviest(processes), (vec!["part"], false));
    }

    #[test]
    fn who_uses_more_than_any_branch_below_it_comes_first() {
        let root = Account::default();
        let culprit = branch(&root, 1_000_000);
        let part = branch(&culprit, 10_000);
        let processes = vec![
            (root, "root"),
            (part, "part"),
            (culprit.clone(), "one"),
            (culprit, "other"),
        ];
        assert_eq!(heaviest(processes), (vec!["one", "other"], false));
    }

    #[test]
    fn what_is_charged_to_nobody_counts_for_each_process() {
        let root = Account::default();
        let culprit = branch(&root, 100);
        let neighbour = branch(&root, 1000);
        let mut processes = vec![(culprit.clone(), "culprit"); 9];
        processes.push((neighbour, "neighbour"));
        processes.push((root, "root"));
        let of = |uncharged| heaviest_with(processes.clone(), uncharged).0;
        assert_eq!(of(0), vec!["neighbour"]);
        assert_eq!(of(1100), vec!["neighbour"]);
        assert_eq!(of(2200), vec!["culprit"; 9]);
    }

    #[test]
    fn branches_without_processes_lead_to_those_below_them() {
        let root = Account::default();
        let outer = branch(&root, 1_000_000);
        let inner = branch(&outer, 0);
        assert_eq!(heaviest(vec![(inner, "inner")]), (vec!["inner"], false));
        assert_eq!(heaviest(vec![(root, "root")]), (vec!["root"], true));
        assert_eq!(heaviest(vec![]), (vec![], true));
    }

    #[test]
    fn who_has_more_than_an_equal_part_is_refused_first() {
        let root = Account::default();
        let (one, other) = (branch(&root, 700), branch(&root, 10));
        let branches = || [(one.clone(), ""), (other.clone(), "")];
        let shortage = |processes: Vec<_>, resident| match Branch::root(processes)
            .shortage(&root, resident, 900)
        {
            Shortage::AboveShare {
                share,
                is_root_above,
            } => (share, is_root_above),
            other => panic!("{other:?}"),
        };
        assert_eq!(shortage(branches().into(), 950), (450, false));
        let with_root = [&branches()[..], &[(root.clone(), "")]].concat();
        assert_eq!(shortage(with_root.clone(), 950), (300, false));
        assert_eq!(shortage(with_root, 1100), (300, true));
        assert_eq!(shortage(vec![(root.clone(), "")], 950), (900, true));
        // What a branch has left behind is not the root's.
        let gone = root.branch(AccountLimits::UNLIMITED).unwrap();
        gone.charge(Kind::Memory, 600).unwrap();
        assert_eq!(shortage(vec![(root.clone(), "")], 1500), (900, false));
    }
}
