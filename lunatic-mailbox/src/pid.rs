//! The ids of processes and nodes.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a process.
///
/// It is a node number in the upper 20 bits and a counter in the lower 44, so that it
/// is unique in a cluster: guests link, monitor and kill by this id alone, and that
/// must not reach a process with the same counter on another node. On a node that
/// belongs to no cluster the node number is 0, and ids are 1, 2, 3 and so on. No
/// process has the id 0, and no id is used again.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{NodeNumber, Pid};
///
/// let pid = Pid::new(NodeNumber::new(7).unwrap(), 42).unwrap();
/// assert_eq!(pid.to_string(), "7.42");
/// assert_eq!("7.42".parse(), Ok(pid));
/// assert_eq!(Pid::from_bits(pid.to_bits()), pid);
/// assert_eq!(Pid::from_bits(42).node(), NodeNumber::ALONE);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pid(u64);

/// The number of a node, which has 20 bits and is unique in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeNumber(u32);

/// The id of a node: 64 random bits, which are others after each start of the node. The
/// lower 20 bits are the number of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(u64);

/// Bits of the counter of a [`Pid`].
const COUNTER_BITS: u32 = 44;

impl Pid {
    /// The highest counter.
    pub const MAX_COUNTER: u64 = (1 << COUNTER_BITS) - 1;

    /// Returns the id with this counter on this node, or `None` if the counter is above
    /// [`MAX_COUNTER`](Pid::MAX_COUNTER).
    pub const fn new(node: NodeNumber, counter: u64) -> Option<Pid> {
        match counter <= Pid::MAX_COUNTER {
            true => Some(Pid((node.0 as u64) << COUNTER_BITS | counter)),
            false => None,
        }
    }

    /// Returns the id that has these bits in the host interface.
    #[inline]
    pub const fn from_bits(bits: u64) -> Pid {
        Pid(bits)
    }

    /// Returns the bits of the id in the host interface.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the number of the node that the process runs on.
    #[inline]
    pub const fn node(self) -> NodeNumber {
        NodeNumber((self.0 >> COUNTER_BITS) as u32)
    }

    /// Returns the counter, which is unique among the processes of one node.
    #[inline]
    pub const fn counter(self) -> u64 {
        self.0 & Pid::MAX_COUNTER
    }
}

impl NodeNumber {
    /// The number of a node that belongs to no cluster.
    pub const ALONE: NodeNumber = NodeNumber(0);

    /// The number of bits of a node number.
    pub const BITS: u32 = u64::BITS - COUNTER_BITS;

    /// Returns the node number with this value, or `None` if it has more than 20 bits.
    pub const fn new(value: u32) -> Option<NodeNumber> {
        match value >> NodeNumber::BITS {
            0 => Some(NodeNumber(value)),
            _ => None,
        }
    }

    /// Returns the value.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl NodeId {
    /// The id of a node that belongs to no cluster.
    pub const ALONE: NodeId = NodeId(0);

    /// Returns the id that has these bits in the host interface.
    #[inline]
    pub const fn from_bits(bits: u64) -> NodeId {
        NodeId(bits)
    }

    /// Returns the bits of the id in the host interface.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the number of the node, which the ids of its processes contain.
    #[inline]
    pub const fn number(self) -> NodeNumber {
        NodeNumber((self.0 & ((1 << NodeNumber::BITS) - 1)) as u32)
    }
}

/// `42` on a node that is alone, `7.42` on node 7.
impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            NodeNumber::ALONE => self.counter().fmt(f),
            node => write!(f, "{node}.{}", self.counter()),
        }
    }
}

/// The error of a text that is no process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePidError;

impl FromStr for Pid {
    type Err = ParsePidError;

    /// Reads what `Display` writes: a counter, or a node number and a counter with a dot
    /// between them.
    fn from_str(text: &str) -> Result<Pid, ParsePidError> {
        let (node, counter) = text.split_once('.').unwrap_or(("0", text));
        let node = node.parse().ok().and_then(NodeNumber::new);
        let counter = counter.parse().ok();
        let pid = node.zip(counter);
        pid.and_then(|(node, counter)| Pid::new(node, counter))
            .ok_or(ParsePidError)
    }
}

impl fmt::Display for ParsePidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a process id is a number, or two with a dot between them")
    }
}

impl Error for ParsePidError {}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({self})")
    }
}

impl fmt::Display for NodeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn a_pid_holds_its_node_and_its_counter() {
        let last_node = NodeNumber::new((1 << 20) - 1).unwrap();
        for node in [NodeNumber::ALONE, NodeNumber::new(1).unwrap(), last_node] {
            for counter in [1, 42, Pid::MAX_COUNTER] {
                let pid = Pid::new(node, counter).unwrap();
                assert_eq!((pid.node(), pid.counter()), (node, counter));
            }
        }
        assert_eq!(Pid::new(last_node, Pid::MAX_COUNTER + 1), None);
        assert_eq!(NodeNumber::new(1 << 20), None);
    }

    #[test]
    fn processes_of_a_lone_node_count_from_one() {
        let pid = Pid::new(NodeNumber::ALONE, 1).unwrap();
        assert_eq!(pid.to_bits(), 1);
        assert_eq!(pid.to_string(), "1");
    }

    #[test]
    fn the_lower_bits_of_a_node_id_are_its_number() {
        let node = NodeId::from_bits(0xdead_beef_0070_0007);
        assert_eq!(node.number().get(), 7);
        assert_eq!(NodeId::ALONE.number(), NodeNumber::ALONE);
    }
}
