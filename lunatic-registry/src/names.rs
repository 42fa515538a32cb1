//! A table of names and the processes that have them, without locks or tasks.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::error::Error;
use std::fmt;
use std::iter::Chain;
use std::sync::Arc;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::Pid;

/// The highest number of names in one registry.
pub const MAX_NAMES: usize = 1 << 20;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;

/// Why a name was not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There are [`MAX_NAMES`] names.
    TooMany,
    /// A limit of the account that pays for the name is reached.
    Exceeded(Exceeded),
    /// The name is longer than [`MAX_NAME_BYTES`].
    TooLong {
        /// The length of the name, in bytes.
        length: usize,
    },
}

/// Names of processes: which process has a name, and which names a process has.
///
/// # Examples
///
/// ```
/// use lunatic_account::Account;
/// use lunatic_mailbox::Pid;
/// use lunatic_registry::NameTable;
///
/// let (one, other) = (Pid::from_bits(1), Pid::from_bits(2));
/// let mut names = NameTable::new();
/// let payer = Account::default();
/// names.put("logger", one, &payer)?;
/// names.put("printer", one, &payer)?;
/// names.put("logger", other, &payer)?;
/// assert_eq!(names.get("logger"), Some(other));
///
/// names.forget(one);
/// assert_eq!(names.get("printer"), None);
/// # Ok::<(), lunatic_registry::NameError>(())
/// ```
///
/// The maps are trees: guests choose the names, and a hash map would move all of them at once when
/// it grows, under the lock of the registry.
#[derive(Debug, Default)]
pub struct NameTable {
    by_name: BTreeMap<Arc<str>, Named>,
    by_process: BTreeMap<Pid, ProcessNames>,
}

/// The names of a process.
#[derive(Debug, Default)]
struct ProcessNames {
    names: BTreeSet<Arc<str>>,
    /// Names of processes of other nodes that it has given, and that end with it.
    given: BTreeSet<Arc<str>>,
    /// Whether the process stays in the table without names, until it is forgotten.
    stays: bool,
}

/// The names that a process had, and the names that it had given, in no order.
pub type NamesOfOne = Chain<btree_set::IntoIter<Arc<str>>, btree_set::IntoIter<Arc<str>>>;

/// The process that has a name, and the charge for the name.
#[derive(Debug)]
struct Named {
    process: Pid,
    /// The process that has given the name, if the name ends with that process, too.
    given_by: Option<Pid>,
    _charges: [Charge; 2],
}

impl NameTable {
    /// Returns an empty table.
    pub fn new() -> NameTable {
        NameTable::default()
    }

    /// Gives a name to a process, and takes it from the process that had it. Returns
    /// whether the process was not in the table: it stays there without names until
    /// it is [forgotten](NameTable::forget).
    ///
    /// - `payer`: the account to which the name is charged while it is registered.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put(&mut self, name: &str, process: Pid, payer: &Account) -> Result<bool, NameError> {
        let named = self.put_for_now(name, process, None, payer)?;
        Ok(!std::mem::replace(&mut named.stays, true))
    }

    /// Like [`put_unfollowed`](NameTable::put_unfollowed), for a name that ends with the process
    /// that has given it. Returns whether that process was not in the table, as
    /// [`put`](NameTable::put) does.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_given(
        &mut self,
        name: &str,
        process: Pid,
        given_by: Pid,
        payer: &Account,
    ) -> Result<bool, NameError> {
        self.put_for_now(name, process, Some(given_by), payer)?;
        let giver = self.by_process.entry(given_by).or_default();
        Ok(!std::mem::replace(&mut giver.stays, true))
    }

    /// Like [`put`](NameTable::put), for a process whose end is not observed: it leaves the table
    /// with its last name.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_unfollowed(
        &mut self,
        name: &str,
        process: Pid,
        payer: &Account,
    ) -> Result<(), NameError> {
        self.put_for_now(name, process, None, payer).map(|_| ())
    }

    fn put_for_now(
        &mut self,
        name: &str,
        process: Pid,
        given_by: Option<Pid>,
        payer: &Account,
    ) -> Result<&mut ProcessNames, NameError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { length: name.len() });
        }
        if self.by_name.len() >= MAX_NAMES && !self.by_name.contains_key(name) {
            return Err(NameError::TooMany);
        }
        let charges = charges(name, payer).map_err(NameError::Exceeded)?;
        self.remove(name);
        let name: Arc<str> = name.into();
        let named = Named {
            process,
            given_by,
            _charges: charges,
        };
        self.by_name.insert(name.clone(), named);
        if let Some(giver) = given_by {
            let of_giver = self.by_process.entry(giver).or_default();
            of_giver.given.insert(name.clone());
        }
        let of_process = self.by_process.entry(process).or_default();
        of_process.names.insert(name);
        Ok(of_process)
    }

    /// Returns the process that has this name.
    pub fn get(&self, name: &str) -> Option<Pid> {
        self.by_name.get(name).map(|named| named.process)
    }

    /// Returns the names of a process, in no order.
    pub fn names_of(&self, process: Pid) -> impl Iterator<Item = &Arc<str>> {
        let of_process = self.by_process.get(&process);
        of_process.into_iter().flat_map(|names| &names.names)
    }

    /// Removes a name, if it is there. Its process stays in the table if it is
    /// [followed](NameTable::put).
    pub fn remove(&mut self, name: &str) {
        let Some((name, named)) = self.by_name.remove_entry(name) else {
            return;
        };
        let Named {
            process, given_by, ..
        } = named;
        let giver = given_by.and_then(|giver| self.by_process.get_mut(&giver));
        if let Some(giver) = giver {
            giver.given.remove(&name);
        }
        if let Some(of_process) = self.by_process.get_mut(&process) {
            of_process.names.remove(&name);
            if of_process.names.is_empty() && !of_process.stays {
                self.by_process.remove(&process);
            }
        }
    }

    /// Removes a process, all of its names, and the names that it has given.
    pub fn forget(&mut self, process: Pid) {
        let names = self.forget_process(process);
        self.remove_names_of(process, names);
    }

    /// Removes a process, and returns its names and the names that it has given, which stay in the
    /// table until they are [removed](NameTable::remove_names_of): there may be many.
    pub fn forget_process(&mut self, process: Pid) -> NamesOfOne {
        let of_process = self.by_process.remove(&process).unwrap_or_default();
        of_process.names.into_iter().chain(of_process.given)
    }

    /// Removes the names that this process still has, or has given. Returns the number of names
    /// that were checked.
    pub fn remove_names_of(
        &mut self,
        process: Pid,
        names: impl IntoIterator<Item = Arc<str>>,
    ) -> usize {
        let mut count = 0;
        for name in names {
            count += 1;
            let named = self.by_name.get(&name);
            if named
                .is_some_and(|named| named.process == process || named.given_by == Some(process))
            {
                self.remove(&name);
            }
        }
        count
    }

    /// Returns the number of names.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// Charges a name: one name, and the bytes of its entries.
fn charges(name: &str, payer: &Account) -> Result<[Charge; 2], Exceeded> {
    /// The entries of both maps.
    const ENTRY_BYTES: usize = 256;
    let bytes = (name.len() + ENTRY_BYTES) as u64;
    Ok([
        Charge::new(payer, Kind::Names, 1)?,
        Charge::new(payer, Kind::Memory, bytes)?,
    ])
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Exceeded(exceeded) => exceeded.fmt(f),
            NameError::TooMany => write!(f, "there are {MAX_NAMES} names, as many as may be"),
            NameError::TooLong { length } => write!(
                f,
                "a name of {length} bytes is longer than the {MAX_NAME_BYTES} that a name may have"
            ),
        }
    }
}

impl Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_processes_that_nobody_forgets_nothing_is_kept_without_a_name() {
        let mut names = NameTable::new();
        let payer = Account::default();
        for number in 1..1000 {
            let process = Pid::from_bits(number);
            names.put_unfollowed("name", process, &payer).expect("put");
            assert_eq!(names.by_process.len(), 1);
        }
        names.remove("name");
        assert!(names.by_process.is_empty());
        // A process whose end is observed stays.
        assert_eq!(names.put("name", Pid::from_bits(1), &payer), Ok(true));
        names.remove("name");
        assert_eq!(names.put("name", Pid::from_bits(1), &payer), Ok(false));
    }

    #[test]
    fn a_name_that_is_given_to_another_ends_with_who_has_given_it_unless_it_is_given_again() {
        let mut names = NameTable::new();
        let payer = Account::default();
        let [giver, remote, other] = [1, 2, 3].map(Pid::from_bits);
        let put_given = |names: &mut NameTable, name: &str| {
            names.put_given(name, remote, giver, &payer).expect("put")
        };
        assert!(put_given(&mut names, "kept"));
        for name in ["a", "b", "taken", "removed"] {
            assert!(!put_given(&mut names, name));
        }
        names.put_unfollowed("kept", remote, &payer).expect("put");
        names.put("taken", other, &payer).expect("put");
        names.remove("removed");
        names.put("own", giver, &payer).expect("put");
        names.forget(giver);
        assert_eq!(names.get("kept"), Some(remote));
        assert_eq!(names.get("taken"), Some(other));
        assert_eq!(names.len(), 2);
        names.remove("kept");
        names.forget(other);
        assert!(names.by_name.is_empty() && names.by_process.is_empty());
        assert_eq!(payer.used(Kind::Names), 0);
    }
}
