//! Messages that cross to another node.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use lunatic_mailbox::{
    DataMessage, EncodedResource, MessageResource, NotTransferable, Tag, WireMessage,
};

/// A resource that can cross.
#[derive(Debug, PartialEq)]
struct Number(u64);

impl MessageResource for Number {
    fn kind(&self) -> &'static str {
        "number"
    }

    fn encode(&self) -> Result<EncodedResource, NotTransferable> {
        EncodedResource::of(&self.0, self.kind())
    }
}

/// A resource that cannot.
struct Socket;

impl MessageResource for Socket {
    fn kind(&self) -> &'static str {
        "socket"
    }
}

fn decode(encoded: EncodedResource) -> Result<Box<dyn MessageResource>, postcard::Error> {
    assert_eq!(encoded.kind, "number");
    Ok(Box::new(Number(postcard::from_bytes(&encoded.bytes)?)))
}

#[test]
fn tag_bytes_and_resources_arrive_as_they_were_sent() {
    let mut message = DataMessage::new(Tag::new(-5), *b"twenty bytes of data");
    message.push(Number(1));
    message.push(Number(2));
    message.push(Number(3));
    message.take::<Number>(1).unwrap();
    message.seek(7);

    let bytes = postcard::to_allocvec(&message.to_wire().unwrap()).unwrap();
    let wire: WireMessage = postcard::from_bytes(&bytes).unwrap();
    let mut arrived = wire.into_message(decode).unwrap();
    assert_eq!(arrived.tag(), Tag::new(-5));
    assert_eq!(arrived.bytes(), b"twenty bytes of data");
    assert_eq!(arrived.take::<Number>(0), Some(Number(1)));
    assert_eq!(arrived.take::<Number>(1), None);
    assert_eq!(arrived.take::<Number>(2), Some(Number(3)));
}

#[test]
fn a_resource_that_cannot_cross_is_named_and_the_message_stays() {
    let mut message = DataMessage::new(None, []);
    message.push(Number(1));
    message.push(Socket);
    let refused = message.to_wire().unwrap_err();
    assert_eq!(refused.to_string(), "a socket cannot leave its node");
    assert!(message.take::<Socket>(1).is_some());
    assert!(message.to_wire().is_ok());
}

#[test]
fn a_resource_of_another_type_stays_in_its_place() {
    let mut message = DataMessage::new(None, []);
    message.push(Number(1));
    assert!(message.take::<Socket>(0).is_none());
    assert_eq!(message.take::<Number>(0), Some(Number(1)));
    assert!(message.take::<Number>(0).is_none());
}
