//! A program of many processes.

use lunatic::{spawn_link, Mailbox};

#[lunatic::main]
fn main(mailbox: Mailbox<u64>) {
    println!("a hundred processes say {}", sum_of_squares(100, mailbox));
}

/// Has each number squared by a process of its own, and adds up what they send.
fn sum_of_squares(count: u64, mailbox: Mailbox<u64>) -> u64 {
    for n in 0..count {
        let parent = mailbox.this();
        spawn_link!(|parent, n| parent.send(n * n));
    }
    (0..count).map(|_| mailbox.receive()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[lunatic::test]
    fn squares_are_added_up(mailbox: Mailbox<u64>) {
        assert_eq!(sum_of_squares(4, mailbox), 0 + 1 + 4 + 9);
    }
}
