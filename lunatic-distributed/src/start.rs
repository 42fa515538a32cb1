//! Which of two starts of nodes was the earlier one.

use std::cmp::Ordering;

use lunatic_mailbox::NodeId;
use serde::{Deserialize, Serialize};

#[cfg(test)]
use crate::planted::{self, Fault};

/// When a node was started, by a clock that the nodes of its cluster share.
///
/// A node measures it once for each clock, and all others compare what it has told. So all of them
/// find the same order, and of several nodes that cannot all be part of a cluster, at least one is
/// not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The node whose clock it is. That node may be gone.
    pub clock: NodeId,
    /// Microseconds since that node was started; negative if it was started later.
    pub at: i64,
    /// The node that was started. It decides between starts at the same time.
    pub id: NodeId,
}

impl Start {
    /// Whether it was earlier or later than another one; `None` if the two are not by the same
    /// clock.
    pub(crate) fn order(&self, other: &Start) -> Option<Ordering> {
        if self.clock != other.clock {
            return None;
        }
        let order = (self.at, self.id).cmp(&(other.at, other.id));
        #[cfg(test)]
        let order = match planted::is(Fault::EarlierStartEnds) {
            true => order.reverse(),
            false => order,
        };
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(clock: u64, at: i64, id: u64) -> Start {
        let (clock, id) = (NodeId::from_bits(clock), NodeId::from_bits(id));
        Start { clock, at, id }
    }

    #[test]
    fn starts_by_one_clock_have_an_order_and_others_have_none() {
        let order = |one: &Start, other: &Start| one.order(other);
        let (first, second, third) = (start(1, -5, 9), start(1, 7, 3), start(1, 7, 4));
        for (earlier, later) in [(&first, &second), (&second, &third), (&first, &third)] {
            assert_eq!(order(earlier, later), Some(Ordering::Less));
            assert_eq!(order(later, earlier), Some(Ordering::Greater));
        }
        assert_eq!(order(&first, &start(2, 7, 3)), None);
    }
}
