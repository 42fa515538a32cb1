//! A number goes round in a ring of processes.

use std::time::Instant;

use lunatic::{Mailbox, Process};

use crate::measurement;

/// How many processes pass the number on, besides the one that counts rounds.
const LINKS: u64 = 999;

/// Hands a number round until it took `count` hops, to a full round.
pub fn ring(count: u64, mailbox: Mailbox<u64>) {
    let this = mailbox.this();
    let first = (0..LINKS).fold(this, |next, _| Process::spawn(next, link));
    let rounds = count.div_ceil(LINKS + 1);
    let start = Instant::now();
    for round in 0..rounds {
        first.send(round);
        assert_eq!(mailbox.receive(), round);
    }
    measurement::since(start, "ring", rounds * (LINKS + 1));
}

fn link(next: Process<u64>, mailbox: Mailbox<u64>) {
    loop {
        next.send(mailbox.receive());
    }
}
