//! What a node tells others of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lunatic_mailbox::NodeId;
use serde::{Deserialize, Serialize};

use crate::NodeName;

/// So many tags a node may have.
pub const MAX_TAGS: usize = 64;

/// Key and value of a tag may have so many bytes together.
pub const MAX_TAG_BYTES: usize = 1024;

/// What a node tells others of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Another one after each start.
    pub id: NodeId,
    /// Unique among the nodes that live.
    pub name: NodeName,
    /// Where others reach it.
    pub address: SocketAddr,
    /// Which start of a node of this name it is, as far as the cluster remembers.
    pub generation: u64,
    /// What [lookups](crate::Query) find it by.
    pub tags: BTreeMap<String, String>,
}

impl NodeInfo {
    /// Whether it has no more tags than it may have.
    pub(crate) fn is_reasonable(&self) -> bool {
        let is_short = |(key, value): (&String, &String)| key.len() + value.len() <= MAX_TAG_BYTES;
        self.tags.len() <= MAX_TAGS && self.tags.iter().all(is_short)
    }
}
