//! Who is told of changes of a database.

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use async_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rusqlite::hooks::Action;

/// So much may wait until a connection tells its watches of it, in bytes, beside one transaction.
/// What comes then is not told of.
const MAX_WAITING_BYTES: usize = 1 << 16;

/// Changes of a table with a longer name are not told of.
const MAX_NAME_BYTES: usize = 1024;

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
    connection: u64,
    id: u64,
}

/// One database, with all connections that want to be told of its changes.
pub(crate) struct Topic {
    /// By number. Nothing is done while they are locked that takes longer the more is watched.
    subscribers: Mutex<BTreeMap<u64, Subscriber>>,
    /// Whether there are any.
    is_watched: AtomicBool,
}

/// A connection that wants to be told.
struct Subscriber {
    watchers: BTreeMap<u64, Arc<Watcher>>,
    /// What it has not told its watchers of.
    waiting: Vec<Committed>,
    /// How many bytes that takes.
    waiting_bytes: usize,
    /// Told when something waits.
    wake: Sender<()>,
}

/// What one transaction has changed.
type Committed = Arc<[Change]>;

struct Watcher {
    /// `None` for all tables.
    table: Option<String>,
    tell: Arc<Tell>,
}

type Tell = dyn Fn(&Change) + Send + Sync;

/// A connection to a database, as far as it tells others of changes and is told. It is on the
/// thread of the connection.
pub(crate) struct Subscription {
    topic: Arc<Topic>,
    connection: u64,
    /// Where it hears that something waits; empty before its first watch.
    woken: OnceCell<(Sender<()>, Receiver<()>)>,
}

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
            subscribers: Mutex::default(),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }
}

impl Subscription {
    /// That of a connection that has no watches.
    pub(crate) fn new(topic: Arc<Topic>) -> Subscription {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Subscription {
            topic,
            connection: NEXT.fetch_add(1, Ordering::Relaxed),
            woken: OnceCell::new(),
        }
    }

    /// Where the connection hears that there is something to [tell](Subscription::tell_waiting);
    /// `None` if it has never had a watch.
    pub(crate) fn woken(&self) -> Option<&Receiver<()>> {
        self.woken.get().map(|(_, woken)| woken)
    }

    /// Has `tell` called, on the thread of this connection, with what is committed from now on.
    pub(crate) fn watch(&self, table: Option<String>, tell: Arc<Tell>) -> Watch {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        // The new one hears of nothing that was before.
        self.tell_waiting();
        let (wake, _) = self.woken.get_or_init(|| bounded(1));
        let mut subscribers = self.topic.subscribers.lock();
        let subscriber = subscribers.entry(self.connection);
        let subscriber = subscriber.or_insert_with(|| Subscriber {
            watchers: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            wake: wake.clone(),
        });
        let watcher = Arc::new(Watcher { table, tell });
        subscriber.watchers.insert(id, watcher);
        self.topic.is_watched.store(true, Ordering::Relaxed);
        Watch {
            topic: self.topic.clone(),
            connection: self.connection,
            id,
        }
    }

    /// Tells the watches of this connection of what it has committed, and has the other connections
    /// tell theirs.
    pub(crate) fn commit(&self, pending: &mut Pending) {
        let committed: Committed = pending.changes.drain(..).collect();
        for (connection, subscriber) in &mut *self.topic.subscribers.lock() {
            let is_own = *connection == self.connection;
            subscriber.put(&committed, is_own);
            if !is_own {
                subscriber.wake.try_send(()).ok();
            }
        }
        self.tell_waiting();
    }

    /// Tells the watches of this connection of what waits.
    pub(crate) fn tell_waiting(&self) {
        if self.woken.get().is_none() {
            return;
        }
        let mut subscribers = self.topic.subscribers.lock();
        let Some(subscriber) = subscribers.get_mut(&self.connection) else {
            return;
        };
        if subscriber.waiting.is_empty() {
            return;
        }
        let waiting = mem::take(&mut subscriber.waiting);
        subscriber.waiting_bytes = 0;
        let watchers: Vec<_> = subscriber.watchers.values().cloned().collect();
        drop(subscribers);
        for change in waiting.iter().flat_map(|committed| committed.iter()) {
            for watcher in &watchers {
                watcher.tell(change);
            }
        }
    }
}

impl Subscriber {
    /// Adds what was committed, unless too much waits already.
    ///
    /// - `is_next`: whether it is told of at once, so that it does not wait.
    fn put(&mut self, committed: &Committed, is_next: bool) {
        let changes = committed.iter();
        let bytes: usize = changes
            .map(|change| size_of::<Change>() + change.table.len())
            .sum();
        let has_room = self.waiting_bytes + bytes <= MAX_WAITING_BYTES;
        if has_room || is_next || self.waiting.is_empty() {
            self.waiting.push(committed.clone());
            self.waiting_bytes += bytes;
        }
    }
}

impl Watcher {
    fn tell(&self, change: &Change) {
        let table = self.table.as_ref();
        if table.is_none_or(|table| table.eq_ignore_ascii_case(&change.table)) {
            (self.tell)(change);
        }
    }
}

impl Pending {
    /// Adds a row.
    pub(crate) fn add(&mut self, action: Action, table: &str, rowid: i64) {
        /// Beyond so many tables, changes are not told of.
        const MAX_TABLES: usize = 256;
        if table.len() > MAX_NAME_BYTES {
            return;
        }
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

impl Topic {
    fn remove(&self, connection: u64, watch: Option<u64>) {
        let mut subscribers = self.subscribers.lock();
        let removed = match subscribers.entry(connection) {
            btree_map::Entry::Occupied(mut subscriber) => {
                let watchers = &mut subscriber.get_mut().watchers;
                let watcher = watch.and_then(|watch| watchers.remove(&watch));
                let is_last = watch.is_none() || watchers.is_empty();
                (watcher, is_last.then(|| subscriber.remove()))
            }
            btree_map::Entry::Vacant(_) => return,
        };
        let is_watched = !subscribers.is_empty();
        self.is_watched.store(is_watched, Ordering::Relaxed);
        drop(subscribers);
        // What they hold is none of ours, and nothing is locked any more.
        drop(removed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.topic.remove(self.connection, Some(self.id));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.topic.remove(self.connection, None);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
