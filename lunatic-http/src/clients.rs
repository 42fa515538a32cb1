//! How many clients there are, and who has to go if there are too many.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use parking_lot::Mutex;

/// The clients of a server.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Those that have sent no whole request, in the order in which they began to wait.
    silent: BTreeMap<u64, Sender<()>>,
    next: u64,
}

/// A client is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Clients>);

/// A client has sent no whole request until this is dropped.
#[derive(Debug)]
pub(crate) struct Silence {
    clients: Arc<Clients>,
    number: u64,
    has_to_go: Receiver<()>,
}

impl Clients {
    /// Takes a place for a client. If there are `max`, one that is silent has to go.
    pub(crate) fn take(self: &Arc<Self>, max: usize) -> Option<Place> {
        let mut state = self.state.lock();
        if state.count >= max {
            // Its task sees that the other end is gone.
            state.silent.pop_first()?;
        }
        state.count += 1;
        Some(Place(self.clone()))
    }
}

impl Place {
    /// The client waits with its next request from now on.
    pub(crate) fn is_silent(&self) -> Silence {
        let (sender, has_to_go) = async_channel::bounded(1);
        let mut state = self.0.state.lock();
        let number = state.next;
        state.next += 1;
        state.silent.insert(number, sender);
        Silence {
            clients: self.0.clone(),
            number,
            has_to_go,
        }
    }
}

impl Silence {
    /// Waits until the client has to go.
    pub(crate) async fn has_to_go(&self) {
        self.has_to_go.recv().await.ok();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.lock().count -= 1;
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.clients.state.lock().silent.remove(&self.number);
    }
}
