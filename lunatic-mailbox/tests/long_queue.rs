//! Queues that are too long to be searched, moved or dropped in one step.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::VecDeque;
use std::sync::Arc;

use futures_lite::future::{block_on, poll_once};
use lunatic_mailbox::{DataMessage, Limits, Mailbox, Message, MessageResource, Queue, Tag, Wanted};
use proptest::prelude::*;

/// A resource that is gone when it is dropped.
struct Held(#[expect(dead_code, reason = "it is dropped with the message")] Arc<()>);

impl MessageResource for Held {
    fn kind(&self) -> &'static str {
        "held"
    }
}

fn data(tag: i64, number: u64) -> Message {
    DataMessage::new(Tag::new(tag), number.to_le_bytes()).into()
}

fn number(message: &Message) -> u64 {
    match message {
        Message::Data(data) => u64::from_le_bytes(data.bytes().try_into().unwrap()),
        other => panic!("expected data, got {other:?}"),
    }
}

fn tagged(tag: i64) -> Wanted {
    Wanted::tags(Tag::new(tag))
}

#[test]
fn a_long_search_lets_others_go_on_and_finds_what_was_queued() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    for number in 0..10_000 {
        sender.send(data(1, number)).unwrap();
    }
    sender.send(data(2, 10_000)).unwrap();
    let mut receive = Box::pin(mailbox.receive(tagged(2)));
    let mut polls = 1;
    let found = loop {
        match block_on(poll_once(&mut receive)) {
            Some(found) => break found,
            None => polls += 1,
        }
    };
    assert_eq!(number(&found), 10_000);
    assert!(polls > 10, "{polls} polls");
}

#[test]
fn what_arrives_during_a_search_neither_overtakes_nor_is_missed() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    for number in 0..2000 {
        sender.send(data(1, number)).unwrap();
    }
    sender.send(data(2, 2000)).unwrap();
    let mut receive = Box::pin(mailbox.receive(tagged(2)));
    assert!(block_on(poll_once(&mut receive)).is_none());
    sender.send(data(2, 2001)).unwrap();
    assert_eq!(number(&block_on(receive)), 2000);

    let mut receive = Box::pin(mailbox.receive(tagged(3)));
    assert!(block_on(poll_once(&mut receive)).is_none());
    drop(receive);
    assert_eq!(number(&mailbox.try_receive(&tagged(2)).unwrap()), 2001);

    for number in 0..2000 {
        sender.send(data(4, number)).unwrap();
    }
    let mut receive = Box::pin(mailbox.receive(tagged(3)));
    assert!(block_on(poll_once(&mut receive)).is_none());
    sender.send(data(3, 7)).unwrap();
    sender.send(data(3, 8)).unwrap();
    assert_eq!(number(&block_on(receive)), 7);
}

#[test]
fn a_search_that_is_given_up_in_its_middle_changes_nothing() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    for number in 0..2000 {
        sender.send(data(1, number)).unwrap();
    }
    let mut receive = Box::pin(mailbox.receive(tagged(2)));
    assert!(block_on(poll_once(&mut receive)).is_none());
    drop(receive);
    for expected in 0..2000 {
        assert_eq!(
            number(&mailbox.try_receive(&Wanted::Any).unwrap()),
            expected
        );
    }
}

#[test]
fn a_thousand_tags_are_searched_for_in_pieces_and_the_oldest_message_wins() {
    let mut queue = Queue::new();
    for number in 0..3000 {
        queue.push(data(1 + number as i64, number));
    }
    let tags = (1..1500).rev().filter_map(Tag::new);
    // An index of all of them is there after this.
    assert!(queue.take_wanted(&tagged(9999)).is_none());
    let found = queue.take_wanted(&Wanted::tags(tags)).unwrap();
    assert_eq!(number(&found), 0);
}

#[test]
fn what_was_queued_can_be_dropped_in_pieces() {
    let (sender, _mailbox) = Mailbox::new(Limits::default());
    let token = Arc::new(());
    for _ in 0..1000 {
        let mut message = DataMessage::default();
        message.push(Held(token.clone()));
        sender.send(message.into()).unwrap();
    }
    let mut closed = sender.close();
    assert!(closed.drop_some(800));
    assert_eq!(Arc::strong_count(&token), 601);
    assert!(closed.drop_some(800));
    assert!(!closed.drop_some(800));
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_message_with_many_resources_is_as_many_steps_to_drop() {
    let (sender, _mailbox) = Mailbox::new(Limits::default());
    let token = Arc::new(());
    for _ in 0..10 {
        let mut message = DataMessage::default();
        for _ in 0..100 {
            message.push(Held(token.clone()));
        }
        sender.send(message.into()).unwrap();
    }
    let mut closed = sender.close();
    assert!(closed.drop_some(256));
    assert_eq!(Arc::strong_count(&token), 1 + 700);
    while closed.drop_some(256) {}
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn an_empty_queue_keeps_little_memory_and_a_new_one_none() {
    let mut queue = Queue::new();
    assert_eq!(queue.capacity(), 0);
    queue.push(data(0, 0));
    assert!(queue.capacity() <= 4);
    for number in 0..100_000 {
        queue.push(data(0, number));
    }
    while queue.take_wanted(&Wanted::Any).is_some() {}
    assert!(queue.capacity() <= 64, "{}", queue.capacity());
}

#[test]
fn messages_that_stay_behind_do_not_keep_the_memory_of_the_others() {
    let mut queue = Queue::new();
    for number in 0..100_000 {
        let tag = if number % 500 == 0 { 2 } else { 1 };
        queue.push(data(tag, number));
    }
    while queue.take_wanted(&tagged(1)).is_some() {}
    assert_eq!(queue.len(), 200);
    assert!(queue.capacity() <= 8 * 200, "{}", queue.capacity());
    for expected in (0..100_000).step_by(500) {
        assert_eq!(number(&queue.take_wanted(&Wanted::Any).unwrap()), expected);
    }
}

#[test]
fn what_the_owner_takes_out_ahead_counts_against_the_limits() {
    let limits = Limits {
        messages: 100,
        ..Limits::default()
    };
    let (sender, mut mailbox) = Mailbox::new(limits);
    for number in 0..100 {
        sender.send(data(1, number)).unwrap();
    }
    for number in 0..300 {
        assert!(sender.send(data(1, 0)).is_err());
        let received = block_on(mailbox.receive(Wanted::Any));
        assert_eq!(self::number(&received), number);
        assert_eq!(sender.len(), 99);
        sender.send(data(1, number + 100)).unwrap();
    }
}

#[test]
fn what_the_owner_takes_out_ahead_counts_in_bytes_too() {
    let size = data(1, 0).size();
    let limits = Limits {
        bytes: 100 * size,
        ..Limits::default()
    };
    let (sender, mut mailbox) = Mailbox::new(limits);
    for number in 0..100 {
        sender.send(data(1, number)).unwrap();
    }
    for _ in 0..100 {
        assert!(sender.send(data(1, 0)).is_err());
        block_on(mailbox.receive(Wanted::Any));
        sender.send(data(1, 0)).unwrap();
    }
}

#[test]
fn a_receive_by_tag_finds_what_the_owner_has_taken_out_ahead() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    for number in 0..100 {
        sender.send(data(1 + number as i64 % 10, number)).unwrap();
    }
    assert_eq!(number(&block_on(mailbox.receive(Wanted::Any))), 0);
    for tag in (1..10).rev() {
        let oldest = block_on(mailbox.receive(tagged(1 + tag)));
        assert_eq!(number(&oldest), tag as u64);
    }
    assert_eq!(number(&block_on(mailbox.receive(Wanted::Any))), 10);
    assert_eq!(number(&mailbox.try_receive(&tagged(10)).unwrap()), 19);
    assert_eq!(sender.len(), 88);
}

#[derive(Debug, Clone)]
enum Step {
    Push(i64, u64),
    TakeAny(u64),
    ReceiveAny(u64),
    TakeTag(i64, u64),
    /// Polls a wait so often, with a push after each poll, then gives up or takes.
    Wait(i64, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..5i64, 0..1500u64).prop_map(|(tag, count)| Step::Push(tag, count)),
        1 => (0..1500u64).prop_map(Step::TakeAny),
        2 => (0..300u64).prop_map(Step::ReceiveAny),
        2 => (1..5i64, 0..1500u64).prop_map(|(tag, count)| Step::TakeTag(tag, count)),
        3 => (1..8i64, 0..6u8).prop_map(|(tag, polls)| Step::Wait(tag, polls)),
    ]
}

/// The queue as one would write it without caring for speed.
#[derive(Default)]
struct Model {
    messages: VecDeque<(i64, u64)>,
    next: u64,
}

impl Model {
    fn push(&mut self, tag: i64) -> Message {
        let number = self.next;
        self.next += 1;
        self.messages.push_back((tag, number));
        data(tag, number)
    }

    fn take(&mut self, wanted: i64) -> Option<u64> {
        let position = self.messages.iter().position(|(tag, _)| *tag == wanted)?;
        self.messages.remove(position).map(|(_, number)| number)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_mailbox_that_is_searched_in_pieces_behaves_like_a_plain_list(
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let (sender, mut mailbox) = Mailbox::new(Limits::default());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Push(tag, count) => for _ in 0..count {
                    sender.send(model.push(tag)).unwrap();
                },
                Step::TakeAny(count) => for _ in 0..count {
                    let taken = mailbox.try_receive(&Wanted::Any).as_ref().map(number);
                    let expected = model.messages.pop_front().map(|(_, number)| number);
                    prop_assert_eq!(taken, expected);
                },
                Step::ReceiveAny(count) => for _ in 0..count {
                    let received = block_on(poll_once(mailbox.receive(Wanted::Any)));
                    let expected = model.messages.pop_front().map(|(_, number)| number);
                    prop_assert_eq!(received.as_ref().map(number), expected);
                    prop_assert_eq!(sender.len(), model.messages.len());
                },
                Step::TakeTag(tag, count) => for _ in 0..count {
                    let taken = mailbox.try_receive(&tagged(tag)).as_ref().map(number);
                    prop_assert_eq!(taken, model.take(tag));
                },
                Step::Wait(tag, polls) => {
                    let mut receive = Box::pin(mailbox.receive(tagged(tag)));
                    for _ in 0..polls {
                        let found = block_on(poll_once(&mut receive)).as_ref().map(number);
                        if found.is_some() {
                            prop_assert_eq!(found, model.take(tag));
                            break;
                        }
                        sender.send(model.push(tag)).unwrap();
                    }
                }
            }
            prop_assert_eq!(sender.len(), model.messages.len());
        }
        let rest = std::iter::from_fn(|| mailbox.try_receive(&Wanted::Any));
        let rest: Vec<u64> = rest.map(|message| number(&message)).collect();
        let expected: Vec<u64> = model.messages.iter().map(|(_, number)| *number).collect();
        prop_assert_eq!(rest, expected);
    }
}
