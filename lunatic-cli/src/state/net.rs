//! The sockets of a process.

use lunatic_net::Listeners;
use lunatic_net::guest::NetHost;

use crate::state::State;

pub(super) use lunatic_net::guest::{GuestNet, HOST_FUNCTIONS, add_to_linker};

impl NetHost for State {
    fn net(&mut self) -> &mut GuestNet {
        &mut self.net
    }

    fn listeners(&self) -> &Listeners {
        &self.services.listeners
    }
}
