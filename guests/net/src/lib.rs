//! What the programs in `src/bin` are made of, where it is more than a few lines.

pub mod chat;
pub mod http;

use std::env;
use std::fmt::Display;

/// Where a server listens: its first argument, or a free port of this machine.
pub fn address() -> String {
    env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned())
}

/// Says where a server listens, for whoever started it with port 0.
pub fn announce(address: impl Display) {
    println!("listening on {address}");
}
