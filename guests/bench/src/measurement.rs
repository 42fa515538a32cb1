//! Prints what was measured: a name, a count and nanoseconds in one line.

use std::time::{Duration, Instant};

use lunatic::Mailbox;

/// A short sleep.
pub const NAP: Duration = Duration::from_millis(1);

/// Says that `count` times what `name` stands for took until now.
pub fn since(start: Instant, name: &str, count: u64) {
    print(name, count, start.elapsed());
}

/// Says that `count` times what `name` stands for took `time`.
pub fn print(name: &str, count: u64, time: Duration) {
    println!("{name} {count} {}", time.as_nanos());
}

/// Says the median, the 99th percentile and the longest of `times`.
pub fn percentiles(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (label, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
        let time = times[(times.len() - 1) * percent / 100];
        print(&format!("{name}-{label}"), 1, time);
    }
}

/// Says just anything; the time that matters is taken from outside.
pub fn cold(count: u64, _: Mailbox<u64>) {
    print("cold", count, Duration::ZERO);
}
