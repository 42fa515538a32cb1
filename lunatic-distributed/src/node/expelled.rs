//! Why a node can be part of its cluster no longer.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use event_listener::Event;

use crate::handshake::Refusal;
use crate::local::NodeEvent;

/// Why a node that has started can be part of its cluster no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expelled {
    /// A node that has run for longer has the same number.
    NumberTaken,
    /// It was out of reach, another node of its name was let in, which lives, and it has a session
    /// with no other.
    NameTaken,
}

/// Tells those who wait whether, and why, the node is expelled.
#[derive(Debug, Default)]
pub(super) struct Expulsion {
    reason: OnceLock<Expelled>,
    has_come: Event,
    /// So many sessions there are. Who has one is not expelled for its name: others may have
    /// refused the other one, and both would end.
    sessions: AtomicUsize,
}

impl Expulsion {
    /// Something has happened. Returns why the node is expelled, if it is from now on.
    pub(super) fn event(&self, event: &NodeEvent) -> Option<Expelled> {
        let reason = match event {
            NodeEvent::Up(_) => {
                self.sessions.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            NodeEvent::Down { .. } => {
                self.sessions.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            NodeEvent::NumberTaken => Expelled::NumberTaken,
            NodeEvent::Refused {
                refusal: Refusal::NameTaken,
                is_joining: false,
                ..
            } if self.sessions.load(Ordering::Relaxed) == 0 => Expelled::NameTaken,
            _ => return None,
        };
        self.reason.set(reason).ok()?;
        self.has_come.notify(usize::MAX);
        Some(reason)
    }

    pub(super) async fn wait(&self) -> Expelled {
        loop {
            let listener = self.has_come.listen();
            if let Some(reason) = self.reason.get() {
                return *reason;
            }
            listener.await;
        }
    }
}

impl fmt::Display for Expelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expelled::NumberTaken => "another node has the same number, and has run for longer",
            Expelled::NameTaken => {
                "another node has taken the name of this one, which was out of reach; the others \
                 refuse this one as long as that lives"
            }
        })
    }
}

impl Error for Expelled {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::collections::BTreeMap;

    use futures_lite::future::{block_on, zip};
    use lunatic_mailbox::NodeId;

    use super::*;
    use crate::node_info::NodeInfo;

    #[test]
    fn whoever_waits_is_told_the_first_reason() {
        let expulsion = Expulsion::default();
        let address = ([10, 0, 0, 1], 4000).into();
        let node = NodeInfo {
            id: NodeId::from_bits(7),
            name: "other".parse().unwrap(),
            address,
            generation: 1,
            tags: BTreeMap::new(),
        };
        let down = NodeEvent::Down {
            node: node.clone(),
            left: false,
        };
        let refused = |is_joining| NodeEvent::Refused {
            address,
            refusal: Refusal::NameTaken,
            is_joining,
        };
        assert_eq!(expulsion.event(&refused(true)), None);
        // As long as there is a session with anybody, it is not.
        assert_eq!(expulsion.event(&NodeEvent::Up(node)), None);
        assert_eq!(expulsion.event(&refused(false)), None);
        assert_eq!(expulsion.event(&down), None);
        let told = async { expulsion.event(&refused(false)) };
        let (waited, told) = block_on(zip(expulsion.wait(), told));
        assert_eq!((waited, told), (Expelled::NameTaken, Some(waited)));
        assert_eq!(expulsion.event(&NodeEvent::NumberTaken), None);
        assert_eq!(block_on(expulsion.wait()), Expelled::NameTaken);
    }
}
