//! How large a database and its schema may be.

use std::cell::Cell;

use lunatic_fs::HeldFile;
use rusqlite::{Connection, TransactionState};

use crate::control::Control;
use crate::error::SqliteError;
use crate::limits::SqliteLimits;
use crate::opening;

/// A schema whose text has more bytes cannot be extended…
const MAX_SCHEMA_BYTES: u64 = 1 << 20;
/// …and one of a file that has more than so many is not used at all.
const MOST_SCHEMA_BYTES: u64 = 4 << 20;

/// What is known of the size of a database.
pub(crate) struct Bounds<'c> {
    connection: &'c Connection,
    control: &'c Control,
    limits: SqliteLimits,
    /// `None` for a database in memory.
    file: Option<&'c HeldFile>,
    /// Whether the limit of the size of the database is known to SQLite.
    is_limited: Cell<bool>,
    /// Whether there may be temporary tables.
    has_temporary: Cell<bool>,
    /// Whether the schema is so long that the database is not used.
    is_refused: Cell<bool>,
    /// Whether it cannot be read now without making a file.
    is_unreadable: Cell<bool>,
}

impl<'c> Bounds<'c> {
    /// Nothing is known.
    pub(crate) fn new(
        connection: &'c Connection,
        control: &'c Control,
        limits: SqliteLimits,
        file: Option<&'c HeldFile>,
    ) -> Bounds<'c> {
        Bounds {
            connection,
            control,
            limits,
            file,
            is_limited: Cell::new(false),
            has_temporary: Cell::new(false),
            is_refused: Cell::new(false),
            is_unreadable: Cell::new(false),
        }
    }

    /// Finds out what is not known yet, before an operation.
    pub(crate) fn look(&self) {
        let would_make = self.file.is_some_and(opening::would_make_wal);
        self.is_unreadable.set(would_make);
        if self.is_limited.get() || !self.may_read() {
            return;
        }
        let max = match self.file {
            None => self.limits.max_memory_bytes,
            Some(_) => self.limits.max_file_bytes,
        };
        let limited = self.by_itself(|| opening::limit_size(self.connection, max));
        self.is_limited.set(limited.is_ok());
        if limited.is_ok() {
            self.measure_schema();
        }
    }

    /// Finds out how long the schema is, if an operation may have changed it.
    pub(crate) fn look_again(&self) {
        if self.may_read() && self.control.take_new_schema() {
            self.has_temporary.set(true);
            self.measure_schema();
        }
    }

    /// Whether reading makes no file, and does not begin a transaction for a guest that has
    /// not read in it.
    fn may_read(&self) -> bool {
        let state = || self.connection.transaction_state::<&str>(None);
        let has_read = || !matches!(state(), Ok(TransactionState::None));
        !self.is_unreadable.get() && (self.connection.is_autocommit() || has_read())
    }

    fn measure_schema(&self) {
        let length = || opening::schema_length(self.connection, self.has_temporary.get());
        let Ok(length) = self.by_itself(length) else {
            // It is tried again after the next operation.
            self.control.note_new_schema();
            return;
        };
        self.control.set_schema_full(length > MAX_SCHEMA_BYTES);
        self.is_refused.set(length > MOST_SCHEMA_BYTES);
    }

    /// Runs statements that no guest has asked for.
    fn by_itself<R>(&self, run: impl FnOnce() -> R) -> R {
        self.control.aside(|| {
            self.control.set_own(true);
            let result = run();
            self.control.set_own(false);
            result
        })
    }

    /// Moves what the log of a database has into the database, as far as nobody reads an old state,
    /// so that there is room in the log again.
    pub(crate) fn empty_log(&self) {
        if self.file.is_some() && self.connection.is_autocommit() {
            let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
            self.by_itself(|| self.connection.execute_batch(checkpoint))
                .ok();
        }
    }

    /// Fails if the database must not be used.
    pub(crate) fn check(&self) -> Result<(), SqliteError> {
        if self.is_unreadable.get() {
            let message = "a read-only database in WAL mode can be read while somebody has it open \
                           who may write";
            return Err(SqliteError::new(SqliteError::CANNOT_OPEN, message));
        }
        match self.is_refused.get() {
            true => Err(SqliteError::new(
                SqliteError::TOO_BIG,
                "the schema is too long",
            )),
            false => Ok(()),
        }
    }
}
