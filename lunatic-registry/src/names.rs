//! A table of names and the processes that have them, without locks or tasks.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_process::ProcessId;
use rustc_hash::{FxHashMap, FxHashSet};

/// The highest number of names in one registry.
pub const MAX_NAMES: usize = 1 << 20;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 1 << 16;

/// A process, and the node that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The number of the node, which is 0 if there is only one.
    pub node: u64,
    /// The process on that node.
    pub process: ProcessId,
}

/// Why a name was not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There are [`MAX_NAMES`] names.
    TooMany,
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
/// use lunatic_process::ProcessId;
/// use lunatic_registry::{Address, NameTable};
///
/// let address = |process| Address { node: 0, process: ProcessId(process) };
/// let mut names = NameTable::new();
/// names.put("logger", address(1))?;
/// names.put("printer", address(1))?;
/// names.put("logger", address(2))?;
/// assert_eq!(names.get("logger"), Some(address(2)));
///
/// names.forget(address(1));
/// assert_eq!(names.get("printer"), None);
/// # Ok::<(), lunatic_registry::NameError>(())
/// ```
#[derive(Debug, Default)]
pub struct NameTable {
    by_name: FxHashMap<Arc<str>, Address>,
    by_address: FxHashMap<Address, FxHashSet<Arc<str>>>,
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
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put(&mut self, name: &str, address: Address) -> Result<bool, NameError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { length: name.len() });
        }
        if self.by_name.len() >= MAX_NAMES && !self.by_name.contains_key(name) {
            return Err(NameError::TooMany);
        }
        self.remove(name);
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), address);
        let is_new = !self.by_address.contains_key(&address);
        self.by_address.entry(address).or_default().insert(name);
        Ok(is_new)
    }

    /// Returns the process that has this name.
    pub fn get(&self, name: &str) -> Option<Address> {
        self.by_name.get(name).copied()
    }

    /// Removes a name, if it is there. Its process stays in the table.
    pub fn remove(&mut self, name: &str) {
        let Some((name, address)) = self.by_name.remove_entry(name) else {
            return;
        };
        if let Some(names) = self.by_address.get_mut(&address) {
            names.remove(&name);
        }
    }

    /// Removes a process and all of its names.
    pub fn forget(&mut self, address: Address) {
        for name in self.by_address.remove(&address).unwrap_or_default() {
            self.by_name.remove(&name);
        }
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

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::TooMany => write!(f, "there are {MAX_NAMES} names, as many as may be"),
            NameError::TooLong { length } => write!(
                f,
                "a name of {length} bytes is longer than the {MAX_NAME_BYTES} that a name may have"
            ),
        }
    }
}

impl Error for NameError {}
