//! What the parts of Lunatic cost: `cargo bench --workspace --bench micro`.
#![allow(clippy::unwrap_used, reason = "what fails here cannot be measured")]

mod arena;
mod compute;
mod mailbox;
mod native;
mod scheduler;
mod timers;
mod wasm;

/// As in the program `lunatic`.
#[global_allocator]
static ALLOCATOR: lunatic_allocator::Allocator = lunatic_allocator::Allocator;

fn main() {
    divan::main();
}
