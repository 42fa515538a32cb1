//! What a receive finds in the queue.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::VecDeque;

use futures_lite::future::{block_on, poll_once};
use lunatic_mailbox::{
    DataMessage, Limits, Mailbox, Message, MessageResource, Pid, Queue, SendError, Tag, Wanted,
};
use proptest::prelude::*;

/// A resource that is gone when it is dropped.
struct Held(#[expect(dead_code, reason = "it is dropped with the message")] std::sync::Arc<()>);

impl MessageResource for Held {
    fn kind(&self) -> &'static str {
        "held"
    }
}

fn data(tag: i64, number: u8) -> Message {
    DataMessage::new(Tag::new(tag), vec![number]).into()
}

fn number(message: &Message) -> u8 {
    match message {
        Message::Data(data) => data.bytes()[0],
        other => panic!("expected data, got {other:?}"),
    }
}

fn tags(tags: &[i64]) -> Wanted {
    Wanted::tags(tags.iter().filter_map(|tag| Tag::new(*tag)))
}

#[test]
fn any_takes_the_oldest_message_tagged_or_not() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    sender.send(data(0, 1)).unwrap();
    sender.send(data(7, 2)).unwrap();
    assert_eq!(number(&block_on(mailbox.receive(Wanted::Any))), 1);
    assert_eq!(number(&block_on(mailbox.receive(Wanted::Any))), 2);
}

#[test]
fn queue_order_decides_and_not_the_order_of_the_tag_list() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    for (tag, number) in [(5, 1), (6, 2), (7, 3)] {
        sender.send(data(tag, number)).unwrap();
    }
    assert_eq!(number(&block_on(mailbox.receive(tags(&[7, 6])))), 2);
    assert_eq!(number(&block_on(mailbox.receive(tags(&[7, 6])))), 3);
}

#[test]
fn an_untagged_message_matches_no_tag_list() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    sender.send(data(0, 1)).unwrap();
    sender
        .send(Message::ProcessDied {
            process: Pid::from_bits(9),
        })
        .unwrap();
    assert!(block_on(poll_once(mailbox.receive(tags(&[0, 1])))).is_none());
    assert_eq!(mailbox.sender().len(), 2);
}

#[test]
fn arrival_order_survives_a_timed_out_tagged_receive() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let mut receive = Box::pin(mailbox.receive(tags(&[11])));
    assert!(block_on(poll_once(&mut receive)).is_none());
    // The message that is waited for arrives, but the wait is given up.
    sender.send(data(11, 1)).unwrap();
    drop(receive);
    sender.send(data(12, 2)).unwrap();
    sender.send(data(13, 3)).unwrap();
    let order: Vec<u8> = (0..3)
        .map(|_| number(&block_on(mailbox.receive(Wanted::Any))))
        .collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn a_message_of_another_tag_does_not_end_the_wait() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let mut receive = Box::pin(mailbox.receive(tags(&[11])));
    assert!(block_on(poll_once(&mut receive)).is_none());
    sender.send(data(12, 1)).unwrap();
    assert!(block_on(poll_once(&mut receive)).is_none());
    sender.send(data(11, 2)).unwrap();
    assert_eq!(number(&block_on(receive)), 2);
    assert_eq!(number(&block_on(mailbox.receive(Wanted::Any))), 1);
}

#[test]
fn a_reply_is_not_found_among_what_was_queued_before() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    sender.send(data(11, 1)).unwrap();
    let mut reply = Box::pin(mailbox.expect_reply(Tag::new(11)));
    assert!(block_on(poll_once(&mut reply)).is_none());
    sender.send(data(11, 2)).unwrap();
    assert_eq!(number(&block_on(reply)), 2);
    assert_eq!(number(&block_on(mailbox.receive(tags(&[11])))), 1);
}

#[test]
fn a_reply_that_comes_before_the_first_poll_is_not_missed() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let reply = mailbox.expect_reply(Tag::new(11));
    sender.send(data(11, 1)).unwrap();
    assert_eq!(number(&block_on(reply)), 1);
}

#[test]
fn a_link_death_with_the_awaited_tag_is_no_reply() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let mut reply = Box::pin(mailbox.expect_reply(Tag::new(11)));
    let death = Message::LinkDied { tag: Tag::new(11) };
    sender.send(death).unwrap();
    assert!(block_on(poll_once(&mut reply)).is_none());
    sender.send(data(11, 1)).unwrap();
    assert_eq!(number(&block_on(reply)), 1);
    assert!(matches!(
        block_on(mailbox.receive(Wanted::Any)),
        Message::LinkDied { .. }
    ));
}

#[test]
fn a_reply_without_a_tag_never_comes() {
    let (sender, mut mailbox) = Mailbox::new(Limits::default());
    let mut reply = Box::pin(mailbox.expect_reply(Tag::new(0)));
    sender.send(data(0, 1)).unwrap();
    assert!(block_on(poll_once(&mut reply)).is_none());
}

#[test]
fn what_a_full_mailbox_refuses_stays_with_the_sender() {
    let limits = Limits {
        messages: 1,
        ..Limits::default()
    };
    let (sender, mut mailbox) = Mailbox::new(limits);
    sender.send(data(1, 1)).unwrap();
    let mut message = Some(data(1, 2));
    let refused = sender.queue(None, &mut message);
    assert!(matches!(refused, Err(SendError::Full)), "{refused:?}");
    assert_eq!(message.as_ref().map(number), Some(2));
    block_on(mailbox.receive(Wanted::Any));
    sender.queue(None, &mut message).unwrap();
    assert!(message.is_none());
    assert_eq!(
        mailbox.try_receive(&Wanted::Any).as_ref().map(number),
        Some(2)
    );
}

#[test]
fn the_weight_of_messages_is_limited_too() {
    let limits = Limits {
        bytes: 1000,
        ..Limits::default()
    };
    let (sender, _mailbox) = Mailbox::new(limits);
    let message = DataMessage::new(None, vec![0; 1001]).into();
    assert!(matches!(sender.send(message), Err(SendError::Full)));
}

#[test]
fn a_dropped_mailbox_is_closed_and_drops_its_messages() {
    let (sender, mailbox) = Mailbox::new(Limits::default());
    let token = std::sync::Arc::new(());
    let mut message = DataMessage::new(None, []);
    message.push(Held(token.clone()));
    sender.send(message.into()).unwrap();
    drop(mailbox);
    assert_eq!(std::sync::Arc::strong_count(&token), 1);
    assert!(matches!(sender.send(data(1, 1)), Err(SendError::Closed)));
}

#[test]
fn a_tag_behind_a_hundred_thousand_messages_is_found() {
    let mut queue = Queue::new();
    for number in 0..100_000u32 {
        queue.push(data(1 + i64::from(number % 1000), number as u8));
    }
    queue.push(data(5000, 42));
    let found = queue.take_wanted(&tags(&[5000])).unwrap();
    assert_eq!(number(&found), 42);
    assert_eq!(queue.len(), 100_000);
}

#[derive(Debug, Clone)]
enum Step {
    Push(i64),
    TakeAny,
    TakeTags(Vec<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6i64).prop_map(Step::Push),
        1 => Just(Step::TakeAny),
        2 => prop::collection::vec(0..6i64, 1..3).prop_map(Step::TakeTags),
    ]
}

/// The queue as one would write it without caring for speed.
fn take_from_model(model: &mut VecDeque<(i64, u8)>, wanted: &[i64]) -> Option<u8> {
    let position = model
        .iter()
        .position(|(tag, _)| *tag != 0 && wanted.contains(tag))?;
    model.remove(position).map(|(_, number)| number)
}

proptest! {
    #[test]
    fn the_indexed_queue_behaves_like_a_plain_list(
        // Many pushes first, so that the index is in use.
        fill in prop::collection::vec(0..6i64, 0..300),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut queue = Queue::new();
        let mut model = VecDeque::new();
        let pushes = fill.into_iter().map(Step::Push);
        for (count, step) in pushes.chain(steps).enumerate() {
            match step {
                Step::Push(tag) => {
                    queue.push(data(tag, count as u8));
                    model.push_back((tag, count as u8));
                }
                Step::TakeAny => {
                    let taken = queue.take_wanted(&Wanted::Any).as_ref().map(number);
                    prop_assert_eq!(taken, model.pop_front().map(|(_, number)| number));
                }
                Step::TakeTags(wanted) => {
                    let taken = queue.take_wanted(&tags(&wanted)).as_ref().map(number);
                    prop_assert_eq!(taken, take_from_model(&mut model, &wanted));
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            let bytes = model.len() * (size_of::<Message>() + 1);
            prop_assert_eq!(queue.bytes(), bytes);
        }
    }
}
