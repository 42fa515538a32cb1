//! Asks a process two things, and takes the answers by their tags.

use lunatic::{Mailbox, Process, Tag};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Question {
    from: Process<u64>,
    tag: Tag,
    numbers: Vec<u64>,
}

#[lunatic::main]
fn main(mailbox: Mailbox<u64>) {
    let adder = Process::spawn((), add);
    let ask = |numbers: &[u64]| {
        let tag = Tag::new();
        adder.send(Question {
            from: mailbox.this(),
            tag,
            numbers: numbers.to_vec(),
        });
        tag
    };
    let first = ask(&[1, 2, 3]);
    let second = ask(&[40, 2]);
    // The second answer is taken first; the first one stays in the mailbox.
    println!("the second sum is {}", mailbox.tag_receive(&[second]));
    println!("the first sum is {}", mailbox.tag_receive(&[first]));
}

fn add(_: (), mailbox: Mailbox<Question>) {
    loop {
        let question = mailbox.receive();
        let sum = question.numbers.iter().sum();
        question.from.tag_send(question.tag, sum);
    }
}
