//! Prints what was measured: a name, a count and nanoseconds in one line.

use std::time::{Duration, Instant};

use lunatic::Mailbox;

/// Says that `count` times what `name` stands for took until now.
pub fn since(start: Instant, name: &str, count: u64) {
    print(name, count, start.elapsed());
}

/// Says that `count` times what `name` stands for took `time`.
pub fn print(name: &str, count: u64, time: Duration) {
    println!("{name} {count} {}", time.as_nanos());
}

/// Says just anything; the time that matters is taken from outside.
pub fn cold(count: u64, _: Mailbox<u64>) {
    print("cold", count, Duration::ZERO);
}
