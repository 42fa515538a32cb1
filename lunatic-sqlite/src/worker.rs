//! What a connection is asked for, done on its thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use lunatic_fs::HeldFile;
use parking_lot::Mutex;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::{Batch as Statements, Connection, Error, StatementStatus};

use crate::blob;
use crate::bounds::Bounds;
use crate::changes::{Pending, Subscription};
use crate::compiled::{self, Compiled, Kept};
use crate::control::Control;
use crate::error::SqliteError;
use crate::job::{
    Answer, Batch, Begin, BlobAccess, BlobPart, BlobPlace, Description, Job, Next, Status,
};
use crate::limits::SqliteLimits;
use crate::locks::{Locks, Work};
use crate::opening;
use crate::quota::Quota;
use crate::rows::{self, bind, description, exhaust};

/// Does what a connection is asked for.
pub(crate) struct Worker<'c> {
    connection: &'c Connection,
    quota: &'c Quota,
    control: &'c Control,
    limits: SqliteLimits,
    subscription: Subscription,
    /// What the open transaction has changed.
    pending: Arc<Mutex<Pending>>,
    bounds: Bounds<'c>,
    /// Statements that have begun and have not ended.
    begun: HashMap<u64, Kept<'c>>,
    /// Those that nobody uses at the moment.
    compiled: Compiled<'c>,
    /// The length that SQLite lets values have, in bytes.
    longest_value: Cell<i32>,
}

impl<'c> Worker<'c> {
    /// Nothing was asked for.
    pub(crate) fn new(
        connection: &'c Connection,
        quota: &'c Quota,
        limits: SqliteLimits,
        subscription: Subscription,
        pending: Arc<Mutex<Pending>>,
        file: Option<&'c HeldFile>,
    ) -> Worker<'c> {
        let control = quota.control();
        Worker {
            connection,
            quota,
            control,
            limits,
            subscription,
            pending,
            bounds: Bounds::new(connection, control, limits, file),
            begun: HashMap::new(),
            compiled: Compiled::new(connection),
            longest_value: Cell::new(0),
        }
    }

    /// Those that the connection tells of changes, and by whom it is told.
    pub(crate) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Does a job. Breaks if the connection is to be closed, with where to answer then.
    pub(crate) async fn handle(&mut self, job: Job) -> ControlFlow<Sender<()>> {
        self.bounds.look();
        self.subscription.tell_waiting();
        match job {
            Job::Execute { sql, answer } => {
                if !answer.is_closed() {
                    let outcome = self.execute(&sql, &answer).await;
                    self.answer(answer, outcome);
                }
            }
            Job::Describe { sql, answer } => {
                let outcome = self.describe(&sql, &answer).await;
                self.answer(answer, outcome);
            }
            Job::Step {
                statement,
                begin,
                answer,
            } => {
                if answer.is_closed() {
                    self.end(statement);
                } else {
                    let outcome = self.step(statement, begin, &answer).await;
                    self.answer(answer, outcome);
                }
            }
            Job::Reset { statement } => self.end(statement),
            Job::Blob {
                place,
                access,
                answer,
            } => {
                if !answer.is_closed() {
                    let outcome = self.blob(&place, access, &answer).await;
                    self.answer(answer, outcome);
                }
            }
            Job::Watch {
                table,
                tell,
                answer,
            } => {
                let watch = self.subscription.watch(table, tell);
                self.answer(answer, Ok(watch));
            }
            Job::Close { answer } => return ControlFlow::Break(answer),
        }
        ControlFlow::Continue(())
    }

    fn locks(&self) -> Locks<'_, 'c> {
        Locks {
            connection: self.connection,
            control: self.control,
            bounds: &self.bounds,
        }
    }

    /// Ends a statement, if it has begun.
    fn end(&mut self, statement: u64) {
        if let Some(begun) = self.begun.remove(&statement) {
            self.compiled.put(begun);
        }
    }

    /// Answers, and tells others of what was committed.
    fn answer<R>(&mut self, answer: Answer<R>, outcome: Result<R, SqliteError>) {
        if self.connection.is_autocommit() {
            let mut pending = self.pending.lock();
            if !pending.is_empty() {
                let mut committed = mem::take(&mut *pending);
                drop(pending);
                self.subscription.commit(&mut committed);
            }
        }
        if let Some(timeout) = self.control.take_busy_timeout() {
            let timeout = timeout.min(self.limits.max_busy_timeout);
            self.control.set_busy_timeout(timeout);
            self.connection.busy_timeout(Duration::ZERO).ok();
        }
        let outcome = outcome.map_err(|error| self.quota.explain(error));
        if matches!(&outcome, Err(error) if error.result_code() == SqliteError::FULL) {
            self.bounds.empty_log();
        }
        self.bounds.look_again();
        let status = self.status();
        answer.try_send((outcome, status)).ok();
    }

    fn status(&self) -> Status {
        Status {
            changes: self.connection.changes(),
            last_insert_rowid: self.connection.last_insert_rowid(),
            in_transaction: !self.connection.is_autocommit(),
            memory_bytes: self.quota.used(),
        }
    }

    async fn execute(&mut self, sql: &str, answer: &Answer<()>) -> Result<(), SqliteError> {
        self.bounds.check()?;
        if sql.len() > opening::MAX_SQL_BYTES {
            return Err(too_long());
        }
        let mut statements = Statements::new(self.connection, sql);
        self.control.begin();
        loop {
            if self.control.must_end() {
                return Err(SqliteError::interrupted());
            }
            let is_in_vain = || answer.is_closed();
            let next = || statements.next();
            let next = self
                .locks()
                .patiently(Work::Compile, is_in_vain, next)
                .await?;
            let Some(mut statement) = next else {
                return Ok(());
            };
            self.limit_values(compiled::instructions(&statement));
            let run = || exhaust(&mut statement);
            let outcome = self.locks().patiently(Work::Run, is_in_vain, run).await;
            if statement.get_status(StatementStatus::RePrepare) > 0 {
                self.control.note_new_schema();
            }
            outcome?;
        }
    }

    async fn describe(
        &self,
        sql: &str,
        answer: &Answer<Arc<Description>>,
    ) -> Result<Arc<Description>, SqliteError> {
        self.control.begin();
        let Some(compiled) = self.prepare(sql, || answer.is_closed()).await? else {
            return Ok(Arc::default());
        };
        let description = description(&compiled.statement);
        self.compiled.put(compiled);
        Ok(Arc::new(description))
    }

    /// Compiles a statement; `None` if it is empty. To read the schema can be to wait for
    /// others.
    async fn prepare(
        &self,
        sql: &str,
        is_in_vain: impl Fn() -> bool,
    ) -> Result<Option<Kept<'c>>, SqliteError> {
        self.bounds.check()?;
        if sql.len() > opening::MAX_SQL_BYTES {
            return Err(too_long());
        }
        let compile = || match self.compiled.take(sql) {
            Ok(compiled) => Ok(Some(compiled)),
            Err(Error::Empty) => Ok(None),
            Err(Error::MultipleStatement) => Err(SqliteError::new(
                SqliteError::ERROR,
                "only one statement can be compiled at once",
            )),
            Err(error) => Err(error.into()),
        };
        self.locks()
            .patiently(Work::Compile, is_in_vain, compile)
            .await
    }

    async fn step(
        &mut self,
        number: u64,
        begin: Option<Begin>,
        answer: &Answer<Batch>,
    ) -> Result<Batch, SqliteError> {
        self.control.begin();
        let Some(begin) = begin else {
            return Ok(self.go_on(number));
        };
        self.end(number);
        let prepared = self.prepare(&begin.sql, || answer.is_closed()).await?;
        let Some(mut compiled) = prepared else {
            return Ok(Batch {
                description: begin.describe.then(Arc::default),
                ..Batch::default()
            });
        };
        let described = begin
            .describe
            .then(|| Arc::new(description(&compiled.statement)));
        let outcome = match bind(&mut compiled.statement, &begin.bindings) {
            Ok(()) => {
                self.limit_values(compiled.instructions);
                let max_row = self.limits.max_row_bytes;
                let run = || rows::first(&mut compiled.statement, max_row);
                self.locks()
                    .patiently(Work::Run, || answer.is_closed(), run)
                    .await
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.map(|batch| Batch {
            description: described,
            ..batch
        });
        self.keep(number, compiled, outcome)
    }

    /// Returns the next rows of a statement that has begun. It cannot be tried again: it would
    /// begin again.
    fn go_on(&mut self, number: u64) -> Batch {
        let Some(mut begun) = self.begun.remove(&number) else {
            // It was reset by the end of the transaction, for example.
            return Batch::default();
        };
        self.limit_values(begun.instructions);
        self.control.set_running(true);
        let batch = rows::next(&mut begun.statement, self.limits.max_row_bytes);
        self.control.set_running(false);
        match self.keep(number, begun, Ok(batch)) {
            Ok(batch) => batch,
            Err(error) => Batch {
                next: Next::Error(error),
                ..Batch::default()
            },
        }
    }

    /// Keeps a statement for its next rows, or for its next run.
    fn keep(
        &mut self,
        number: u64,
        statement: Kept<'c>,
        outcome: Result<Batch, SqliteError>,
    ) -> Result<Batch, SqliteError> {
        if statement.was_compiled_again() {
            self.control.note_new_schema();
        }
        let mut batch = match outcome {
            Ok(batch) => batch,
            Err(error) => {
                self.compiled.put(statement);
                return Err(error);
            }
        };
        match &mut batch.next {
            Next::More => {
                self.begun.insert(number, statement);
            }
            next => {
                if let Next::Error(error) = next {
                    *error = self.quota.explain(error.clone());
                }
                self.compiled.put(statement);
            }
        }
        Ok(batch)
    }

    async fn blob(
        &mut self,
        place: &BlobPlace,
        access: BlobAccess,
        answer: &Answer<BlobPart>,
    ) -> Result<BlobPart, SqliteError> {
        self.bounds.check()?;
        let connection = self.connection;
        self.control.begin();
        let run = || blob::access(connection, place, &access);
        self.locks()
            .patiently(Work::Run, || answer.is_closed(), run)
            .await
    }

    /// Limits the length of values while a statement runs. SQLite asks whether it is to end where
    /// a statement goes back, and each instruction until then may be about the longest value.
    ///
    /// - `instructions`: of the statement.
    fn limit_values(&self, instructions: usize) {
        /// The bytes that a statement may deal with until it goes back.
        const MOST: usize = 8 << 30;
        let longest = (MOST / instructions.max(1)).min(self.limits.max_value_bytes);
        let longest = i32::try_from(longest).unwrap_or(i32::MAX);
        if self.longest_value.replace(longest) != longest {
            let limit = Limit::SQLITE_LIMIT_LENGTH;
            self.connection.set_limit(limit, longest).ok();
        }
    }
}

fn too_long() -> SqliteError {
    SqliteError::new(SqliteError::TOO_BIG, "the statement is too long")
}
