//! What a node tells others of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lunatic_mailbox::NodeId;
use serde::{Deserialize, Serialize};

use crate::{NodeName, bounded};

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
    /// Which start of a node of this name it is, as far as the cluster remembers. After the
    /// greatest number comes 0; see `is_later`.
    pub generation: u64,
    /// What [lookups](crate::Query) find it by.
    #[serde(deserialize_with = "bounded::map::<_, _, _, MAX_TAGS>")]
    pub tags: BTreeMap<String, String>,
}

/// Whether a start of a node is later than another of the same name.
///
/// They are counted in a circle, as sequence numbers of TCP are: whatever another node says
/// of who bears the name, there is a later start, so that it keeps nobody out for good.
pub(crate) fn is_later(generation: u64, other: u64) -> bool {
    (1..1 << (u64::BITS - 1)).contains(&generation.wrapping_sub(other))
}

/// How many bytes the longest tag has.
pub(crate) fn longest_tag(tags: &BTreeMap<String, String>) -> usize {
    let lengths = tags.iter().map(|(key, value)| key.len() + value.len());
    lengths.max().unwrap_or_default()
}

impl NodeInfo {
    /// Whether it has no more tags than it may have.
    pub(crate) fn is_reasonable(&self) -> bool {
        self.tags.len() <= MAX_TAGS && longest_tag(&self.tags) <= MAX_TAG_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_later_one() {
        for generation in [0, 1, 1 << 63, u64::MAX - 1, u64::MAX] {
            let next = generation.wrapping_add(1);
            assert!(is_later(next, generation));
            assert!(!is_later(generation, next));
            assert!(!is_later(generation, generation));
        }
        assert!(is_later(1 << 62, 0));
        assert!(!is_later(0, 1 << 63) && !is_later(1 << 63, 0));
    }
}
