//! What the guests of one node ask of another.

use lunatic_mailbox::{Pid, Tag};
use serde::{Deserialize, Serialize};

/// The longest config that crosses to another node, in bytes. Who reads one looks at its length
/// first: what is read takes more memory than its bytes.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;

/// What a process asks of another node.
#[derive(Debug, Serialize, Deserialize)]
pub enum NodeRequest<'a> {
    /// Start a process.
    Spawn(#[serde(borrow)] SpawnRequest<'a>),
    /// Here is a module that you asked for.
    Module {
        /// Its bytes.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Does this process live?
    Exists(Pid),
}

/// A process that is to start on another node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SpawnRequest<'a> {
    /// The hash of the module.
    pub module: [u8; 32],
    /// The export that it runs.
    pub export: &'a str,
    /// The arguments, as ABI §3.3 has them.
    pub params: &'a [u8],
    /// Rights and limits, which the other node reads and caps.
    pub config: &'a [u8],
    /// The config is that of who asks: what is not there is left out.
    pub inherits: bool,
    /// It is linked to who asks, who is told this when it dies.
    pub link: Option<Option<Tag>>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeResponse {
    /// The process has been started.
    Spawned(Pid),
    /// The node does not have the module: send it, and ask again.
    NeedsModule,
    /// The module is there now.
    HasModule,
    /// It is not done, for this reason.
    Refused(String),
    /// The process lives, or does not.
    Exists(bool),
}

impl NodeRequest<'_> {
    /// The request as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written to a vector.
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

impl NodeResponse {
    /// The response as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
}
