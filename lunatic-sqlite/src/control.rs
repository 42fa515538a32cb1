//! How long SQLite may work, and how it is stopped from another thread.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::InterruptHandle;

use crate::error::SqliteError;

/// What is shared between the thread of a connection and whoever waits for it.
pub(crate) struct Control {
    /// For how long locks of others are waited for, and an operation may run, in nanoseconds.
    busy_timeout: AtomicU64,
    query_time: AtomicU64,
    /// Whether what runs is to end at once.
    interrupted: AtomicBool,
    /// When what runs is to end, in nanoseconds.
    deadline: AtomicU64,
    /// Whether a statement runs, and is not being compiled.
    is_running: AtomicBool,
    /// Whether it is a statement of this crate itself, which may do everything.
    is_own: AtomicBool,
    /// Whether a statement may have changed the schema.
    has_new_schema: AtomicBool,
    /// Whether the schema is as long as it may be.
    is_schema_full: AtomicBool,
    handle: Mutex<Option<InterruptHandle>>,
    /// What a statement has set `PRAGMA busy_timeout` to, in milliseconds, and one more.
    new_busy_timeout: AtomicU64,
}

/// Interrupts what runs when it is dropped before it is disarmed.
pub(crate) struct InterruptOnDrop<'a>(Option<&'a Control>);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// For so long others are waited for at first, as `rusqlite` has it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Control {
    /// Returns the one of a new connection.
    ///
    /// - `query_time`: how long an operation may run.
    pub(crate) fn new(query_time: Duration) -> Control {
        Control {
            busy_timeout: AtomicU64::new(nanoseconds(BUSY_TIMEOUT)),
            query_time: AtomicU64::new(nanoseconds(query_time)),
            interrupted: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            is_running: AtomicBool::new(false),
            is_own: AtomicBool::new(false),
            has_new_schema: AtomicBool::new(false),
            is_schema_full: AtomicBool::new(false),
            handle: Mutex::new(None),
            new_busy_timeout: AtomicU64::new(0),
        }
    }

    pub(crate) fn busy_timeout(&self) -> Duration {
        Duration::from_nanos(self.busy_timeout.load(Ordering::Relaxed))
    }

    pub(crate) fn set_busy_timeout(&self, timeout: Duration) {
        let timeout = nanoseconds(timeout);
        self.busy_timeout.store(timeout, Ordering::Relaxed);
    }

    pub(crate) fn set_query_time(&self, time: Duration) {
        self.query_time.store(nanoseconds(time), Ordering::Relaxed);
    }

    /// Keeps what interrupts the connection.
    pub(crate) fn set_handle(&self, handle: InterruptHandle) {
        *self.handle.lock() = Some(handle);
    }

    /// Stops what runs, and lets everything fail that is still to run, until the next
    /// [`begin`](Control::begin).
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
        if let Some(handle) = &*self.handle.lock() {
            handle.interrupt();
        }
    }

    /// Whether what runs is to end: SQLite asks each thousand instructions.
    pub(crate) fn must_end(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.is_late()
    }

    fn is_late(&self) -> bool {
        now() > self.deadline.load(Ordering::Relaxed)
    }

    /// Lets an operation run for as long as one may.
    pub(crate) fn begin(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
        let limit = self.query_time.load(Ordering::Relaxed);
        let deadline = now().saturating_add(limit);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Does something that is no part of an operation, and has a time of its own.
    pub(crate) fn aside<R>(&self, run: impl FnOnce() -> R) -> R {
        let deadline = self.deadline.load(Ordering::Relaxed);
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        self.begin();
        let result = run();
        self.deadline.store(deadline, Ordering::Relaxed);
        if interrupted {
            self.interrupted.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Lets an operation go on that has waited for so long: that is no part of its time.
    pub(crate) fn go_on(&self, waited: Duration) {
        let waited = nanoseconds(waited);
        self.deadline.fetch_add(waited, Ordering::Relaxed);
    }

    /// Says which limit an operation has met, if that is why it failed.
    pub(crate) fn explain(&self, error: SqliteError) -> SqliteError {
        match error.result_code() == SqliteError::INTERRUPTED && self.is_late() {
            true => SqliteError::new(error.code, "the time limit of a query is over"),
            false => error,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Ordering::Relaxed);
    }

    pub(crate) fn is_own(&self) -> bool {
        self.is_own.load(Ordering::Relaxed)
    }

    pub(crate) fn set_own(&self, is_own: bool) {
        self.is_own.store(is_own, Ordering::Relaxed);
    }

    /// Notes that the schema may be another one.
    pub(crate) fn note_new_schema(&self) {
        self.has_new_schema.store(true, Ordering::Relaxed);
    }

    /// Returns whether that was noted since this was last asked.
    pub(crate) fn take_new_schema(&self) -> bool {
        self.has_new_schema.load(Ordering::Relaxed)
            && self.has_new_schema.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn is_schema_full(&self) -> bool {
        self.is_schema_full.load(Ordering::Relaxed)
    }

    pub(crate) fn set_schema_full(&self, is_full: bool) {
        self.is_schema_full.store(is_full, Ordering::Relaxed);
    }

    /// Notes what a statement wants to set `PRAGMA busy_timeout` to.
    pub(crate) fn note_busy_timeout(&self, value: &str) {
        if let Ok(milliseconds) = value.trim().parse::<i64>() {
            let milliseconds = milliseconds.max(0) as u64 + 1;
            self.new_busy_timeout.store(milliseconds, Ordering::Relaxed);
        }
    }

    /// Returns what `PRAGMA busy_timeout` was set to since this was last asked.
    pub(crate) fn take_busy_timeout(&self) -> Option<Duration> {
        if self.new_busy_timeout.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let milliseconds = self.new_busy_timeout.swap(0, Ordering::Relaxed);
        milliseconds.checked_sub(1).map(Duration::from_millis)
    }
}

impl InterruptOnDrop<'_> {
    pub(crate) fn new(control: &Control) -> InterruptOnDrop<'_> {
        InterruptOnDrop(Some(control))
    }

    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for InterruptOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(control) = self.0 {
            control.interrupt();
        }
    }
}

fn now() -> u64 {
    // 500 years fit.
    START.elapsed().as_nanos() as u64
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
