//! What happens in a supervised tree, and children that report it.
#![allow(
    unreachable_pub,
    reason = "this is a module of a test, which has no public interface"
)]

use async_channel::{Receiver, Sender};
use lunatic_mailbox::{Tag, Wanted};
use lunatic_process::Failure;
use lunatic_supervisor::{ChildStart, native};
use lunatic_testkit::wait;

/// What happens in a supervised tree, to be waited for.
#[derive(Clone)]
pub struct EventLog {
    sender: Sender<String>,
    receiver: Receiver<String>,
}

impl EventLog {
    pub fn new() -> EventLog {
        let (sender, receiver) = async_channel::unbounded();
        EventLog { sender, receiver }
    }

    pub fn add(&self, event: impl Into<String>) {
        self.sender.try_send(event.into()).ok();
    }

    /// The next event.
    #[track_caller]
    pub fn next(&self) -> String {
        wait("the next event", self.receiver.recv()).expect("a sender is kept")
    }

    /// Asserts what the next events are.
    #[track_caller]
    pub fn next_are(&self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next(), *expected);
        }
    }

    /// Asserts that there are no more events now.
    #[track_caller]
    pub fn is_over(&self) {
        assert_eq!(self.receiver.try_recv().ok(), None, "one event too many");
    }
}

/// A child that reports when it starts and when it ends, and fails at the first
/// message, or ends normally if that message has the tag 1.
pub fn worker(name: &'static str, log: &EventLog) -> ChildStart {
    let log = log.clone();
    native(move |mut own| {
        log.add(format!("{name} starts"));
        let end = End {
            name,
            log: log.clone(),
        };
        async move {
            let _end = end;
            let message = own.mailbox.receive(Wanted::Any).await;
            match message.tag() == Tag::new(1) {
                true => Ok(()),
                false => Err(Failure::new("as it was told")),
            }
        }
    })
}

/// Reports the end of a worker when it is dropped.
struct End {
    name: &'static str,
    log: EventLog,
}

impl Drop for End {
    fn drop(&mut self) {
        self.log.add(format!("{} ends", self.name));
    }
}
