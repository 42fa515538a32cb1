//! The ids a guest holds for host resources.

use std::collections::hash_map;
use std::fmt;
use std::mem;

use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::drop_later;
use rustc_hash::FxHashMap;

use crate::trap::{Misuse, TableLimit};

/// Something a guest can hold an id of.
pub trait Resource: Send + 'static {
    /// The name of the kind in the singular, for messages: `module`, `timer`.
    const KIND: &'static str;
    /// The highest number a process may hold at once.
    const LIMIT: usize = 1 << 16;

    /// Whether each counts as a descriptor for the account of the process, as sockets do.
    const IS_DESCRIPTOR: bool = false;

    /// The bytes that it takes beside itself, for the account of the process. While the
    /// resource is in a table, only [`Table::resize`] changes it.
    fn size(&self) -> usize {
        0
    }
}

/// The resources of one kind that a process has, by id. Their memory is charged to the account of
/// the process.
///
/// Ids start at 0, go up by one and are never used again (ABI §0). An empty table has allocated
/// nothing, so that a process pays only for what it uses. A large table is dropped on another
/// thread, so that a worker is not blocked by it, and is charged until it is gone.
///
/// ```
/// use lunatic_abi::{Misuse, Resource, Table};
/// use lunatic_account::Account;
///
/// struct Timer;
///
/// impl Resource for Timer {
///     const KIND: &'static str = "timer";
/// }
///
/// let mut timers = Table::new();
/// let id = timers.insert(Timer, &Account::default()).map_err(Misuse::from)?;
/// timers.remove(id)?;
/// let unknown = timers.get(id).err().unwrap();
/// assert_eq!(unknown.to_string(), "there is no timer with id 0");
/// # Ok::<(), Misuse>(())
/// ```
pub struct Table<R: Resource>(Option<Box<Entries<R>>>);

struct Entries<R: Resource> {
    next: u64,
    by_id: FxHashMap<u64, R>,
    /// The bytes of all resources and entries.
    size: u64,
    charge: Charge,
    /// The charge for file descriptors, if the resources are descriptors.
    descriptors: Option<Charge>,
}

/// The error of a resource that was not put into a table; it contains the resource.
#[derive(Debug)]
pub struct NotInserted<R> {
    /// The resource, as it was.
    pub resource: R,
    /// The reason.
    pub reason: Misuse,
}

/// The unit in which a table is charged, in bytes, so that most insertions do not change an
/// account.
const CHARGE_STEP: u64 = 1024;

/// The number of entries above which a table is dropped on another thread, so that a worker is
/// not blocked by it.
const DROP_LATER_ENTRIES: usize = 256;

/// The number of bytes above which a table, or a resource, is dropped on another thread.
const DROP_LATER_BYTES: u64 = 1 << 20;

/// The overhead of an entry of the map, in bytes.
const ENTRY_BYTES: usize = 32;

impl<R: Resource> Table<R> {
    /// Returns an empty table.
    pub fn new() -> Table<R> {
        Table(None)
    }

    /// Adds a resource and returns its new id.
    ///
    /// - `account`: the account of the process; the same at each call.
    ///
    /// # Errors
    ///
    /// [`NotInserted`] with the resource, if the table is full or a limit of the account
    /// is reached.
    pub fn insert(&mut self, resource: R, account: &Account) -> Result<u64, NotInserted<R>> {
        self.insert_if(resource, account, Entries::add)
    }

    /// [`insert`](Table::insert), for a descriptor that was charged before there was one.
    ///
    /// - `descriptor`: one, charged to `account`; released if the resource is not inserted.
    ///
    /// # Errors
    ///
    /// As [`insert`](Table::insert).
    pub fn insert_charged(
        &mut self,
        resource: R,
        account: &Account,
        descriptor: Charge,
    ) -> Result<u64, NotInserted<R>> {
        debug_assert!(R::IS_DESCRIPTOR, "a {} is no descriptor", R::KIND);
        let add = |entries: &mut Entries<R>, size| entries.add_charged(size, descriptor);
        self.insert_if(resource, account, add)
    }

    /// Adds a resource, if there is room and `add` can charge one entry more, of so many bytes.
    fn insert_if(
        &mut self,
        resource: R,
        account: &Account,
        add: impl FnOnce(&mut Entries<R>, u64) -> Result<(), Misuse>,
    ) -> Result<u64, NotInserted<R>> {
        if self.len() >= R::LIMIT {
            let (kind, limit) = (R::KIND, R::LIMIT);
            let reason = Misuse::TableFull(TableLimit { kind, limit });
            return Err(NotInserted { resource, reason });
        }
        let added = match self.entries(account) {
            Ok(entries) => add(entries, size_of_entry(&resource)).map(|()| entries),
            Err(misuse) => Err(misuse),
        };
        match added {
            Ok(entries) => Ok(entries.insert(resource)),
            Err(reason) => Err(NotInserted { resource, reason }),
        }
    }

    /// Returns the resource with this id.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn get(&self, id: u64) -> Result<&R, Misuse> {
        let entries = self.0.as_ref();
        let found = entries.and_then(|entries| entries.by_id.get(&id));
        found.ok_or(unknown::<R>(id))
    }

    /// Returns the resource with this id, to change.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn get_mut(&mut self, id: u64) -> Result<&mut R, Misuse> {
        let entries = self.0.as_mut();
        let found = entries.and_then(|entries| entries.by_id.get_mut(&id));
        found.ok_or(unknown::<R>(id))
    }

    /// Changes a resource whose [size](Resource::size) may change, and returns the result of
    /// `change`.
    ///
    /// - `more`: the number of bytes by which it may grow. They are charged before the change;
    ///   those that the change does not use are released after it.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`]; [`Misuse::Exceeded`] if the bytes are refused. Then the resource is
    /// not changed. 0 bytes are never refused.
    pub fn resize<A>(
        &mut self,
        id: u64,
        more: usize,
        change: impl FnOnce(&mut R) -> A,
    ) -> Result<A, Misuse> {
        let entries = self.0.as_mut().ok_or(unknown::<R>(id))?;
        let before = size_of_entry(entries.by_id.get(&id).ok_or(unknown::<R>(id))?);
        entries.add_size(more as u64)?;
        let resource = entries.by_id.get_mut(&id).ok_or(unknown::<R>(id))?;
        let result = change(resource);
        let (charged, after) = (before + more as u64, size_of_entry(resource));
        debug_assert!(after <= charged, "{} took more than was charged", R::KIND);
        entries.subtract_size(charged.saturating_sub(after));
        Ok(result)
    }

    /// Takes the resource with this id out of the table.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn remove(&mut self, id: u64) -> Result<R, Misuse> {
        let entries = self.0.as_mut();
        let removed = entries.and_then(|entries| entries.remove(id));
        removed.ok_or(unknown::<R>(id))
    }

    /// Drops the resource with this id; on another thread if it is large. It is charged until it
    /// is dropped.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none.
    pub fn discard(&mut self, id: u64) -> Result<(), Misuse> {
        let entries = self.0.as_mut();
        let removed = entries.and_then(|entries| entries.remove_charged(id));
        let (resource, charge) = removed.ok_or(unknown::<R>(id))?;
        match charge.amount() > DROP_LATER_BYTES {
            true => drop_later((resource, charge)),
            // In this order.
            false => drop((resource, charge)),
        }
        Ok(())
    }

    /// Returns an empty table whose ids continue after those of this one, so that the two can be
    /// [joined](Table::join).
    ///
    /// - `account`: the account of the process.
    ///
    /// # Errors
    ///
    /// Never for an account that this table is charged to already.
    pub fn successor(&self, account: &Account) -> Result<Table<R>, Misuse> {
        let mut successor = Table::new();
        if let Some(own) = &self.0 {
            successor.entries(account)?.next = own.next;
        }
        Ok(successor)
    }

    /// Puts what is in an older table of the same process into this one, which is its
    /// [`successor`](Table::successor). All ids stay. Nothing is charged anew.
    pub fn join(&mut self, older: Table<R>) {
        match (&mut self.0, older.0) {
            (_, None) => {}
            (none @ None, older) => *none = older,
            (Some(own), Some(older)) => own.join(*older),
        }
    }

    /// Returns all resources. They are charged until the iterator is dropped.
    pub fn into_resources(self) -> impl Iterator<Item = R> {
        let (by_id, charges) = match self.0 {
            Some(mut entries) => (mem::take(&mut entries.by_id), Some(entries.take_charges())),
            None => Default::default(),
        };
        Resources {
            resources: by_id.into_values(),
            _charges: charges,
        }
    }

    /// Drops every entry that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        let Some(entries) = &mut self.0 else { return };
        let mut removed = 0;
        entries.by_id.retain(|_, resource| {
            let kept = keep(resource);
            if !kept {
                removed += size_of_entry(resource);
            }
            kept
        });
        entries.subtract_size(removed);
        entries.count_descriptors(entries.by_id.len()).ok();
    }

    /// Returns how many resources the table holds.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.by_id.len())
    }

    /// Returns whether the table holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, which there are from the first insertion on.
    fn entries(&mut self, account: &Account) -> Result<&mut Entries<R>, Misuse> {
        if self.0.is_none() {
            self.0 = Some(Box::new(Entries {
                next: 0,
                by_id: FxHashMap::default(),
                size: 0,
                charge: Charge::new(account, Kind::Memory, 0)?,
                descriptors: match R::IS_DESCRIPTOR {
                    true => Some(Charge::new(account, Kind::Descriptors, 0)?),
                    false => None,
                },
            }));
        }
        match &mut self.0 {
            Some(entries) => Ok(entries),
            None => unreachable!("they were made"),
        }
    }
}

impl<R: Resource> Entries<R> {
    fn insert(&mut self, resource: R) -> u64 {
        let id = self.next;
        self.next += 1;
        self.by_id.insert(id, resource);
        id
    }

    fn join(&mut self, mut older: Entries<R>) {
        self.next = self.next.max(older.next);
        self.size += older.size;
        let (charge, descriptors) = older.take_charges();
        self.charge.join(charge);
        if let (Some(own), Some(older)) = (&mut self.descriptors, descriptors) {
            own.join(older);
        }
        let mut others = mem::take(&mut older.by_id);
        if others.len() > self.by_id.len() {
            mem::swap(&mut self.by_id, &mut others);
        }
        self.by_id.extend(others);
        // Both have charged more than they need.
        self.subtract_size(0);
    }

    fn remove(&mut self, id: u64) -> Option<R> {
        let resource = self.by_id.remove(&id)?;
        self.subtract_size(size_of_entry(&resource));
        self.count_descriptors(self.by_id.len()).ok();
        Some(resource)
    }

    /// Takes a resource out, with what is charged for it.
    fn remove_charged(&mut self, id: u64) -> Option<(R, Charge)> {
        let resource = self.by_id.remove(&id)?;
        let size = size_of_entry(&resource);
        self.size = self.size.saturating_sub(size);
        let charge = self.charge.split(size);
        self.subtract_size(0);
        self.count_descriptors(self.by_id.len()).ok();
        Some((resource, charge))
    }

    /// Takes out all that is charged.
    fn take_charges(&mut self) -> Charges {
        (self.charge.split(u64::MAX), self.descriptors.take())
    }

    /// Charges one entry more.
    fn add(&mut self, size: u64) -> Result<(), Misuse> {
        self.count_descriptors(self.by_id.len() + 1)?;
        let added = self.add_size(size);
        if added.is_err() {
            self.count_descriptors(self.by_id.len()).ok();
        }
        added
    }

    /// Charges one entry more, a descriptor that is charged already.
    fn add_charged(&mut self, size: u64, descriptor: Charge) -> Result<(), Misuse> {
        debug_assert_eq!(descriptor.amount(), 1, "an entry is one descriptor");
        self.add_size(size)?;
        if let Some(descriptors) = &mut self.descriptors {
            descriptors.join(descriptor);
        }
        Ok(())
    }

    /// Charges so many descriptors, if the entries are some. Less is never refused.
    fn count_descriptors(&mut self, count: usize) -> Result<(), Misuse> {
        match &mut self.descriptors {
            Some(descriptors) => Ok(descriptors.set(count as u64)?),
            None => Ok(()),
        }
    }

    fn add_size(&mut self, size: u64) -> Result<(), Misuse> {
        let size = self.size.saturating_add(size);
        if size > self.charge.amount() {
            let stepped = size.next_multiple_of(CHARGE_STEP);
            self.charge.set(stepped).map_err(Misuse::Exceeded)?;
        }
        self.size = size;
        Ok(())
    }

    /// Releases the memory of removed entries, if they were most of the table.
    fn shrink(&mut self) {
        /// The capacity above which a table with few entries is shrunk.
        const SHRINK_ABOVE_ENTRIES: usize = 128;
        let (len, capacity) = (self.by_id.len(), self.by_id.capacity());
        if capacity > SHRINK_ABOVE_ENTRIES && len * 8 < capacity {
            self.by_id.shrink_to(2 * len);
        }
    }

    fn subtract_size(&mut self, size: u64) {
        self.size = self.size.saturating_sub(size);
        let stepped = self.size.next_multiple_of(CHARGE_STEP);
        if stepped + CHARGE_STEP < self.charge.amount() {
            self.shrink();
            // Less is never refused.
            self.charge.set(stepped).ok();
        }
    }
}

/// The charges for the memory of a table, and for its descriptors.
type Charges = (Charge, Option<Charge>);

/// The resources of a table that is gone.
struct Resources<R> {
    resources: hash_map::IntoValues<u64, R>,
    _charges: Option<Charges>,
}

impl<R> Iterator for Resources<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        self.resources.next()
    }
}

impl<R: Resource> Drop for Entries<R> {
    fn drop(&mut self) {
        if self.by_id.len() > DROP_LATER_ENTRIES || self.size > DROP_LATER_BYTES {
            let by_id = mem::take(&mut self.by_id);
            drop_later((by_id, self.take_charges()));
        }
    }
}

fn size_of_entry<R: Resource>(resource: &R) -> u64 {
    (size_of::<R>() + ENTRY_BYTES + resource.size()) as u64
}

impl<R: Resource> Default for Table<R> {
    fn default() -> Self {
        Table::new()
    }
}

impl<R: Resource> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} {}s)", self.len(), R::KIND)
    }
}

impl<R> From<NotInserted<R>> for Misuse {
    fn from(refused: NotInserted<R>) -> Misuse {
        refused.reason
    }
}

fn unknown<R: Resource>(id: u64) -> Misuse {
    Misuse::UnknownId { kind: R::KIND, id }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[derive(Debug)]
    struct Number;

    impl Resource for Number {
        const KIND: &'static str = "number";
        const LIMIT: usize = 100_000;
    }

    #[test]
    fn the_room_of_entries_that_are_gone_is_given_back() {
        const MANY: u64 = 10_000;
        let account = Account::default();
        let mut table = Table::new();
        let ids: Vec<u64> = (0..MANY)
            .map(|_| table.insert(Number, &account).unwrap())
            .collect();
        let capacity = |table: &Table<Number>| table.0.as_ref().unwrap().by_id.capacity() as u64;
        assert!(capacity(&table) >= MANY);
        for id in &ids[10..] {
            table.remove(*id).unwrap();
        }
        assert!(capacity(&table) < MANY / 10, "{}", capacity(&table));
        for id in &ids[..10] {
            table.get(*id).unwrap();
        }
    }
}
