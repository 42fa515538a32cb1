//! The sockets of a process, in a build without the feature `net`: it has none.

use std::sync::Arc;

use lunatic_abi::{Misuse, host_functions};
use lunatic_account::Account;
use lunatic_net::NetConfig;

use crate::state::State;

/// What a process might do with the network: what it hands on to processes of other nodes, which
/// may have the feature.
#[derive(Debug)]
pub(super) struct GuestNet {
    config: Arc<NetConfig>,
}

host_functions! {
    /// Registers nothing.
    pub(super) fn add_to_linker(Linker<State>);
    /// No functions.
    pub(super) const HOST_FUNCTIONS;
}

impl GuestNet {
    pub(super) fn new(config: Arc<NetConfig>) -> GuestNet {
        GuestNet { config }
    }

    pub(super) fn successor(&self, _: &Account) -> Result<GuestNet, Misuse> {
        Ok(GuestNet::new(self.config.clone()))
    }

    pub(super) fn join(&mut self, _: GuestNet) {}

    pub(super) fn config(&self) -> &Arc<NetConfig> {
        &self.config
    }

    pub(super) fn socket_count(&self) -> usize {
        0
    }
}
