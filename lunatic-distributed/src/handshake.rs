//! How two nodes that are connected begin a session.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster_clock::Reading;
use crate::node_info::NodeInfo;
use crate::start::Start;

/// The version of all that nodes write to each other; nodes of different versions refuse each
/// other.
pub const PROTOCOL: u16 = 5;

/// What a node that has dialled says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Comes first, so that it can be read whatever follows.
    pub(crate) protocol: u16,
    pub(crate) node: NodeInfo,
    /// When it was started, if it has a clock.
    pub(crate) reading: Option<Reading>,
}

/// The answer of a node that agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) node: NodeInfo,
    /// When it was started.
    pub(crate) reading: Reading,
}

/// Why a node refuses a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It speaks another version of the protocol.
    Protocol {
        /// That one.
        version: u16,
    },
    /// The name of the node is not that of its certificate.
    WrongName,
    /// A node has dialled itself.
    Itself,
    /// A node of the same name lives that was started earlier.
    NameTaken {
        /// The start of that node.
        by: Start,
    },
    /// A node that was started earlier has the same number.
    NumberTaken {
        /// The start of that node.
        by: Start,
    },
    /// The cluster remembers a later start of a node of this name.
    Restarted {
        /// The number of that start.
        generation: u64,
    },
    /// Both nodes have dialled at the same time, and the other connection is used.
    Crossed,
    /// The node leaves.
    Leaving,
}

/// The version of the protocol in a unit whose first frame is a [`Hello`].
pub(crate) fn protocol_of_hello(unit: &[u8]) -> Option<u16> {
    let (first, rest) = unit.split_first()?;
    let version = postcard::from_bytes::<u16>(rest);
    // `Frame::Hello` is the first variant.
    (*first == 0).then_some(version.ok()?)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Protocol { version } => write!(
                f,
                "it speaks version {version} of the protocol, this node {PROTOCOL}: run the same \
                 version of the program on both"
            ),
            Refusal::WrongName => {
                f.write_str("the name of the node is not that in its certificate")
            }
            Refusal::Itself => f.write_str("it is this node itself"),
            Refusal::NameTaken { .. } => {
                f.write_str("a node of the same name lives already: choose another with --name")
            }
            Refusal::NumberTaken { .. } => f.write_str("another node has the same number"),
            Refusal::Restarted { generation } => {
                write!(f, "start {generation} of the node is known there already")
            }
            Refusal::Crossed => f.write_str("both nodes have dialled at the same time"),
            Refusal::Leaving => f.write_str("it leaves the cluster"),
        }
    }
}

impl Error for Refusal {}
