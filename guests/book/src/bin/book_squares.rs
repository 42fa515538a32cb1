//! Spawns a thousand processes, and adds up what they answer.

use lunatic::{spawn_link, Mailbox};

const PROCESSES: u64 = 1000;

#[lunatic::main]
fn main(mailbox: Mailbox<u64>) {
    for n in 1..=PROCESSES {
        let parent = mailbox.this();
        spawn_link!(|parent, n| parent.send(n * n));
    }
    let sum: u64 = (0..PROCESSES).map(|_| mailbox.receive()).sum();
    println!("the squares of 1 to {PROCESSES} add up to {sum}");
}
