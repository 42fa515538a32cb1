//! Computes, and does nothing else.

use std::hint;
use std::time::Instant;

use lunatic::Mailbox;

use crate::measurement;

/// Computes the Fibonacci number at `index` in the slowest way there is.
pub fn fib(index: u64, _: Mailbox<u64>) {
    let start = Instant::now();
    hint::black_box(fibonacci(hint::black_box(index)));
    measurement::since(start, "fib", 1);
}

fn fibonacci(index: u64) -> u64 {
    if index < 2 {
        index
    } else {
        fibonacci(index - 1) + fibonacci(index - 2)
    }
}
