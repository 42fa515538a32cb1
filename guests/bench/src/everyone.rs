//! Everyone sends to everyone.

use std::time::Instant;

use lunatic::{Mailbox, Process};
use serde::{Deserialize, Serialize};

use crate::measurement;

/// How many processes there are.
const MEMBERS: u64 = 100;

/// What one round of all members is.
const MESSAGES_PER_ROUND: u64 = MEMBERS * (MEMBERS - 1);

#[derive(Serialize, Deserialize)]
enum Message {
    Begin { peers: Vec<Process<Message>> },
    Hello,
}

/// Members greet each other until `count` messages went round, to a full round.
pub fn big(count: u64, mailbox: Mailbox<u64>) {
    let rounds = count.div_ceil(MESSAGES_PER_ROUND);
    let members: Vec<Process<Message>> = (0..MEMBERS)
        .map(|_| Process::spawn((mailbox.this(), rounds), member))
        .collect();
    let start = Instant::now();
    for member in &members {
        let peers = members.iter().copied();
        member.send(Message::Begin {
            peers: peers.filter(|peer| peer.id() != member.id()).collect(),
        });
    }
    for _ in &members {
        mailbox.receive();
    }
    measurement::since(start, "big", rounds * MESSAGES_PER_ROUND);
}

/// Greets all peers and hears as many greetings, round after round.
fn member((parent, rounds): (Process<u64>, u64), mailbox: Mailbox<Message>) {
    let mut peers = Vec::new();
    let mut unheard = rounds * (MEMBERS - 1);
    while peers.is_empty() {
        match mailbox.receive() {
            Message::Begin { peers: others } => peers = others,
            // Of somebody who began earlier.
            Message::Hello => unheard -= 1,
        }
    }
    for _ in 0..rounds {
        for peer in &peers {
            peer.send(Message::Hello);
        }
        for _ in 0..unheard.min(MEMBERS - 1) {
            mailbox.receive();
            unheard -= 1;
        }
    }
    parent.send(0);
}
