//! Prints the story in aligned lines, and crashes on request.

use std::fmt::Display;
use std::panic;
use std::time::Duration;

/// Prints the heading of it all.
pub fn title(text: &str) {
    println!("\n{text}\n{}", "=".repeat(text.len()));
}

/// Prints the heading of a chapter.
pub fn chapter(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

/// Prints a line about someone.
pub fn say(who: &str, what: impl Display) {
    println!("  {who:<12} {what}");
}

/// Prints what `count` processes did together, and how long it took.
pub fn time(what: &str, count: u64, took: Duration) {
    let milliseconds = took.as_secs_f64() * 1e3;
    let each = took.as_secs_f64() * 1e6 / count as f64;
    println!("  {what:<12} {count:>6} processes  {milliseconds:>8.1} ms  {each:>6.1} µs each");
}

/// Prints the last line.
pub fn closing(took: Duration) {
    println!("\nThat took {:.2} s.\n", took.as_secs_f64());
}

/// Crashes the calling process, and says so instead of the panic message.
pub fn crash(who: &str, why: &str) -> ! {
    say(who, format_args!("crashes: {why}"));
    panic::set_hook(Box::new(|_| {}));
    panic!("{why}");
}
