//! Waits for a message, three calls deep.
//!
//! `lunatic-cli/tests/calls.rs` looks at its calls, and at those of the same in C
//! (`guests/c/calls.c`) and AssemblyScript.

use std::hint::black_box;

use lunatic::Mailbox;

#[lunatic::main]
fn main(mailbox: Mailbox<u8>) {
    black_box(outermost(&mailbox));
}

#[inline(never)]
fn outermost(mailbox: &Mailbox<u8>) -> u8 {
    black_box(between(mailbox))
}

#[inline(never)]
fn between(mailbox: &Mailbox<u8>) -> u8 {
    black_box(waits_here(mailbox))
}

#[inline(never)]
fn waits_here(mailbox: &Mailbox<u8>) -> u8 {
    black_box(mailbox.receive())
}
