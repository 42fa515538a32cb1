//! The clock that the nodes of a cluster share, by which they say when they were started.
//!
//! # Why at least one of several nodes is not refused
//!
//! Some nodes cannot all be part of a cluster, as they have the same name or number. One that is
//! refused ends only if the [`Start`] of the other is earlier than its own and by the same clock,
//! which is the one that it has at that moment. Suppose that each of them ends for another one of
//! them. Then some end in a circle: the first for the second, and so on, and the last for the first.
//! The clock by which one of them was refused is one that the other has had, and that was before
//! this one was refused itself, as it takes no other clock from then on. Nodes change only to clocks
//! of nodes with lower ids, so all in the circle were refused by the same clock. By one clock a node
//! has one start, and starts have an order without circles: a contradiction.

use std::time::{Duration, Instant};

use lunatic_mailbox::NodeId;
use serde::{Deserialize, Serialize};

use crate::start::Start;

/// No more is believed of what another node says, so that sums do not overflow: 36 000 years.
const MAX_MICROS: i64 = 1 << 60;

/// What a node tells of the clock that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Whose clock it is.
    clock: NodeId,
    /// What it shows, in microseconds.
    now: i64,
    /// What it showed when the node that tells this was started, in microseconds.
    started_at: i64,
}

/// The clock of one node. A node that is alone has none; of two that meet without one, the dialled
/// one lends its own. Of two clocks that meet, that of the node with the lower id is kept.
#[derive(Debug)]
pub(crate) struct ClusterClock {
    id: NodeId,
    started: Instant,
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: NodeId,
    /// What it shows beyond the time that this node has been running, in microseconds.
    ahead: i64,
    /// When this node was started by it. It does not change.
    started_at: i64,
}

impl Reading {
    /// The start of the node that has told this.
    pub(crate) fn start_of(&self, id: NodeId) -> Start {
        Start {
            clock: self.clock,
            at: self.started_at,
            id,
        }
    }
}

impl ClusterClock {
    /// - `started`: when this node was.
    pub(crate) fn new(id: NodeId, started: Instant) -> ClusterClock {
        ClusterClock {
            id,
            started,
            shared: None,
        }
    }

    /// Whose clock it has.
    pub(crate) fn clock(&self) -> Option<NodeId> {
        self.shared.as_ref().map(|shared| shared.clock)
    }

    /// When this node was started, if it has a clock.
    pub(crate) fn start(&self) -> Option<Start> {
        self.shared.as_ref().map(|shared| Start {
            clock: shared.clock,
            at: shared.started_at,
            id: self.id,
        })
    }

    /// What this node tells, if it has a clock.
    pub(crate) fn reading(&self, now: Instant) -> Option<Reading> {
        let uptime = self.uptime(now);
        self.shared.as_ref().map(|shared| Reading {
            clock: shared.clock,
            now: uptime.saturating_add(shared.ahead),
            started_at: shared.started_at,
        })
    }

    /// What this node tells; it lends its own clock if it has none.
    pub(crate) fn lend(&mut self, now: Instant) -> Reading {
        let (clock, uptime) = (self.id, self.uptime(now));
        let shared = self.shared.get_or_insert(Shared {
            clock,
            ahead: 0,
            started_at: 0,
        });
        Reading {
            clock: shared.clock,
            now: uptime.saturating_add(shared.ahead),
            started_at: shared.started_at,
        }
    }

    /// Another node has told what its clock shows. Returns whether this node has another clock from
    /// here on.
    ///
    /// - `asked`: a time since when the other clock was read, if one is known. Then this node does not
    ///   count as started earlier than it was.
    pub(crate) fn hear(&mut self, reading: &Reading, asked: Option<Instant>, now: Instant) -> bool {
        let shown = reading.now.clamp(-MAX_MICROS, MAX_MICROS);
        let ahead = shown.saturating_sub(self.uptime(now));
        match &mut self.shared {
            Some(shared) if shared.clock < reading.clock => false,
            Some(shared) if shared.clock == reading.clock => {
                // The clock of a host that was suspended has stood still.
                shared.ahead = shared.ahead.max(ahead);
                false
            }
            _ => {
                let waited =
                    asked.map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
                self.shared = Some(Shared {
                    clock: reading.clock,
                    ahead,
                    started_at: ahead.saturating_add(micros(waited)),
                });
                true
            }
        }
    }

    fn uptime(&self, now: Instant) -> i64 {
        micros(now.saturating_duration_since(self.started))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros())
        .unwrap_or(i64::MAX)
        .min(MAX_MICROS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn clock(id: u64, started: Instant) -> ClusterClock {
        ClusterClock::new(NodeId::from_bits(id), started)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nodes_that_meet_know_which_was_started_first() {
        let begun = Instant::now();
        let (mut one, mut two) = (clock(7, begun), clock(5, begun + seconds(60)));
        assert_eq!(one.start(), None);
        let now = begun + seconds(100);
        let reading = one.lend(now);
        assert!(two.hear(&reading, None, now));
        // It is told the same again.
        assert!(!two.hear(&reading, None, now + seconds(9)));
        let (one, two) = (one.start().unwrap(), two.start().unwrap());
        assert_eq!(one.order(&two), Some(std::cmp::Ordering::Less));
        assert_eq!((one.at, two.at), (0, 60_000_000));
    }

    #[test]
    fn when_clusters_meet_the_clock_of_the_lower_id_is_kept_and_starts_keep_their_order() {
        let begun = Instant::now();
        let starts = [3, 2, 0, 1].map(|after| begun + seconds(after));
        let ids = [6, 8, 9, 4];
        let nodes = ids.into_iter().zip(starts);
        let mut nodes: Vec<_> = nodes.map(|(id, started)| clock(id, started)).collect();
        let now = begun + seconds(50);
        // Two clusters, of two each.
        for (from, to) in [(0, 1), (2, 3)] {
            let reading = nodes[from].lend(now);
            assert!(nodes[to].hear(&reading, None, now));
        }
        let told: Vec<_> = nodes
            .iter()
            .map(|node| node.reading(now).unwrap())
            .collect();
        // Of the two that lend their clocks.
        let lower = NodeId::from_bits(6);
        for node in &mut nodes {
            for reading in &told {
                node.hear(reading, None, now);
            }
            assert_eq!(node.clock(), Some(lower));
        }
        let mut order: Vec<_> = nodes.iter().map(|node| node.start().unwrap()).collect();
        order.sort_by(|one, other| one.order(other).unwrap());
        let order: Vec<_> = order.iter().map(|start| start.id.to_bits()).collect();
        assert_eq!(order, [9, 4, 8, 6]);
    }

    #[test]
    fn a_node_that_has_asked_does_not_count_as_started_earlier_than_it_was() {
        let begun = Instant::now();
        let mut holder = clock(3, begun);
        let mut newcomer = clock(4, begun + seconds(1));
        // The answer takes two seconds.
        let asked = begun + seconds(2);
        let reading = holder.lend(asked);
        newcomer.hear(&reading, Some(asked), asked + seconds(2));
        let started = newcomer.start().unwrap();
        assert_eq!(started.at, 1_000_000);
        let order = started.order(&holder.start().unwrap());
        assert_eq!(order, Some(std::cmp::Ordering::Greater));
    }

    #[test]
    fn a_clock_that_has_stood_still_is_put_forward() {
        let begun = Instant::now();
        let (mut one, mut two) = (clock(1, begun), clock(2, begun));
        let reading = one.lend(begun);
        two.hear(&reading, None, begun);
        // The host of the second was suspended for an hour.
        let reading = one.reading(begun + seconds(3610)).unwrap();
        assert!(!two.hear(&reading, None, begun + seconds(10)));
        assert_eq!(two.reading(begun + seconds(10)).unwrap().now, 3_610_000_000);
        assert_eq!(two.start().unwrap().at, 0);
    }

    #[test]
    fn no_reading_is_too_much() {
        let begun = Instant::now();
        for (now, id) in [(i64::MAX, 1), (i64::MIN, 1), (i64::MAX, 9)] {
            let mut node = clock(9, begun);
            node.lend(begun);
            let id = NodeId::from_bits(id);
            let reading = Reading {
                clock: id,
                now,
                started_at: now,
            };
            node.hear(&reading, Some(begun), begun + seconds(1));
            assert!(node.reading(begun + seconds(1 << 40)).is_some());
        }
    }
}
