//! The compiled statements of a connection that nobody uses at the moment.

use std::cell::RefCell;

use rusqlite::{Connection, PrepFlags, Result, Statement, StatementStatus};

/// Statements that are kept, at most.
const MOST: usize = 32;

/// What those that are kept may take together, in bytes.
pub(crate) const MOST_BYTES: usize = 128 << 10;

/// What SQLite takes for an instruction, in bytes.
const INSTRUCTION: usize = 24;

/// So many instructions need not be counted more exactly.
const FEW: usize = 256;

/// Keeps compiled statements, so that they need not be compiled again: those that were used
/// last, as far as they are small.
pub(crate) struct Compiled<'c> {
    connection: &'c Connection,
    /// The one that was used last is at the end.
    kept: RefCell<Vec<Kept<'c>>>,
}

/// A compiled statement with its text.
pub(crate) struct Kept<'c> {
    sql: Box<str>,
    pub(crate) statement: Statement<'c>,
    /// What SQLite takes for it, once it is compiled.
    bytes: usize,
    /// How many instructions it has, roughly.
    pub(crate) instructions: usize,
}

/// Returns how many instructions a statement has, roughly.
pub(crate) fn instructions(statement: &Statement<'_>) -> usize {
    let bytes = bytes_of(statement);
    let text = || statement.expanded_sql().map_or(0, |sql| sql.len());
    match bytes < FEW * INSTRUCTION {
        true => bytes / INSTRUCTION,
        // Its text is among what it takes, perhaps several times.
        false => bytes.saturating_sub(4 * text()) / INSTRUCTION,
    }
}

/// Returns what SQLite takes for a statement, in bytes.
fn bytes_of(statement: &Statement<'_>) -> usize {
    let bytes = statement.get_status(StatementStatus::MemUsed);
    usize::try_from(bytes).unwrap_or(0)
}

impl<'c> Compiled<'c> {
    /// Nothing is kept.
    pub(crate) fn new(connection: &'c Connection) -> Compiled<'c> {
        Compiled {
            connection,
            kept: RefCell::default(),
        }
    }

    /// Takes a statement out, or compiles it.
    ///
    /// # Errors
    ///
    /// If there is a mistake in it, or it is none or several.
    pub(crate) fn take(&self, sql: &str) -> Result<Kept<'c>> {
        let sql = sql.trim();
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().rposition(|kept| &*kept.sql == sql) {
            return Ok(kept.remove(at));
        }
        let flags = PrepFlags::SQLITE_PREPARE_PERSISTENT;
        let statement = self.connection.prepare_with_flags(sql, flags)?;
        Ok(Kept {
            sql: sql.into(),
            bytes: bytes_of(&statement),
            instructions: instructions(&statement),
            statement,
        })
    }

    /// Ends a statement, and keeps it if there is room.
    pub(crate) fn put(&self, mut used: Kept<'c>) {
        // To drop rows is to reset their statement.
        drop(used.statement.raw_query());
        used.statement.clear_bindings();
        let size = |kept: &Kept<'_>| kept.bytes + kept.sql.len();
        if size(&used) > MOST_BYTES / 4 {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        kept.push(used);
        let mut bytes: usize = kept.iter().map(size).sum();
        while kept.len() > MOST || bytes > MOST_BYTES {
            bytes -= size(&kept.remove(0));
        }
    }
}

impl Kept<'_> {
    /// Whether it had to be compiled again, for another schema, since this was last asked.
    pub(crate) fn was_compiled_again(&self) -> bool {
        self.statement.reset_status(StatementStatus::RePrepare) > 0
    }
}
