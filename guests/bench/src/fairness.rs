//! Sleeps a short time again and again beside processes that never stop.

use std::hint;
use std::time::{Duration, Instant};

use lunatic::{sleep, Mailbox, Process};

use crate::measurement;

/// How many processes spin.
const SPINNERS: usize = 4;

/// How long a sleep shall be.
const NAP: Duration = Duration::from_millis(1);

/// Prints the median, the 99th percentile and the longest of `count` sleeps.
pub fn fair(count: u64, _: Mailbox<u64>) {
    for _ in 0..SPINNERS {
        Process::spawn((), spin);
    }
    let mut naps: Vec<Duration> = (0..count).map(|_| nap()).collect();
    naps.sort_unstable();
    let at_percent = |percent: usize| naps[(naps.len() - 1) * percent / 100];
    measurement::print("fair-p50", 1, at_percent(50));
    measurement::print("fair-p99", 1, at_percent(99));
    measurement::print("fair-max", 1, at_percent(100));
}

fn nap() -> Duration {
    let start = Instant::now();
    sleep(NAP);
    start.elapsed()
}

/// Never waits for anything.
fn spin(_: (), _: Mailbox<()>) {
    let mut number: u64 = 0;
    loop {
        number = hint::black_box(number.wrapping_add(1));
    }
}
