//! The map from names to processes and its way back. Pure data.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_mailbox::Pid;
use rustc_hash::{FxHashMap, FxHashSet};

/// The highest number of names in one registry.
pub const MAX_NAMES: usize = 1 << 20;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 1 << 16;

/// Why a name was not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There are [`MAX_NAMES`] names.
    TooMany,
    /// The name is longer than [`MAX_NAME_BYTES`].
    TooLong {
        /// So long, in bytes.
        length: usize,
    },
}

/// Names and processes, both ways.
#[derive(Debug, Default)]
pub struct NameTable {
    by_name: FxHashMap<Arc<str>, Pid>,
    by_process: FxHashMap<Pid, FxHashSet<Arc<str>>>,
}

impl NameTable {
    /// No names.
    pub fn new() -> NameTable {
        NameTable::default()
    }

    /// Gives a name to a process, taking it from whoever had it. Whether the
    /// process is known here for the first time since it was
    /// [forgotten](NameTable::forget).
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put(&mut self, name: &str, process: Pid) -> Result<bool, NameError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { length: name.len() });
        }
        if self.by_name.len() >= MAX_NAMES && !self.by_name.contains_key(name) {
            return Err(NameError::TooMany);
        }
        self.remove(name);
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), process);
        let is_new = !self.by_process.contains_key(&process);
        self.by_process.entry(process).or_default().insert(name);
        Ok(is_new)
    }

    /// Who has this name.
    pub fn get(&self, name: &str) -> Option<Pid> {
        self.by_name.get(name).copied()
    }

    /// Takes a name away. The process stays known.
    pub fn remove(&mut self, name: &str) {
        let Some((name, process)) = self.by_name.remove_entry(name) else {
            return;
        };
        if let Some(names) = self.by_process.get_mut(&process) {
            names.remove(&name);
        }
    }

    /// Takes all names of a process away, and what is known of it.
    pub fn forget(&mut self, process: Pid) {
        for name in self.by_process.remove(&process).unwrap_or_default() {
            self.by_name.remove(&name);
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are no names.
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
