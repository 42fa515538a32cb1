//! Does what `cargo xtask bench` times: `bench MODE COUNT`.
//!
//! `bench/beam.erl` does the same in Erlang; what one of them changes, the
//! other has to follow. Only `churn` is for `cargo xtask soak`.

mod churn;
mod crowd;
mod everyone;
mod fairness;
mod fibonacci;
mod files;
mod measurement;
mod pair;
mod ring;

use std::env;

use lunatic::Mailbox;

/// Does something as often as it is told to, and prints how long that took.
type Mode = fn(u64, Mailbox<u64>);

const MODES: [(&str, Mode); 12] = [
    ("big", everyone::big),
    ("burst", crowd::burst),
    ("churn", churn::churn),
    ("cold", measurement::cold),
    ("fair", fairness::fair),
    ("fib", fibonacci::fib),
    ("files", files::files),
    ("flood", pair::flood),
    ("live", crowd::live),
    ("ping", pair::ping),
    ("ring", ring::ring),
    ("spawn", crowd::spawn),
];

#[lunatic::main]
fn main(mailbox: Mailbox<u64>) {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, count] = arguments.as_slice() else {
        panic!("two arguments are needed: MODE COUNT");
    };
    let (_, run) = MODES
        .iter()
        .find(|(name, _)| name == mode)
        .unwrap_or_else(|| panic!("there is no mode `{mode}`"));
    run(count.parse().expect("the count is a number"), mailbox);
}
