//! Sends messages to and fro beside processes that read and write files.

use std::fs;
use std::time::Instant;

use lunatic::{sleep, Mailbox, Process};

use crate::measurement;
use crate::pair::echo;

/// How many processes use files.
const CLERKS: u64 = 1000;

/// How much one of them writes and reads at a time.
const CONTENT: &[u8] = &[b'x'; 4096];

/// Prints the median, the 99th percentile and the longest of `count` round trips
/// of a message, with a short sleep before each.
pub fn files(count: u64, mailbox: Mailbox<u64>) {
    let partner = Process::spawn(mailbox.this(), echo);
    for clerk in 0..CLERKS {
        Process::spawn((mailbox.this(), clerk), file);
    }
    for _ in 0..CLERKS {
        mailbox.receive();
    }
    let round_trip = |number| {
        sleep(measurement::NAP);
        let start = Instant::now();
        partner.send(number);
        assert_eq!(mailbox.receive(), number);
        start.elapsed()
    };
    measurement::percentiles("files", (0..count).map(round_trip).collect());
}

/// Says when its file is there, and writes and reads it for ever.
fn file((parent, clerk): (Process<u64>, u64), _: Mailbox<()>) {
    let path = format!("bench-{clerk}.tmp");
    let write_and_read = || {
        fs::write(&path, CONTENT).expect("the directory can be written");
        let content = fs::read(&path).expect("the file can be read");
        assert_eq!(content.len(), CONTENT.len());
    };
    write_and_read();
    parent.send(clerk);
    loop {
        write_and_read();
    }
}
