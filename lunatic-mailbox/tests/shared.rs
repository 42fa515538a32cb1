//! Copies of messages, for processes that are reloaded.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;

use lunatic_mailbox::{DataMessage, MessageResource, NotShared, SharedCopy, Tag};

/// A resource with several handles.
#[derive(Clone)]
struct Socket(Arc<()>);

impl MessageResource for Socket {
    fn kind(&self) -> &'static str {
        "socket"
    }

    fn share(&self) -> Option<Box<dyn MessageResource>> {
        Some(Box::new(self.clone()))
    }
}

/// A resource of which there is one.
struct Ticket;

impl MessageResource for Ticket {
    fn kind(&self) -> &'static str {
        "ticket"
    }
}

#[test]
fn a_copy_has_the_bytes_from_their_start_the_tag_and_handles_at_the_same_indexes() {
    let sockets = [(); 3].map(|()| Socket(Arc::default()));
    let mut message = DataMessage::new(Tag::new(5), *b"twenty bytes of data");
    for socket in &sockets {
        message.push(socket.clone());
    }
    message.take::<Socket>(1).unwrap();
    message.read(&mut [0; 7]).unwrap();

    let mut copy = message.shared().unwrap();
    assert_eq!(copy.tag(), Tag::new(5));
    assert_eq!(copy.bytes(), b"twenty bytes of data");
    let mut buffer = [0; 32];
    assert_eq!(copy.read(&mut buffer), Ok(20));
    assert_eq!(copy.size(), message.size());
    assert!(copy.take::<Socket>(1).is_none());
    for index in [0, 2] {
        let taken = copy.take::<Socket>(index).unwrap();
        assert!(Arc::ptr_eq(&taken.0, &sockets[index].0));
        // The message that was copied has its own still.
        assert_eq!(Arc::strong_count(&sockets[index].0), 3);
    }
    assert_eq!(message.read(&mut buffer), Ok(13));
    drop(message);
    assert_eq!(Arc::strong_count(&sockets[0].0), 1);
}

#[test]
fn what_cannot_be_shared_is_named_and_nothing_is_kept() {
    let socket = Socket(Arc::default());
    let mut message = DataMessage::new(None, *b"x");
    message.push(socket.clone());
    message.push(Ticket);
    let error = message.shared().unwrap_err();
    assert_eq!(error, NotShared { kind: "ticket" });
    assert_eq!(error.to_string(), "a ticket cannot be shared");
    assert_eq!(Arc::strong_count(&socket.0), 2);
    // One that was taken is no obstacle.
    message.take::<Ticket>(1).unwrap();
    assert!(message.shared().unwrap().take::<Ticket>(1).is_none());
}

#[test]
fn a_large_message_is_copied_in_pieces() {
    let mut message = DataMessage::default();
    let bytes: Vec<_> = (0..1_000_000_u32).map(|number| number as u8).collect();
    message.write(&bytes);
    let socket = Socket(Arc::default());
    for _ in 0..1000 {
        message.push(socket.clone());
    }
    let mut copy = SharedCopy::of(&message);
    let (mut pieces, mut shared) = (1, Arc::strong_count(&socket.0));
    while !copy.advance(&message).unwrap() {
        let now = Arc::strong_count(&socket.0);
        assert!(now - shared <= 256);
        (pieces, shared) = (pieces + 1, now);
    }
    assert!(pieces > 10);
    let copy = copy.into_message();
    assert_eq!(copy.bytes(), bytes);
    assert_eq!(Arc::strong_count(&socket.0), 1 + 2 * 1000);
    drop(copy);
    // Another thread drops so many.
    while Arc::strong_count(&socket.0) != 1 + 1000 {
        std::thread::yield_now();
    }
}

#[test]
fn an_empty_message_is_copied_at_once() {
    let message = DataMessage::new(Tag::new(1), *b"");
    let mut copy = SharedCopy::of(&message);
    assert_eq!(copy.advance(&message), Ok(true));
    assert!(!copy.into_message().had_resources());
}
