//! The sequence numbers of queued messages by tag.

use std::collections::BTreeSet;

use crate::message::Tag;

/// An index of the messages in the first part of a queue. It is a tree, since a hash
/// table that grows moves all of its entries in one step.
#[derive(Debug)]
pub(super) struct TagIndex {
    entries: BTreeSet<(Tag, u64)>,
    /// Every message with a tag whose number is less is in the index.
    pub(super) end: u64,
}

impl TagIndex {
    /// Returns an index of the messages before this one: none.
    pub(super) fn new(first: u64) -> TagIndex {
        TagIndex {
            entries: BTreeSet::new(),
            end: first,
        }
    }

    /// Returns the oldest message with a tag.
    pub(super) fn oldest(&self, tag: Tag) -> Option<u64> {
        let mut of_tag = self.entries.range((tag, 0)..=(tag, u64::MAX));
        of_tag.next().map(|(_, sequence)| *sequence)
    }

    pub(super) fn insert(&mut self, tag: Tag, sequence: u64) {
        self.entries.insert((tag, sequence));
    }

    pub(super) fn remove(&mut self, tag: Tag, sequence: u64) {
        if sequence < self.end {
            self.entries.remove(&(tag, sequence));
        }
    }
}
