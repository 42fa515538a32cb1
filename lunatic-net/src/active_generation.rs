//! Which version of a program takes what arrives at a socket.

use std::sync::atomic::{AtomicU64, Ordering};

use event_listener::Event;

/// Which generation of those that share a socket takes what arrives: the latest that has
/// begun to. Those before it wait.
#[derive(Debug, Default)]
pub(crate) struct ActiveGeneration {
    begun: AtomicU64,
    /// Notified when a generation is over.
    given_back: Event,
}

impl ActiveGeneration {
    /// A generation begins to take what arrives; from now on those before it wait.
    pub(crate) fn begin(&self, generation: u64) {
        if self.begun.load(Ordering::SeqCst) < generation {
            self.begun.fetch_max(generation, Ordering::SeqCst);
        }
    }

    /// Returns whether a generation has begun to take what arrives, and none after it.
    pub(crate) fn has_begun(&self, generation: u64) -> bool {
        self.begun.load(Ordering::SeqCst) == generation
    }

    /// Returns whether a generation may take what arrives.
    pub(crate) fn may_take(&self, generation: u64) -> bool {
        self.begun.load(Ordering::SeqCst) <= generation
    }

    /// Waits until a generation may take what arrives.
    pub(crate) async fn wait(&self, generation: u64) {
        while !self.may_take(generation) {
            let given_back = self.given_back.listen();
            if !self.may_take(generation) {
                given_back.await;
            }
        }
    }

    /// A generation that is over leaves what arrives to whoever takes it.
    pub(crate) fn give_back(&self, generation: u64) {
        let (has, free) = (generation, 0);
        let given = self
            .begun
            .compare_exchange(has, free, Ordering::SeqCst, Ordering::SeqCst);
        if given.is_ok() {
            self.given_back.notify(usize::MAX);
        }
    }
}
