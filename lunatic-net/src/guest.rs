//! The namespace `lunatic::networking` (ABI §6), and the sockets in messages
//! (ABI §4).
//!
//! Bytes go straight between the kernel and the guest's memory: a host function
//! that waits holds no address in that memory, and computes it again for each
//! attempt.

mod addresses;
mod binding;
#[cfg(feature = "tls")]
mod certificates;
mod dns;
mod listeners;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod reports;
mod sockets;
mod streams;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_sockets;
mod udp;
mod vectors;

use lunatic_abi::host_functions;
use lunatic_mailbox::guest::MailboxHost;

#[cfg(not(feature = "tls"))]
use crate::guest::{no_tls as tls, no_tls as tls_sockets};
use crate::listeners::Listeners;

pub use sockets::{GuestNet, TooManySockets};

/// What the state of a process offers to `lunatic::networking`.
pub trait NetHost: MailboxHost {
    /// The sockets of this process, and what it may do with the network.
    fn net(&mut self) -> &mut GuestNet;

    /// What this process and the others of its root have bound.
    fn listeners(&self) -> &Listeners;
}

host_functions! {
    /// Registers `lunatic::networking`, and the functions of `lunatic::message` that
    /// move sockets.
    pub fn add_to_linker<T: NetHost>(Linker<T>);
    /// The functions of `lunatic::networking`, and those of `lunatic::message` that
    /// move sockets.
    pub const HOST_FUNCTIONS;

    use dns, tcp, tls, udp;
}
