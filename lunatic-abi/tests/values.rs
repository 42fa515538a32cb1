//! Tables, argument records and timeouts.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::task::Poll;

use futures_lite::future::block_on;
use lunatic_abi::params::parse;
use lunatic_abi::{Misuse, Resource, Table, Timeout};
use lunatic_account::{Account, AccountLimits, Kind};
use wasmtime::Val;

#[derive(Debug, PartialEq)]
struct Thing(&'static str);

impl Resource for Thing {
    const KIND: &'static str = "thing";
    const LIMIT: usize = 3;
}

#[test]
fn ids_start_at_0_go_up_by_1_and_are_never_used_again() {
    let (mut table, account) = (Table::new(), Account::default());
    assert_eq!(table.insert(Thing("a"), &account).unwrap(), 0);
    assert_eq!(table.insert(Thing("b"), &account).unwrap(), 1);
    assert_eq!(table.remove(0).unwrap(), Thing("a"));
    assert_eq!(table.remove(1).unwrap(), Thing("b"));
    assert!(table.is_empty());
    assert_eq!(table.insert(Thing("c"), &account).unwrap(), 2);
    assert_eq!(table.get(2).unwrap(), &Thing("c"));
}

#[test]
fn an_unknown_id_is_named_with_its_kind() {
    let mut table = Table::<Thing>::new();
    let unknown = Misuse::UnknownId {
        kind: "thing",
        id: 7,
    };
    assert_eq!(table.get(7).unwrap_err(), unknown);
    assert_eq!(table.get_mut(7).unwrap_err(), unknown);
    assert_eq!(table.remove(7).unwrap_err(), unknown);
    assert_eq!(unknown.to_string(), "there is no thing with id 7");
}

#[test]
fn a_full_table_hands_the_resource_back_and_takes_no_id_for_it() {
    let (mut table, account) = (Table::new(), Account::default());
    for name in ["a", "b", "c"] {
        table.insert(Thing(name), &account).unwrap();
    }
    let refused = table.insert(Thing("d"), &account).unwrap_err();
    assert_eq!(refused.resource, Thing("d"));
    assert_eq!(
        Misuse::from(refused).to_string(),
        "a process may hold at most 3 things at once"
    );
    table.remove(1).unwrap();
    assert_eq!(table.insert(Thing("e"), &account).unwrap(), 3);
}

#[test]
fn retain_drops_what_is_not_wanted() {
    let (mut table, account) = (Table::new(), Account::default());
    for name in ["a", "b", "c"] {
        table.insert(Thing(name), &account).unwrap();
    }
    table.retain(|thing| thing.0 != "b");
    assert_eq!(table.len(), 2);
    assert!(table.get(1).is_err());
    assert_eq!(table.get(2).unwrap(), &Thing("c"));
}

#[derive(Debug)]
struct Text(String);

impl Resource for Text {
    const KIND: &'static str = "text";

    fn size(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn what_a_table_holds_is_charged_until_it_is_removed() {
    let account = Account::root(AccountLimits {
        memory: 10_000,
        ..AccountLimits::default()
    });
    let mut table = Table::new();
    let large = || Text("x".repeat(5_000));
    let id = table.insert(large(), &account).unwrap();
    assert!((5_000..10_000).contains(&account.used(Kind::Memory)));
    let refused = table.insert(large(), &account).unwrap_err();
    assert_eq!(refused.resource.0.len(), 5_000);
    assert!(matches!(refused.reason, Misuse::Exceeded(_)));
    table.remove(id).unwrap();
    table.insert(large(), &account).unwrap();
    table.retain(|_| false);
    assert!(account.used(Kind::Memory) <= 2_048);
    table.insert(large(), &account).unwrap();
    drop(table);
    assert_eq!(account.used(Kind::Memory), 0);
}

#[test]
fn what_grows_is_charged_before_and_is_not_changed_if_that_is_refused() {
    let account = Account::root(AccountLimits {
        memory: 10_000,
        ..AccountLimits::default()
    });
    let mut table = Table::new();
    let id = table.insert(Text(String::new()), &account).unwrap();
    let other = table.insert(Text("x".repeat(1_000)), &account).unwrap();
    for _ in 0..3 {
        let grown = table.resize(id, 20_000, |text: &mut Text| text.0 = "y".repeat(20_000));
        assert!(matches!(grown, Err(Misuse::Exceeded(_))), "{grown:?}");
        assert_eq!(table.get(id).unwrap().0, "");
    }
    // What it does not take of what it may is released.
    let length = table.resize(id, 7_000, |text| {
        text.0 = "y".repeat(4_000);
        text.0.len()
    });
    assert_eq!(length.unwrap(), 4_000);
    assert!((5_000..7_500).contains(&account.used(Kind::Memory)));
    table.resize(id, 0, |text| text.0.clear()).unwrap();
    assert!((1_000..3_500).contains(&account.used(Kind::Memory)));
    // What others take is still charged.
    table.remove(id).unwrap();
    assert!(account.used(Kind::Memory) >= 1_000);
    table.remove(other).unwrap();
    let unknown = table.resize(other, 0, |_| ());
    assert!(matches!(unknown, Err(Misuse::UnknownId { .. })));
}

fn record(kind: u8, value: u128) -> Vec<u8> {
    let mut record = vec![kind];
    record.extend(value.to_le_bytes());
    record
}

#[test]
fn no_records_are_no_arguments() {
    assert!(parse(&[]).unwrap().is_empty());
}

#[test]
fn records_are_read_by_their_width_and_the_rest_is_ignored() {
    let value = 0xffee_ddcc_bbaa_9988_7766_5544_3322_1100;
    let records = [0x7f, 0x7e, 0x7b].map(|kind| record(kind, value)).concat();
    let values = parse(&records).unwrap();
    let [Val::I32(narrow), Val::I64(wide), Val::V128(whole)] = values[..] else {
        panic!("{values:?}");
    };
    assert_eq!(narrow, 0x3322_1100);
    assert_eq!(wide, 0x7766_5544_3322_1100);
    assert_eq!(whole.as_u128(), value);
}

#[test]
fn other_types_and_lengths_are_refused() {
    for kind in [0x00, 0x7d, 0x7c, 0x70, 0x6f, 0xff] {
        let parsed = parse(&record(kind, 0));
        assert!(matches!(parsed, Err(Misuse::BadParameters(_))), "{kind:#x}");
    }
    for length in [1, 16, 18, 33, 35] {
        let parsed = parse(&vec![0x7f; length]);
        assert!(matches!(parsed, Err(Misuse::BadParameters(_))), "{length}");
    }
}

#[test]
fn all_bits_set_is_no_timeout() {
    assert_eq!(Timeout::from_millis(u64::MAX), Timeout::NEVER);
    for millis in [0, 1, 9027, u64::MAX - 1, u64::MAX] {
        assert_eq!(Timeout::from_millis(millis).as_millis(), millis);
    }
    assert_eq!(block_on(Timeout::NEVER.limit(ready(1))), Some(1));
}

// ABI §22.3
#[test]
fn a_timeout_of_0_polls_once() {
    let polls = Cell::new(0);
    let ready_at = |wanted: u32| {
        polls.set(0);
        let polls = &polls;
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            match polls.get() >= wanted {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    };
    let now = Timeout::from_millis(0);
    assert_eq!(block_on(now.limit(ready_at(1))), Some(()));
    assert_eq!(polls.get(), 1);
    assert_eq!(block_on(now.limit(ready_at(u32::MAX))), None);
    assert!(polls.get() >= 1);
}

#[test]
fn a_timeout_ends_a_wait() {
    assert_eq!(
        block_on(Timeout::from_millis(2).limit(pending::<()>())),
        None
    );
}

#[test]
fn the_longest_timeout_is_not_over_at_once() {
    let timeout = Timeout::from_millis(u64::MAX - 1);
    assert_eq!(
        block_on(timeout.limit(futures_lite::future::yield_now())),
        Some(())
    );
}
