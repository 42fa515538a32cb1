//! Which version of a program takes what arrives at a socket.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use event_listener::Event;
use parking_lot::Mutex;

/// Which generation of those that share a socket takes what arrives: the latest that has
/// begun to. Those before it wait.
#[derive(Debug, Default)]
pub(crate) struct ActiveGeneration {
    /// The last of `all_begun`, to be read without the lock.
    begun: AtomicU64,
    /// Those that have begun and have not given back.
    all_begun: Mutex<BTreeSet<u64>>,
    /// Notified when a generation is over.
    given_back: Event,
}

impl ActiveGeneration {
    /// A generation begins to take what arrives; from now on those before it wait.
    pub(crate) fn begin(&self, generation: u64) {
        if self.begun.load(Ordering::SeqCst) < generation {
            let mut all_begun = self.all_begun.lock();
            all_begun.insert(generation);
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

    /// A generation that is over leaves what arrives to the one that had begun before it.
    pub(crate) fn give_back(&self, generation: u64) {
        let mut all_begun = self.all_begun.lock();
        if !all_begun.remove(&generation) {
            return;
        }
        let last = all_begun.last().copied().unwrap_or_default();
        self.begun.store(last, Ordering::SeqCst);
        drop(all_begun);
        self.given_back.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_goes_back_to_the_generation_before_and_to_no_older_one() {
        let active = ActiveGeneration::default();
        for generation in 1..=3 {
            active.begin(generation);
            assert!(active.has_begun(generation));
        }
        active.give_back(3);
        assert!(active.may_take(2) && active.has_begun(2));
        assert!(!active.may_take(1), "it was replaced");
        // The next one takes over from there.
        active.begin(4);
        assert!(!active.may_take(2));
        active.give_back(4);
        active.give_back(2);
        assert!(active.may_take(1));
    }

    #[test]
    fn one_that_has_not_begun_gives_nothing_back() {
        let active = ActiveGeneration::default();
        active.begin(1);
        active.give_back(2);
        assert!(active.has_begun(1));
    }
}
