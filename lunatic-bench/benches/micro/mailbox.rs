//! Sending and receiving on one thread.

use divan::Bencher;
use futures_lite::future::block_on;
use lunatic_mailbox::{DataMessage, Limits, Mailbox, Message, Sender, Tag, Wanted};

/// How many other messages are queued.
const QUEUED: [usize; 2] = [0, 100_000];

/// What the others have not.
const TAG: Option<Tag> = Tag::new(-1);

fn message(tag: Option<Tag>) -> Message {
    DataMessage::new(tag, *b"a number").into()
}

/// A mailbox with so many messages, each with a tag of its own.
fn mailbox(queued: usize) -> (Sender, Mailbox) {
    let (sender, mailbox) = Mailbox::new(Limits::default());
    for number in 1..=queued {
        sender.send(message(Tag::new(number as i64))).unwrap();
    }
    (sender, mailbox)
}

#[divan::bench]
fn send_and_receive(bencher: Bencher<'_, '_>) {
    let (sender, mut mailbox) = mailbox(0);
    bencher.bench_local(|| {
        sender.send(message(TAG)).unwrap();
        block_on(mailbox.receive(Wanted::Any))
    });
}

#[divan::bench(args = QUEUED)]
fn send_and_receive_by_tag(bencher: Bencher<'_, '_>, queued: usize) {
    let (sender, mut mailbox) = mailbox(queued);
    let wanted = Wanted::tags(TAG);
    bencher.bench_local(|| {
        sender.send(message(TAG)).unwrap();
        block_on(mailbox.receive(wanted.clone()))
    });
}

#[divan::bench(args = QUEUED)]
fn search_for_a_tag_that_is_not_there(bencher: Bencher<'_, '_>, queued: usize) {
    let (_sender, mut mailbox) = mailbox(queued);
    let wanted = Wanted::tags(TAG);
    bencher.bench_local(|| assert!(mailbox.try_receive(&wanted).is_none()));
}
