//! Which messages a receiver waits for.

use smallvec::SmallVec;

use crate::message::{Message, Tag};

/// The length of the longest list of tags that is searched from the front; longer ones are sorted.
const MAX_UNSORTED_TAGS: usize = 8;

/// Up to so many tags take no more room than a pointer to them would.
const INLINE_TAGS: usize = 2;

/// Which message a receiver waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The oldest message of any kind, tagged or not.
    Any,
    /// The oldest message with one of these tags. An empty list matches nothing.
    Tags(TagList),
}

/// A list of tags, sorted, so that a long one is searched quickly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList(SmallVec<[Tag; INLINE_TAGS]>);

impl Wanted {
    /// Returns a wait for the oldest message with one of these tags.
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Wanted {
        Wanted::Tags(tags.into_iter().collect())
    }

    /// Returns whether a message ends the wait.
    #[inline]
    pub fn matches(&self, message: &Message) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Tags(tags) => message.tag().is_some_and(|tag| tags.contains(tag)),
        }
    }
}

impl TagList {
    /// Returns whether a tag is in the list.
    #[inline]
    pub fn contains(&self, tag: Tag) -> bool {
        match self.0.len() <= MAX_UNSORTED_TAGS {
            true => self.0.contains(&tag),
            false => self.0.binary_search(&tag).is_ok(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Tag] {
        &self.0
    }
}

impl FromIterator<Tag> for TagList {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> TagList {
        let mut tags: SmallVec<_> = tags.into_iter().collect();
        if tags.len() > MAX_UNSORTED_TAGS {
            tags.sort_unstable();
            tags.dedup();
        }
        TagList(tags)
    }
}
