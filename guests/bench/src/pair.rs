//! Two processes send each other messages, or one of them does.

use std::time::Instant;

use lunatic::{Mailbox, Process};

use crate::measurement;

/// Sends a number to and fro.
pub fn ping(count: u64, mailbox: Mailbox<u64>) {
    let partner = Process::spawn(mailbox.this(), echo);
    let start = Instant::now();
    for number in 0..count {
        partner.send(number);
        assert_eq!(mailbox.receive(), number);
    }
    measurement::since(start, "ping", count);
}

/// Takes what another process sends as fast as it can.
pub fn flood(count: u64, mailbox: Mailbox<u64>) {
    let source = Process::spawn(mailbox.this(), source);
    let start = Instant::now();
    source.send(count);
    for number in 0..count {
        assert_eq!(mailbox.receive(), number);
    }
    measurement::since(start, "flood", count);
}

/// Sends back whatever comes.
pub fn echo(partner: Process<u64>, mailbox: Mailbox<u64>) {
    loop {
        partner.send(mailbox.receive());
    }
}

/// Sends as many numbers as it is told to.
fn source(sink: Process<u64>, mailbox: Mailbox<u64>) {
    for number in 0..mailbox.receive() {
        sink.send(number);
    }
}
