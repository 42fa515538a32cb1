//! The nodes whose sessions have ended, for people who ask where they are.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lunatic_mailbox::NodeId;
use parking_lot::Mutex;

use crate::NodeName;
use crate::local::NodeEvent;
use crate::node_info::NodeInfo;

/// So many are remembered, those that were there last.
const MAX_GONE: usize = 64;

/// How long one is remembered.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// A node whose session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneNode {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Where it was reached.
    pub address: SocketAddr,
    /// It has left in good order; otherwise, the connection was lost.
    pub left: bool,
    /// How long ago the session has ended.
    pub ago: Duration,
}

/// The last nodes that were there, one of each name.
#[derive(Debug, Default)]
pub(super) struct Gone {
    last: Mutex<VecDeque<(NodeInfo, bool, Instant)>>,
    lost: AtomicU64,
}

impl Gone {
    /// Something has happened to another node.
    pub(super) fn event(&self, event: &NodeEvent, now: Instant) {
        let mut gone = self.last.lock();
        match event {
            NodeEvent::Up(node) => gone.retain(|(known, ..)| known.name != node.name),
            NodeEvent::Down { node, left } => {
                self.lost.fetch_add(u64::from(!left), Ordering::Relaxed);
                gone.retain(|(known, ..)| known.name != node.name);
                if gone.len() >= MAX_GONE {
                    gone.pop_front();
                }
                gone.push_back((node.clone(), *left, now));
            }
            _ => {}
        }
    }

    /// How many sessions were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// They, in the order of their names.
    pub(super) fn all(&self, now: Instant) -> Vec<GoneNode> {
        let mut gone = self.last.lock();
        gone.retain(|(_, _, at)| now.saturating_duration_since(*at) < REMEMBERED);
        let gone = gone.iter().map(|(node, left, at)| GoneNode {
            id: node.id,
            name: node.name.clone(),
            address: node.address,
            left: *left,
            ago: now.saturating_duration_since(*at),
        });
        let mut gone: Vec<_> = gone.collect();
        gone.sort_by(|one, other| one.name.cmp(&other.name));
        gone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::collections::BTreeMap;

    use super::*;

    fn node(name: &str, id: u64) -> NodeInfo {
        NodeInfo {
            id: NodeId::from_bits(id),
            name: name.parse().unwrap(),
            address: ([127, 0, 0, 1], 4000).into(),
            generation: 0,
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn a_node_is_gone_until_one_of_its_name_is_there_or_much_time_has_passed() {
        let (gone, now) = (Gone::default(), Instant::now());
        let down = |node: NodeInfo, left| NodeEvent::Down { node, left };
        gone.event(&down(node("b", 1), false), now);
        gone.event(&down(node("a", 2), true), now + Duration::from_secs(5));
        let later = now + Duration::from_secs(10);
        let all: Vec<_> = gone
            .all(later)
            .into_iter()
            .map(|gone| (gone.name.to_string(), gone.left, gone.ago.as_secs()))
            .collect();
        assert_eq!(all, [("a".into(), true, 5), ("b".into(), false, 10)]);
        gone.event(&NodeEvent::Up(node("b", 3)), later);
        assert_eq!(gone.all(later).len(), 1);
        assert_eq!(gone.lost(), 1);
        assert_eq!(gone.all(now + REMEMBERED + Duration::from_secs(5)), []);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (gone, now) = (Gone::default(), Instant::now());
        for number in 0..2 * MAX_GONE {
            let node = node(&format!("node-{number:03}"), number as u64);
            gone.event(&NodeEvent::Down { node, left: false }, now);
        }
        let all = gone.all(now);
        assert_eq!(all.len(), MAX_GONE);
        assert_eq!(all[0].name.as_str(), format!("node-{MAX_GONE:03}"));
    }
}
