//! The descriptors whose readiness is awaited, by the keys that the kernel returns.

use std::sync::Arc;

use crate::readiness::Direction;

/// Both directions of a descriptor.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) read: Direction,
    pub(crate) write: Direction,
}

/// All descriptors. A key is never used again: an event of a descriptor that is gone, which another
/// thread has still to handle, is that of no other one.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    /// How many descriptors have had this entry.
    generation: u32,
    readiness: Option<Arc<Readiness>>,
}

/// What the key of a descriptor never is.
pub(crate) const NO_SOURCE: u64 = u64::MAX;

impl Readiness {
    pub(crate) fn new() -> Arc<Readiness> {
        Arc::new(Readiness {
            read: Direction::new(),
            write: Direction::new(),
        })
    }
}

impl Sources {
    /// Adds a descriptor, and returns its key.
    pub(crate) fn insert(&mut self, readiness: Arc<Readiness>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                readiness: None,
            });
            // There are fewer descriptors than that.
            (self.entries.len() - 1) as u32
        });
        let entry = &mut self.entries[index as usize];
        entry.readiness = Some(readiness);
        u64::from(entry.generation) << 32 | u64::from(index)
    }

    /// Finds the descriptor with a key.
    pub(crate) fn get(&self, key: u64) -> Option<&Arc<Readiness>> {
        let entry = self.entries.get(key as u32 as usize)?;
        match entry.generation == (key >> 32) as u32 {
            true => entry.readiness.as_ref(),
            false => None,
        }
    }

    /// Removes a descriptor.
    pub(crate) fn remove(&mut self, key: u64) {
        let index = key as u32;
        let Some(entry) = self.entries.get_mut(index as usize) else {
            return;
        };
        entry.readiness = None;
        // An entry whose generations are used up stays empty.
        if entry.generation < u32::MAX - 1 {
            entry.generation += 1;
            self.free.push(index);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_descriptor_and_none_that_has_its_place_later() {
        let mut sources = Sources::default();
        let (one, other) = (Readiness::new(), Readiness::new());
        let first = sources.insert(one.clone());
        assert!(
            sources
                .get(first)
                .is_some_and(|found| Arc::ptr_eq(found, &one))
        );
        sources.remove(first);
        assert!(sources.get(first).is_none());
        let second = sources.insert(other.clone());
        assert!(sources.get(first).is_none());
        assert!(
            sources
                .get(second)
                .is_some_and(|found| Arc::ptr_eq(found, &other))
        );
        assert_eq!(sources.len(), 1);
        assert!(sources.get(NO_SOURCE).is_none());
    }
}
