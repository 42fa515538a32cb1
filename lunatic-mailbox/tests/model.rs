//! Every way in which sends and receives can meet, checked by loom:
//! `cargo xtask loom`.
#![cfg(lunatic_loom)]

use futures_lite::future::poll_once;
use loom::future::block_on;
use loom::thread;
use lunatic_mailbox::{
    DataMessage, Limits, Mailbox, Message, MessageResource, Sender, Tag, Wanted,
};

/// A resource that is gone when it is dropped.
struct Held(#[expect(dead_code, reason = "it is dropped with the message")] loom::sync::Arc<()>);

impl MessageResource for Held {
    fn kind(&self) -> &'static str {
        "held"
    }
}

/// A receiver that sleeps on is a deadlock, which loom reports.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn mailbox() -> (Sender, Mailbox) {
    Mailbox::new(Limits::default())
}

fn send(sender: &Sender, tag: i64, number: u8) {
    let message = DataMessage::new(Tag::new(tag), [number]);
    sender.send(message.into()).expect("the owner is there");
}

fn number(message: &Message) -> u8 {
    match message {
        Message::Data(data) => data.bytes()[0],
        other => panic!("expected data, got {other:?}"),
    }
}

fn receive(mailbox: &mut Mailbox, wanted: Wanted) -> u8 {
    number(&block_on(mailbox.receive(wanted)))
}

/// Receives, but gives up at once if there is nothing.
fn receive_in_vain(mailbox: &mut Mailbox, wanted: Wanted) -> Option<u8> {
    block_on(poll_once(mailbox.receive(wanted)))
        .as_ref()
        .map(number)
}

fn tagged(tag: i64) -> Wanted {
    Wanted::tags(Tag::new(tag))
}

#[test]
fn a_receiver_is_woken_by_every_message_it_waits_for() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        let sends = thread::spawn(move || {
            send(&sender, 0, 1);
            send(&sender, 0, 2);
        });
        assert_eq!(receive(&mut mailbox, Wanted::Any), 1);
        assert_eq!(receive(&mut mailbox, Wanted::Any), 2);
        sends.join().expect("a sender does not panic");
    });
}

#[test]
fn the_messages_of_two_senders_all_arrive_each_in_order() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        let senders = [10, 20].map(|first| {
            let sender = sender.clone();
            thread::spawn(move || {
                send(&sender, 0, first);
                send(&sender, 0, first + 1);
            })
        });
        let received = [(); 4].map(|()| receive(&mut mailbox, Wanted::Any));
        let of = |first| received.iter().filter(move |number| **number / 10 == first);
        assert!(of(1).eq(&[10, 11]), "{received:?}");
        assert!(of(2).eq(&[20, 21]), "{received:?}");
        for sender in senders {
            sender.join().expect("a sender does not panic");
        }
    });
}

#[test]
fn who_waits_for_a_tag_is_woken_for_that_and_finds_the_rest_in_order() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        let other = sender.clone();
        let sends = thread::spawn(move || {
            send(&sender, 7, 1);
            send(&sender, 8, 2);
        });
        let disturbs = thread::spawn(move || send(&other, 9, 3));
        assert_eq!(receive(&mut mailbox, tagged(8)), 2);
        disturbs.join().expect("a sender does not panic");
        sends.join().expect("a sender does not panic");
        let rest = [(); 2].map(|()| receive(&mut mailbox, Wanted::Any));
        assert!(rest == [1, 3] || rest == [3, 1], "{rest:?}");
        assert!(mailbox.sender().is_empty());
    });
}

#[test]
fn a_wait_that_is_given_up_loses_nothing_and_reorders_nothing() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        let sends = thread::spawn(move || {
            send(&sender, 7, 1);
            send(&sender, 8, 2);
        });
        let mut received = Vec::new();
        received.extend(receive_in_vain(&mut mailbox, Wanted::Any));
        received.extend(receive_in_vain(&mut mailbox, Wanted::Any));
        while received.len() < 2 {
            received.push(receive(&mut mailbox, Wanted::Any));
        }
        assert_eq!(received, [1, 2]);
        sends.join().expect("a sender does not panic");
    });
}

#[test]
fn a_wait_for_a_tag_that_is_given_up_leaves_its_message_where_it_was() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        let sends = thread::spawn(move || {
            send(&sender, 7, 1);
            send(&sender, 8, 2);
        });
        let mut wait = Box::pin(mailbox.receive(tagged(8)));
        let early = block_on(poll_once(&mut wait));
        // It may have been told of its message, and is not asked for it.
        drop(wait);
        let expected: &[u8] = match early {
            Some(_) => &[1],
            None => &[1, 2],
        };
        for next in expected {
            assert_eq!(receive(&mut mailbox, Wanted::Any), *next);
        }
        sends.join().expect("a sender does not panic");
    });
}

#[test]
fn an_answer_is_not_too_fast_for_who_expects_it() {
    check(|| {
        let (sender, mut mailbox) = mailbox();
        // Of an earlier request that was given up.
        send(&sender, 7, 1);
        let answer = mailbox.expect_reply(Tag::new(7));
        let answers = thread::spawn(move || send(&sender, 7, 2));
        assert_eq!(number(&block_on(answer)), 2);
        answers.join().expect("a sender does not panic");
        assert_eq!(receive(&mut mailbox, Wanted::Any), 1);
    });
}

#[test]
fn a_message_to_who_goes_away_comes_back_or_goes_with_them() {
    check(|| {
        let (sender, mailbox) = mailbox();
        let owned = loom::sync::Arc::new(());
        let watched = owned.clone();
        let sends = thread::spawn(move || {
            let mut message = DataMessage::new(None, [1]);
            message.push(Held(owned));
            drop(sender.send(message.into()));
        });
        drop(mailbox);
        sends.join().expect("a sender does not panic");
        assert_eq!(loom::sync::Arc::strong_count(&watched), 1);
    });
}
