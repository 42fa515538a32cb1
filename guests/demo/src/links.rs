//! A boss is linked to its workers and gets their crashes as messages.

use lunatic::{LinkDiedSignal, Mailbox, MessageSignal, Process, Tag};

use crate::narrator::{crash, say};

const WORKERS: u32 = 4;

pub fn tell(audience: Process<()>, mailbox: Mailbox<u32>) {
    let this = mailbox.this();
    // Without this the first crash would take the boss along.
    let mailbox = mailbox.catch_link_failure();
    for number in 1..=WORKERS {
        let tag = Tag::new();
        Process::spawn_link_tag((this, number), tag, worker);
        match mailbox.receive() {
            MessageSignal::Message(result) => {
                say("boss", format_args!("worker {number} brought {result}"));
            }
            MessageSignal::Signal(LinkDiedSignal(dead)) => {
                assert_eq!(dead, tag, "the link's tag tells who died");
                say(
                    "boss",
                    format_args!("worker {number} died, the others go on"),
                );
            }
        }
    }
    audience.send(());
}

/// Brings a result if its number is odd, and crashes if it is even.
fn worker((boss, number): (Process<u32>, u32), _: Mailbox<()>) {
    if number % 2 == 0 {
        crash(&format!("worker {number}"), "out of luck");
    }
    boss.send(number * 100);
}
