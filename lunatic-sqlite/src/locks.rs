//! The locks of others, which are waited for.

use std::time::{Duration, Instant};

use async_io::Timer;
use rusqlite::{Connection, TransactionState};

use crate::bounds::Bounds;
use crate::control::Control;
use crate::error::SqliteError;

/// What is done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It is compiled.
    Compile,
    /// It runs.
    Run,
}

/// Waits for locks that others have on a database.
pub(crate) struct Locks<'w, 'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) control: &'c Control,
    pub(crate) bounds: &'w Bounds<'c>,
}

impl Locks<'_, '_> {
    /// Does something again and again while others hold a lock, up to the time limit for
    /// that. SQLite's own way of waiting would hold up everybody on this thread, and perhaps
    /// whoever is to release the lock.
    ///
    /// In a transaction that has only read, waiting helps nobody: both would wait for each
    /// other.
    ///
    /// - `is_in_vain`: whether nobody wants the outcome any more.
    ///
    /// # Errors
    ///
    /// Those of the operation, or that it was interrupted.
    pub(crate) async fn patiently<R, E: Into<SqliteError>>(
        &self,
        work: Work,
        is_in_vain: impl Fn() -> bool,
        mut operation: impl FnMut() -> Result<R, E>,
    ) -> Result<R, SqliteError> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if is_in_vain() {
                return Err(SqliteError::interrupted());
            }
            let state = self.connection.transaction_state::<&str>(None);
            let can_wait = !matches!(state, Ok(TransactionState::Read));
            self.control.set_running(work != Work::Compile);
            let outcome = operation().map_err(E::into);
            self.control.set_running(false);
            match outcome {
                Err(error)
                    if error.result_code() == SqliteError::BUSY
                        && can_wait
                        && start.elapsed() < self.control.busy_timeout() =>
                {
                    let waiting = Instant::now();
                    Timer::after(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(25));
                    // Who holds the lock may have kept that from being known, too.
                    self.bounds.look();
                    self.bounds.check()?;
                    self.control.go_on(waiting.elapsed());
                }
                outcome => return outcome,
            }
        }
    }
}
