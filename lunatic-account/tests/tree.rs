//! Limits hold for branches, and everything is released.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::thread;

use lunatic_account::{Account, AccountLimits, BranchError, Charge, Kind, Shortage};
use proptest::prelude::*;

fn with_memory(memory: u64) -> AccountLimits {
    AccountLimits {
        memory,
        ..AccountLimits::default()
    }
}

#[test]
fn a_refused_charge_changes_nothing_on_the_way_to_the_root() {
    let root = Account::root(with_memory(10_000));
    let branch = root.branch(with_memory(8_000)).unwrap();
    let leaf = branch.branch(AccountLimits::default()).unwrap();
    let (at_root, at_branch) = (root.used(Kind::Memory), branch.used(Kind::Memory));
    let error = leaf.charge(Kind::Memory, 7_900).unwrap_err();
    assert_eq!(error.account, branch.id());
    assert_eq!(
        error.to_string(),
        "the limit of 8000 bytes of memory is reached"
    );
    assert_eq!(root.used(Kind::Memory), at_root);
    assert_eq!(branch.used(Kind::Memory), at_branch);
    assert_eq!(leaf.used(Kind::Memory), 0);
}

#[test]
fn linear_memory_counts_for_a_branch_but_not_for_the_root() {
    let root = Account::root(with_memory(10_000));
    let branch = root.branch(with_memory(20_000)).unwrap();
    let memory = Charge::new(&branch, Kind::LinearMemory, 15_000).unwrap();
    assert!(branch.charge(Kind::Memory, 6_000).is_err());
    assert!(branch.charge(Kind::LinearMemory, 6_000).is_err());
    let host = Charge::new(&branch, Kind::Memory, 5_000).unwrap();
    drop((memory, host));
    assert_eq!(branch.used(Kind::LinearMemory), 0);
}

#[test]
fn sums_that_overflow_are_refused() {
    let root = Account::default();
    root.charge(Kind::Memory, u64::MAX - 1).unwrap();
    assert!(root.charge(Kind::Memory, 2).is_err());
    assert_eq!(root.used(Kind::Memory), u64::MAX - 1);
}

#[test]
fn a_tree_has_a_bounded_depth_and_nothing_is_left_of_it() {
    let root = Account::default();
    let mut leaf = root.clone();
    let error = loop {
        match leaf.branch(AccountLimits::default()) {
            Ok(account) => leaf = account,
            Err(error) => break error,
        }
    };
    assert_eq!(error, BranchError::TooDeep { limit: 16 });
    assert!(leaf.is_within(&root) && !root.is_within(&leaf));
    drop(leaf);
    assert_eq!(root.used(Kind::Memory), 0);
}

#[test]
fn a_tree_without_memory_refuses_memory_and_nothing_else() {
    let root = Account::default();
    let branch = root.branch(AccountLimits::default()).unwrap();
    root.set_shortage(Shortage::All);
    assert!(branch.charge(Kind::LinearMemory, 1).is_err());
    assert!(branch.charge(Kind::Names, 1).is_ok());
    root.set_shortage(Shortage::None);
    assert!(branch.charge(Kind::LinearMemory, 1).is_ok());
}

#[test]
fn who_has_more_than_its_share_is_refused_memory_before_others() {
    let root = Account::default();
    let branch = |above: &Account| above.branch(AccountLimits::default()).unwrap();
    let (large, small) = (branch(&root), branch(&root));
    let parts: Vec<_> = (0..10).map(|_| branch(&large)).collect();
    for part in &parts {
        part.charge(Kind::LinearMemory, 100).unwrap();
    }
    root.set_shortage(Shortage::AboveShare {
        share: 1000,
        is_root_above: false,
    });
    assert!(parts[0].charge(Kind::Memory, 1).is_err());
    assert!(small.charge(Kind::Memory, 1000).is_ok());
    assert!(small.charge(Kind::LinearMemory, 1).is_err());
    assert!(root.charge(Kind::LinearMemory, 1).is_ok());
    root.set_shortage(Shortage::AboveShare {
        share: 100_000,
        is_root_above: true,
    });
    assert!(parts[0].charge(Kind::Memory, 1).is_ok());
    assert!(root.charge(Kind::LinearMemory, 1).is_err());
}

#[test]
fn a_branch_leaves_descriptors_for_others() {
    let root = Account::root(AccountLimits {
        descriptors: 100,
        ..AccountLimits::default()
    });
    let branch = |above: &Account| above.branch(AccountLimits::default()).unwrap();
    let (greedy, other) = (branch(&root), branch(&root));
    let below = [branch(&greedy), branch(&greedy)];
    let take_all = |from: &[Account]| {
        let one = |number| Charge::new(&from[number % from.len()], Kind::Descriptors, 1).ok();
        (0..).map_while(one).collect::<Vec<_>>()
    };
    let of_greedy = take_all(&below);
    assert_eq!(of_greedy.len(), 75);
    let refused = below[0].charge(Kind::Descriptors, 1).unwrap_err();
    assert_eq!((refused.limit, refused.account), (75, root.id()));
    assert_eq!(take_all(&[other]).len(), 12);
    // What the root has itself is not that of a branch.
    let of_root = take_all(std::slice::from_ref(&root));
    assert_eq!(of_root.len(), 25);
    drop((of_greedy, of_root));
    assert_eq!(root.used(Kind::Descriptors), 0);
}

#[test]
fn threads_that_charge_at_once_never_exceed_a_limit_together() {
    const LIMIT: u64 = 1_000;
    let root = Account::root(AccountLimits {
        timers: LIMIT,
        ..AccountLimits::default()
    });
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let branch = root.branch(AccountLimits::default()).unwrap();
            thread::spawn(move || {
                let mut held = Vec::new();
                for round in 0..20_000_u64 {
                    if let Ok(charge) = Charge::new(&branch, Kind::Timers, 1 + round % 7) {
                        held.push(charge);
                    }
                    if round % 11 == 0 {
                        held.clear();
                    }
                }
                held.iter().map(Charge::amount).sum::<u64>()
            })
        })
        .collect();
    for worker in workers {
        assert!(worker.join().unwrap() <= LIMIT);
    }
    assert_eq!(root.used(Kind::Timers), 0);
}

proptest! {
    #[test]
    fn counts_are_the_sums_of_what_is_charged_below(
        steps in prop::collection::vec((0_usize..4, 0_u64..2_000, any::<bool>()), 0..200)
    ) {
        let root = Account::root(with_memory(40_000));
        let left = root.branch(with_memory(9_000)).unwrap();
        let right = root.branch(AccountLimits::default()).unwrap();
        let below = left.branch(with_memory(5_000)).unwrap();
        let accounts = [&root, &left, &right, &below];
        let mut held: Vec<(usize, Charge)> = Vec::new();
        for (at, amount, drop_one) in steps {
            if let Ok(charge) = Charge::new(accounts[at], Kind::Memory, amount) {
                held.push((at, charge));
            }
            if drop_one && !held.is_empty() {
                drop(held.swap_remove(amount as usize % held.len()));
            }
            let own = |at| held.iter().filter(|held| held.0 == at).map(|held| held.1.amount()).sum::<u64>();
            // 512 bytes for each account below.
            prop_assert_eq!(below.used(Kind::Memory), own(3));
            prop_assert_eq!(left.used(Kind::Memory), own(1) + own(3) + 512);
            prop_assert_eq!(root.used(Kind::Memory), (0..4).map(own).sum::<u64>() + 3 * 512);
            for account in accounts {
                prop_assert!(account.used(Kind::Memory) <= account.limits().memory);
            }
        }
    }
}
