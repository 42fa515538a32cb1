//! The namespace `lunatic::networking` (ABI §6), and the sockets in messages
//! (ABI §4).
//!
//! Bytes go straight between the kernel and the guest's memory: a host function
//! that waits holds no address in that memory, and computes it again for each
//! attempt.

mod addresses;
mod certificates;
mod dns;
mod listeners;
mod reports;
mod sockets;
mod streams;
mod tcp;
mod tls;
mod udp;
mod vectors;

use lunatic_mailbox::guest::MailboxHost;
use wasmtime::{Linker, Result};

pub use sockets::{GuestNet, TooManySockets};

/// The namespace of all functions of this crate but those on messages.
pub const NAMESPACE: &str = "lunatic::networking";

/// What the state of a process offers to `lunatic::networking`.
pub trait NetHost: MailboxHost {
    /// The sockets of this process, and what it may do with the network.
    fn net(&mut self) -> &mut GuestNet;
}

/// Registers `lunatic::networking`, and the functions of `lunatic::message` that
/// move sockets.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: NetHost>(linker: &mut Linker<T>) -> Result<()> {
    dns::add_to_linker(linker)?;
    tcp::add_to_linker(linker)?;
    tls::add_to_linker(linker)?;
    udp::add_to_linker(linker)
}
