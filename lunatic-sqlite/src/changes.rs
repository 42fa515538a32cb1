//! Who is told of changes of a database.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use rusqlite::hooks::Action;

/// What a committed transaction has changed in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// How many rows were inserted.
    pub inserted: u64,
    /// How many rows were updated.
    pub updated: u64,
    /// How many rows were deleted.
    pub deleted: u64,
    /// The row that was changed last.
    pub last_rowid: i64,
}

/// A wish to be told of changes, until it is dropped.
pub struct Watch {
    topic: Arc<Topic>,
    id: u64,
}

/// One database, with all who want to be told of its changes.
pub(crate) struct Topic {
    watchers: Mutex<Vec<Watcher>>,
    /// Whether there are any.
    is_watched: AtomicBool,
}

struct Watcher {
    id: u64,
    /// `None` for all tables.
    table: Option<String>,
    tell: Arc<Tell>,
}

type Tell = dyn Fn(&Change) + Send + Sync;

/// The changes of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
}

/// The databases in files that somebody has open, by device and number.
static TOPICS: LazyLock<Mutex<Topics>> = LazyLock::new(Mutex::default);

type Topics = HashMap<(u64, u64), Weak<Topic>>;

impl Topic {
    /// Returns the one of a file.
    pub(crate) fn of_file(id: (u64, u64)) -> Arc<Topic> {
        let mut topics = TOPICS.lock();
        if topics.len() >= 64 && topics.len().is_power_of_two() {
            topics.retain(|_, topic| topic.strong_count() > 0);
        }
        match topics.entry(id) {
            Entry::Occupied(mut known) => known.get().upgrade().unwrap_or_else(|| {
                let topic = Arc::new(Topic::new());
                known.insert(Arc::downgrade(&topic));
                topic
            }),
            Entry::Vacant(unknown) => {
                let topic = Arc::new(Topic::new());
                unknown.insert(Arc::downgrade(&topic));
                topic
            }
        }
    }

    /// Returns the one of a database that only one connection has.
    pub(crate) fn new() -> Topic {
        Topic {
            watchers: Mutex::default(),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    pub(crate) fn watch(self: &Arc<Topic>, table: Option<String>, tell: Arc<Tell>) -> Watch {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.watchers.lock().push(Watcher { id, table, tell });
        self.is_watched.store(true, Ordering::Relaxed);
        Watch {
            topic: self.clone(),
            id,
        }
    }

    /// Tells of what was committed.
    pub(crate) fn tell(&self, pending: &mut Pending) {
        for change in pending.changes.drain(..) {
            let to_tell: Vec<Arc<Tell>> = {
                let watchers = self.watchers.lock();
                let wants = |watcher: &&Watcher| {
                    let table = watcher.table.as_ref();
                    table.is_none_or(|table| table.eq_ignore_ascii_case(&change.table))
                };
                let wanting = watchers.iter().filter(wants);
                wanting.map(|watcher| watcher.tell.clone()).collect()
            };
            for tell in to_tell {
                tell(&change);
            }
        }
    }
}

impl Pending {
    /// Adds a row.
    pub(crate) fn add(&mut self, action: Action, table: &str, rowid: i64) {
        /// Beyond so many tables, changes are not told of.
        const MAX_TABLES: usize = 256;
        let known = self.changes.iter().position(|change| change.table == table);
        let at = match known {
            Some(at) => at,
            None if self.changes.len() >= MAX_TABLES => return,
            None => {
                self.changes.push(Change {
                    table: table.to_owned(),
                    inserted: 0,
                    updated: 0,
                    deleted: 0,
                    last_rowid: rowid,
                });
                self.changes.len() - 1
            }
        };
        let change = &mut self.changes[at];
        change.last_rowid = rowid;
        match action {
            Action::SQLITE_INSERT => change.inserted += 1,
            Action::SQLITE_DELETE => change.deleted += 1,
            _ => change.updated += 1,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.topic.watchers.lock();
        watchers.retain(|watcher| watcher.id != self.id);
        let is_watched = !watchers.is_empty();
        self.topic.is_watched.store(is_watched, Ordering::Relaxed);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
