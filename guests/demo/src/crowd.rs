//! Spawns thousands of processes that are all alive at once and all answer.

use std::time::Instant;

use lunatic::{Mailbox, Process};

use crate::narrator;

const CROWD: u64 = 5_000;

/// What a member says when it is there.
const HELLO: u64 = 0;

pub fn tell(audience: Process<()>, mailbox: Mailbox<u64>) {
    let this = mailbox.this();

    let start = Instant::now();
    let members: Vec<_> = (0..CROWD).map(|_| Process::spawn(this, member)).collect();
    narrator::time("spawned", CROWD, start.elapsed());
    for _ in &members {
        assert_eq!(mailbox.receive(), HELLO);
    }
    narrator::time("all there", CROWD, start.elapsed());

    let start = Instant::now();
    for (number, member) in (1..).zip(&members) {
        member.send(number);
    }
    let squares: u64 = members.iter().map(|_| mailbox.receive()).sum();
    narrator::time("all answered", CROWD, start.elapsed());

    assert_eq!(squares, sum_of_squares(CROWD));
    narrator::say(
        "together",
        format_args!("their squares sum up to {squares}"),
    );
    audience.send(());
}

/// Reports, waits for a number, and answers with its square.
fn member(crowd: Process<u64>, mailbox: Mailbox<u64>) {
    crowd.send(HELLO);
    let number = mailbox.receive();
    crowd.send(number * number);
}

fn sum_of_squares(last: u64) -> u64 {
    last * (last + 1) * (2 * last + 1) / 6
}
