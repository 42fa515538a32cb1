//! The clients of a server, and which of them is disconnected if there are too many.

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
    /// The bytes of answers that are being written.
    answers: usize,
    /// The clients that have sent no whole request, in the order in which they began to wait.
    silent: BTreeMap<u64, Sender<()>>,
    next: u64,
}

/// A client is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Clients>);

/// An answer is being written until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering {
    clients: Arc<Clients>,
    bytes: usize,
}

/// A client has sent no whole request until this is dropped.
#[derive(Debug)]
pub(crate) struct Silence {
    clients: Arc<Clients>,
    number: u64,
    has_to_go: Receiver<()>,
}

impl Clients {
    /// Registers a client. If there are `max`, a silent one is disconnected.
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

impl Place {
    /// Registers an answer of `bytes` bytes that is being written. Returns `None` if the answers
    /// of all clients would exceed `max` bytes together, and this one is not the only one.
    /// Answers of at most 16 KiB are not counted.
    pub(crate) fn answers(&self, bytes: usize, max: usize) -> Option<Answering> {
        const UNCOUNTED_BYTES: usize = 16 << 10;
        let bytes = if bytes <= UNCOUNTED_BYTES { 0 } else { bytes };
        let mut state = self.0.state.lock();
        let all = state.answers.saturating_add(bytes);
        if bytes > 0 && state.answers > 0 && all > max {
            return None;
        }
        state.answers = all;
        Some(Answering {
            clients: self.0.clone(),
            bytes,
        })
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

impl Drop for Answering {
    fn drop(&mut self) {
        self.clients.state.lock().answers -= self.bytes;
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.clients.state.lock().silent.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn no_more_bytes_of_answers_are_written_at_once_than_there_may_be_but_one_answer_always() {
        let clients = Arc::new(Clients::default());
        let [one, other] = [(), ()].map(|()| clients.take(2).unwrap());
        const MAX: usize = 1 << 20;
        let large = one.answers(2 * MAX, MAX).unwrap();
        assert!(other.answers(20_000, MAX).is_none());
        let short = other.answers(1000, MAX).unwrap();
        drop(large);
        let few = one.answers(MAX / 4, MAX).unwrap();
        let more = other.answers(MAX / 4 * 3, MAX).unwrap();
        assert!(other.answers(20_000, MAX).is_none());
        drop((few, more, short));
        assert_eq!(clients.state.lock().answers, 0);
    }
}
