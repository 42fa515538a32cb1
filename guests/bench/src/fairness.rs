//! Sleeps a short time again and again beside processes that never stop.

use std::hint;
use std::time::{Duration, Instant};

use lunatic::{sleep, Mailbox, Process};

use crate::measurement;

/// How many processes spin.
const SPINNERS: usize = 4;

/// Prints the median, the 99th percentile and the longest of `count` sleeps.
pub fn fair(count: u64, _: Mailbox<u64>) {
    for _ in 0..SPINNERS {
        Process::spawn((), spin);
    }
    measurement::percentiles("fair", (0..count).map(|_| nap()).collect());
}

fn nap() -> Duration {
    let start = Instant::now();
    sleep(measurement::NAP);
    start.elapsed()
}

/// Never waits for anything.
fn spin(_: (), _: Mailbox<()>) {
    let mut number: u64 = 0;
    loop {
        number = hint::black_box(number.wrapping_add(1));
    }
}
