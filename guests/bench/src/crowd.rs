//! Spawns processes: one after the other, all at once, or to stay.

use std::io;
use std::time::Instant;

use lunatic::{Mailbox, Process};

use crate::measurement;

/// Spawns a process and hears one message from it, again and again.
pub fn spawn(count: u64, mailbox: Mailbox<u64>) {
    let this = mailbox.this();
    let start = Instant::now();
    for _ in 0..count {
        Process::spawn(this, greeter);
        mailbox.receive();
    }
    measurement::since(start, "spawn", count);
}

/// Spawns all at once, each saying something; then wakes all, each saying
/// something once more and ending.
pub fn burst(count: u64, mailbox: Mailbox<u64>) {
    let this = mailbox.this();
    let start = Instant::now();
    let members: Vec<_> = (0..count).map(|_| Process::spawn(this, member)).collect();
    for _ in &members {
        mailbox.receive();
    }
    measurement::since(start, "burst", count);

    let start = Instant::now();
    for member in &members {
        member.send(1);
    }
    let answers: u64 = members.iter().map(|_| mailbox.receive()).sum();
    measurement::since(start, "wake", count);
    assert_eq!(answers, count);
}

/// Keeps processes alive until somebody ends the standard input.
pub fn live(count: u64, mailbox: Mailbox<u64>) {
    let this = mailbox.this();
    let start = Instant::now();
    for _ in 0..count {
        Process::spawn(this, member);
        mailbox.receive();
    }
    measurement::since(start, "ready", count);
    io::stdin()
        .read_line(&mut String::new())
        .expect("the standard input can be read");
}

fn greeter(parent: Process<u64>, _: Mailbox<u64>) {
    parent.send(0);
}

/// Says that it is there, waits for a number and brings it back.
fn member(parent: Process<u64>, mailbox: Mailbox<u64>) {
    parent.send(0);
    parent.send(mailbox.receive());
}
