//! A pair of nodes.

use anyhow::Result;

use crate::program::Running;

/// The work of a program on one node with the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) mode: &'static str,
    pub(super) count: u64,
    /// The size of a message.
    pub(super) bytes: u64,
}

impl Work {
    pub(super) fn new(mode: &'static str, count: u64, bytes: u64) -> Work {
        Work { mode, count, bytes }
    }

    pub(super) fn arguments(&self) -> [String; 3] {
        [
            self.mode.to_owned(),
            self.count.to_string(),
            self.bytes.to_string(),
        ]
    }
}

/// Something of which there can be two nodes.
pub(super) trait Nodes {
    /// Returns the name in the table.
    fn name(&self) -> String;

    /// Starts two nodes. The second does this; without work, both do nothing.
    fn start(&self, work: Option<Work>) -> Result<(Running, Running)>;
}
