//! Why a node can be part of its cluster no longer.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use event_listener::Event;

use crate::handshake::Refusal;
use crate::local::NodeEvent;

/// Why a node that has started can be part of its cluster no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expelled {
    /// A node that has run for longer has the same number.
    NumberTaken,
    /// It was out of reach, and another node of its name was let in, which lives.
    NameTaken,
}

/// Tells those who wait whether, and why, the node is expelled.
#[derive(Debug, Default)]
pub(super) struct Expulsion {
    reason: OnceLock<Expelled>,
    has_come: Event,
}

impl Expulsion {
    /// Something has happened. Returns why the node is expelled, if it is from now on.
    pub(super) fn event(&self, event: &NodeEvent) -> Option<Expelled> {
        let reason = match event {
            NodeEvent::NumberTaken => Expelled::NumberTaken,
            NodeEvent::Refused {
                refusal: Refusal::NameTaken,
                is_joining: false,
                ..
            } => Expelled::NameTaken,
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
    use futures_lite::future::{block_on, zip};

    use super::*;

    #[test]
    fn whoever_waits_is_told_the_first_reason() {
        let expulsion = Expulsion::default();
        let address = ([10, 0, 0, 1], 4000).into();
        let refused = |is_joining| NodeEvent::Refused {
            address,
            refusal: Refusal::NameTaken,
            is_joining,
        };
        assert_eq!(expulsion.event(&refused(true)), None);
        let told = async { expulsion.event(&refused(false)) };
        let (waited, told) = block_on(zip(expulsion.wait(), told));
        assert_eq!((waited, told), (Expelled::NameTaken, Some(waited)));
        assert_eq!(expulsion.event(&NodeEvent::NumberTaken), None);
        assert_eq!(block_on(expulsion.wait()), Expelled::NameTaken);
    }
}
