//! The TLS sockets of a process in a build without the feature `tls`: it has none.

use lunatic_abi::{Misuse, host_functions};
use lunatic_account::Account;

use crate::guest::NetHost;

/// No sockets.
#[derive(Debug, Default)]
pub(super) struct TlsSockets;

host_functions! {
    /// Registers nothing.
    pub(super) fn add_to_linker<T: NetHost>(Linker<T>);
    /// No functions.
    pub(super) const HOST_FUNCTIONS;
}

impl TlsSockets {
    pub(super) fn successor(&self, _: &Account) -> Result<TlsSockets, Misuse> {
        Ok(TlsSockets)
    }

    pub(super) fn join(&mut self, _: TlsSockets) {}

    pub(super) fn len(&self) -> usize {
        0
    }
}
