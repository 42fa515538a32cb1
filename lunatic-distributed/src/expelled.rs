//! Why a node can be part of its cluster no longer.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use event_listener::Event;

use crate::handshake::Refusal;
use crate::local::NodeEvent;

/// Why a node that has started can be part of its cluster no longer: of two nodes that have the same
/// name or number, the later start ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expelled {
    /// A node that was started earlier has the same number.
    NumberTaken,
    /// A node that was started earlier has the same name: the two did not reach each other, nor
    /// others that know both, when this one was started.
    NameTaken,
}

impl Expelled {
    /// Whether, and why, a node is expelled by what has happened.
    pub fn by(event: &NodeEvent) -> Option<Expelled> {
        match event {
            NodeEvent::NumberTaken => Some(Expelled::NumberTaken),
            NodeEvent::Refused {
                refusal: Refusal::NameTaken { .. },
                ..
            } => Some(Expelled::NameTaken),
            _ => None,
        }
    }
}

/// Tells those who wait whether, and why, the node is expelled.
#[derive(Debug, Default)]
#[cfg_attr(
    not(feature = "transport"),
    allow(dead_code, reason = "only a node tells and waits")
)]
pub(crate) struct Expulsion {
    reason: OnceLock<Expelled>,
    has_come: Event,
}

#[cfg_attr(
    not(feature = "transport"),
    allow(dead_code, reason = "only a node tells and waits")
)]
impl Expulsion {
    /// Something has happened. Returns why the node is expelled, if it is from now on.
    pub(crate) fn event(&self, event: &NodeEvent) -> Option<Expelled> {
        let reason = Expelled::by(event)?;
        self.reason.set(reason).ok()?;
        self.has_come.notify(usize::MAX);
        Some(reason)
    }

    pub(crate) async fn wait(&self) -> Expelled {
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
            Expelled::NumberTaken => "another node has the same number, and was started earlier",
            Expelled::NameTaken => {
                "another node has the same name, and was started earlier: it was out of reach when \
                 this one was started, or both were at almost the same time"
            }
        })
    }
}

impl Error for Expelled {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use futures_lite::future::{block_on, zip};

    use super::*;
    use crate::start::Start;

    #[test]
    fn whoever_waits_is_told_the_first_reason() {
        let expulsion = Expulsion::default();
        let refused = |refusal| NodeEvent::Refused {
            address: ([10, 0, 0, 1], 4000).into(),
            refusal,
            is_joining: false,
        };
        assert_eq!(expulsion.event(&refused(Refusal::Leaving)), None);
        let id = lunatic_mailbox::NodeId::from_bits(1);
        let (clock, at) = (id, 0);
        let taken = Refusal::NameTaken {
            by: Start { clock, at, id },
        };
        let told = async { expulsion.event(&refused(taken)) };
        let (waited, told) = block_on(zip(expulsion.wait(), told));
        assert_eq!((waited, told), (Expelled::NameTaken, Some(waited)));
        assert_eq!(expulsion.event(&NodeEvent::NumberTaken), None);
        assert_eq!(block_on(expulsion.wait()), Expelled::NameTaken);
    }
}
