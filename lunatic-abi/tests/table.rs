//! Tables that are large when they are dropped.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lunatic_abi::{Resource, Table};
use lunatic_account::{Account, Kind};

/// It is not dropped while the gate is locked.
#[derive(Debug)]
struct Gated {
    gate: Arc<Mutex<()>>,
    size: usize,
}

impl Resource for Gated {
    const KIND: &'static str = "gated thing";
    const IS_DESCRIPTOR: bool = true;

    fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        drop(self.gate.lock());
    }
}

/// A table of such things, and its account.
fn table(gate: &Arc<Mutex<()>>, count: usize, size: usize) -> (Table<Gated>, Account) {
    let (mut table, account) = (Table::new(), Account::default());
    for _ in 0..count {
        let gate = gate.clone();
        table.insert(Gated { gate, size }, &account).unwrap();
    }
    (table, account)
}

fn is_charged(account: &Account) -> bool {
    account.used(Kind::Memory) > 0 && account.used(Kind::Descriptors) > 0
}

/// Drops something that is large while the gate is locked, which would not end here.
///
/// - `charged`: what is charged for it until it is gone, in bytes at least.
#[track_caller]
fn assert_dropped_elsewhere<T>(
    gate: &Mutex<()>,
    account: &Account,
    charged: u64,
    large: T,
    drop_it: fn(T),
) {
    let locked = gate.lock().unwrap();
    drop_it(large);
    assert!(account.used(Kind::Memory) >= charged);
    drop(locked);
    let deadline = Instant::now() + Duration::from_secs(60);
    while account.used(Kind::Memory) > 0 {
        assert!(Instant::now() < deadline, "it is not dropped");
        thread::yield_now();
    }
}

#[test]
fn many_entries_are_dropped_by_another_thread_and_charged_until_then() {
    let gate = Arc::new(Mutex::new(()));
    let (table, account) = table(&gate, 257, 0);
    assert!(is_charged(&account));
    assert_dropped_elsewhere(&gate, &account, 257, table, drop);
    assert_eq!(account.used(Kind::Descriptors), 0);
}

#[test]
fn a_few_entries_that_take_much_memory_are_dropped_by_another_thread() {
    let gate = Arc::new(Mutex::new(()));
    let (table, account) = table(&gate, 2, 600_000);
    assert_dropped_elsewhere(&gate, &account, 1_200_000, table, drop);
}

#[test]
fn one_entry_that_takes_much_memory_is_discarded_by_another_thread() {
    let gate = Arc::new(Mutex::new(()));
    let (table, account) = table(&gate, 1, 2_000_000);
    assert_dropped_elsewhere(&gate, &account, 2_000_000, table, |mut table| {
        table.discard(0).unwrap();
        assert!(table.is_empty());
        assert!(table.discard(0).is_err());
    });
}

#[test]
fn what_is_small_is_dropped_at_once() {
    let gate = Arc::new(Mutex::new(()));
    let (mut table, account) = table(&gate, 256, 0);
    table.discard(7).unwrap();
    assert!(table.get(7).is_err());
    assert_eq!(Arc::strong_count(&gate), 1 + 255);
    assert_eq!(account.used(Kind::Descriptors), 255);
    drop(table);
    assert_eq!(Arc::strong_count(&gate), 1);
    assert!(!is_charged(&account));
}

#[test]
fn what_is_taken_out_of_a_table_is_charged_until_all_of_it_is_gone() {
    let gate = Arc::new(Mutex::new(()));
    let (table, account) = table(&gate, 3, 0);
    let mut resources = table.into_resources();
    assert!(resources.next().is_some());
    assert!(is_charged(&account));
    drop(resources);
    assert_eq!(Arc::strong_count(&gate), 1);
    assert!(!is_charged(&account));
}
