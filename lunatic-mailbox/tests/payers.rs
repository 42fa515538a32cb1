//! Who pays for what is queued.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_mailbox::{DataMessage, Limits, Mailbox, Message, SendError, Tag, Wanted};
use proptest::prelude::*;

fn data(tag: i64, bytes: usize) -> Message {
    DataMessage::new(Tag::new(tag), vec![0; bytes]).into()
}

fn limited(memory: u64) -> Account {
    let limits = AccountLimits {
        memory,
        ..AccountLimits::default()
    };
    Account::root(limits)
}

#[test]
fn the_first_few_small_messages_are_free_and_a_large_one_is_not() {
    let (sender, _mailbox) = Mailbox::new(Limits::default());
    let account = Account::default();
    for _ in 0..8 {
        sender
            .queue(Some(&account), &mut Some(data(1, 16)))
            .unwrap();
    }
    assert_eq!(account.used(Kind::Memory), 0);
    sender
        .queue(Some(&account), &mut Some(data(1, 1 << 20)))
        .unwrap();
    assert!(account.used(Kind::Memory) > 1 << 20);
    drop(sender.close());
    assert_eq!(account.used(Kind::Memory), 0);
}

#[test]
fn who_floods_is_refused_while_others_still_get_through() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let (flooder, other) = (limited(32 << 10), limited(32 << 10));
    let mut sent = 0;
    let refused = loop {
        match sender.queue(Some(&flooder), &mut Some(data(1, 100))) {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, SendError::Refused(_)));
    assert!((50..1000).contains(&sent), "{sent}");
    sender.queue(Some(&other), &mut Some(data(2, 100))).unwrap();

    // What is received is not charged any more.
    while mailbox.try_receive(&Wanted::tags(Tag::new(1))).is_some() {}
    assert_eq!(flooder.used(Kind::Memory), 0);
    assert!(other.used(Kind::Memory) > 0);
    sender
        .queue(Some(&flooder), &mut Some(data(1, 100)))
        .unwrap();
}

#[test]
fn a_refusal_of_a_whole_chunk_falls_back_to_what_is_needed() {
    let (sender, _mailbox) = Mailbox::new(Limits::default());
    let account = limited(1000);
    sender
        .queue(Some(&account), &mut Some(data(1, 500)))
        .unwrap();
    let used = account.used(Kind::Memory);
    assert!((500..=1000).contains(&used), "{used}");
}

#[test]
fn only_a_few_small_messages_are_free_before_the_owner_of_a_long_queue_receives_them() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let (small, large) = (limited(u64::MAX), limited(u64::MAX));
    for _ in 0..1000 {
        sender.queue(Some(&small), &mut Some(data(1, 16))).unwrap();
    }
    let before = small.used(Kind::Memory);
    block_on(mailbox.receive(Wanted::Any));
    assert!(small.used(Kind::Memory) >= before - 16 * 1024);
    while mailbox.try_receive(&Wanted::Any).is_some() {}
    assert_eq!(small.used(Kind::Memory), 0);

    for _ in 0..1000 {
        sender.queue(Some(&large), &mut Some(data(1, 17))).unwrap();
    }
    for _ in 0..1000 {
        block_on(mailbox.receive(Wanted::Any));
        assert!(large.used(Kind::Memory) >= sender.len().saturating_sub(8) as u64 * 128);
    }
    assert_eq!(large.used(Kind::Memory), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_is_released_when_all_is_received_or_dropped(
        steps in prop::collection::vec((0..4usize, 0..4i64, 0..20_000usize, 0..4u8), 0..400),
        close in any::<bool>(),
    ) {
        let (sender, mut mailbox) = Mailbox::new(Limits::default());
        let accounts = [1 << 16, 1 << 18, u64::MAX, 1 << 14].map(limited);
        for (from, tag, bytes, receive) in steps {
            let sent = sender.queue(Some(&accounts[from]), &mut Some(data(tag, bytes)));
            prop_assert!(matches!(sent, Ok(_) | Err(SendError::Refused(_))));
            let sent = match bytes % 2 {
                0 => sender.queue(Some(&accounts[from]), &mut Some(data(tag, bytes % 20))),
                _ => sent,
            };
            prop_assert!(matches!(sent, Ok(_) | Err(SendError::Refused(_))));
            match receive {
                0 => drop(mailbox.try_receive(&Wanted::tags(Tag::new(tag)))),
                1 => drop(block_on(poll_once(mailbox.receive(Wanted::Any)))),
                _ => {}
            }
        }
        match close {
            true => {
                let mut closed = sender.close();
                while closed.drop_some(7) {}
            }
            false => while mailbox.try_receive(&Wanted::Any).is_some() {},
        }
        for account in accounts {
            prop_assert_eq!(account.used(Kind::Memory), 0);
        }
    }
}

#[test]
fn a_branch_leaves_room_for_others_in_a_mailbox_however_many_accounts_it_makes() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let root = Account::default();
    let (crowd, other) = (
        root.branch(AccountLimits::UNLIMITED).unwrap(),
        root.branch(AccountLimits::UNLIMITED).unwrap(),
    );
    for _ in 0..1 << 16 {
        let one = crowd.branch(AccountLimits::UNLIMITED).unwrap();
        sender.queue(Some(&one), &mut Some(data(1, 100))).unwrap();
    }
    sender.queue(Some(&other), &mut Some(data(2, 100))).unwrap();
    assert!(other.used(Kind::Memory) > 0);
    // The branch pays for the accounts that are not told apart.
    assert!(crowd.used(Kind::Memory) > 100 << 16);
    while mailbox.try_receive(&Wanted::Any).is_some() {}
    assert_eq!(root.used(Kind::Memory), 2 * 512);
}
