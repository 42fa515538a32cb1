//! The ids a guest holds for host resources.

use std::fmt;

use rustc_hash::FxHashMap;

use crate::trap::{Misuse, TableLimit};

/// Something a guest can hold an id of.
pub trait Resource {
    /// The name of the kind in the singular, for messages: `module`, `timer`.
    const KIND: &'static str;
    /// The highest number a process may hold at once.
    const LIMIT: usize = 1 << 16;
}

/// The resources of one kind that one process holds, by id.
///
/// Ids start at 0, go up by one and are never used again (ABI §0). An empty
/// table has allocated nothing, so that a process pays only for what it uses.
///
/// ```
/// use lunatic_abi::{Misuse, Resource, Table};
///
/// struct Timer;
///
/// impl Resource for Timer {
///     const KIND: &'static str = "timer";
/// }
///
/// let mut timers = Table::new();
/// let id = timers.insert(Timer).map_err(Misuse::from)?;
/// timers.remove(id)?;
/// let unknown = timers.get(id).err().unwrap();
/// assert_eq!(unknown.to_string(), "there is no timer with id 0");
/// # Ok::<(), Misuse>(())
/// ```
pub struct Table<R> {
    next: u64,
    entries: FxHashMap<u64, R>,
}

/// The error of a table that has reached [`Resource::LIMIT`]. It has the resource.
#[derive(Debug)]
pub struct TableFull<R>(pub R);

impl<R: Resource> Table<R> {
    /// Returns an empty table.
    pub fn new() -> Table<R> {
        Table {
            next: 0,
            entries: FxHashMap::default(),
        }
    }

    /// Adds a resource and returns its new id.
    ///
    /// # Errors
    ///
    /// [`TableFull`] with the resource, if the table is full.
    pub fn insert(&mut self, resource: R) -> Result<u64, TableFull<R>> {
        if self.entries.len() >= R::LIMIT {
            return Err(TableFull(resource));
        }
        let id = self.next;
        self.next += 1;
        self.entries.insert(id, resource);
        Ok(id)
    }

    /// Returns the resource with this id.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn get(&self, id: u64) -> Result<&R, Misuse> {
        self.entries.get(&id).ok_or(unknown::<R>(id))
    }

    /// Returns the resource with this id, to change.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn get_mut(&mut self, id: u64) -> Result<&mut R, Misuse> {
        self.entries.get_mut(&id).ok_or(unknown::<R>(id))
    }

    /// Takes the resource with this id out of the table.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn remove(&mut self, id: u64) -> Result<R, Misuse> {
        self.entries.remove(&id).ok_or(unknown::<R>(id))
    }

    /// Drops every entry that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        self.entries.retain(|_, resource| keep(resource));
    }

    /// Returns how many resources the table holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the table holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<R: Resource> Default for Table<R> {
    fn default() -> Self {
        Table::new()
    }
}

impl<R: Resource> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} {}s)", self.entries.len(), R::KIND)
    }
}

impl<R: Resource> From<TableFull<R>> for Misuse {
    fn from(_: TableFull<R>) -> Misuse {
        Misuse::TableFull(TableLimit {
            kind: R::KIND,
            limit: R::LIMIT,
        })
    }
}

fn unknown<R: Resource>(id: u64) -> Misuse {
    Misuse::UnknownId { kind: R::KIND, id }
}
