//! A statement, and the rows that it has returned already.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::bindings::{Bindings, TooLarge};
use crate::connection::Connection;
use crate::error::SqliteError;
use crate::job::{Asked, Batch, Begin, Description, Job, Next, Status};
use crate::value::{Key, Malformed, Value, column_of, read_row};

/// A statement of a [`Connection`].
///
/// It is run in pieces: whoever steps to a row has the next ones fetched too, as far as they are
/// there soon.
pub struct Statement {
    connection: Connection,
    number: u64,
    sql: Arc<str>,
    bindings: Bindings,
    description: Option<Arc<Description>>,
    /// What is wrong with what was bound.
    refused: Option<SqliteError>,
    batch: Batch,
    /// How many rows of the batch were stepped to.
    taken: usize,
    state: State,
    /// Whether the thread may have it among those that have begun.
    may_have_begun: bool,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A step begins it.
    Ready,
    /// It has stepped to a row.
    AtRow,
}

/// What a step needs.
pub(crate) enum Step {
    /// Nothing: it has stepped to a row, or to the end.
    Done(Result<bool, SqliteError>),
    /// The answer of the thread, for [`Statement::accept`].
    Wait(Rows),
}

/// Rows that are on their way.
pub(crate) struct Rows {
    connection: Connection,
    asked: Asked<Batch>,
}

impl Statement {
    pub(crate) fn new(connection: Connection, number: u64, sql: Arc<str>) -> Statement {
        Statement {
            connection,
            number,
            sql,
            bindings: Bindings::default(),
            description: None,
            refused: None,
            batch: Batch::default(),
            taken: 0,
            state: State::Ready,
            may_have_begun: false,
            status: Status::default(),
        }
    }

    /// Returns its connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns its text.
    pub fn sql(&self) -> &Arc<str> {
        &self.sql
    }

    /// Binds a value to a parameter, from the next run on. It stays bound when the statement
    /// is reset. Whether there is such a parameter is found when it is run.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if the statement has begun, or the values are too large together.
    pub fn bind(&mut self, key: Key, value: Value) -> Result<(), SqliteError> {
        if self.state != State::Ready {
            let message = "the statement has begun; it has to be reset before values are bound";
            return Err(SqliteError::new(SqliteError::MISUSE, message));
        }
        let max = self.connection.limits().max_row_bytes;
        let bound = self.bindings.bind(key, value, max);
        bound.map_err(|TooLarge| {
            let message = "the values that are bound are too large";
            SqliteError::new(SqliteError::TOO_BIG, message)
        })
    }

    /// Has the next step fail, since a value was refused.
    pub(crate) fn refuse(&mut self, error: SqliteError) {
        self.refused = Some(error);
    }

    /// Steps to the next row, if there is one. After the end, the next step begins again.
    ///
    /// # Errors
    ///
    /// [`SqliteError`]; the next step begins again then.
    pub async fn step(&mut self) -> Result<bool, SqliteError> {
        loop {
            match self.begin_step() {
                Step::Done(outcome) => return outcome,
                Step::Wait(rows) => {
                    let answer = rows.arrive().await;
                    self.accept(answer)?;
                }
            }
        }
    }

    /// Steps, if the row is there already; otherwise asks for it.
    pub(crate) fn begin_step(&mut self) -> Step {
        if let Some(error) = self.refused.take() {
            self.reset();
            return Step::Done(Err(error));
        }
        if self.state == State::AtRow {
            if self.taken < self.batch.ends.len() {
                self.taken += 1;
                return Step::Done(Ok(true));
            }
            match &mut self.batch.next {
                Next::More => {
                    // If the answer is not waited for, the next step begins again.
                    self.forget();
                    return self.ask(None);
                }
                Next::End => {
                    self.forget();
                    return Step::Done(Ok(false));
                }
                Next::Error(error) => {
                    let error = error.clone();
                    self.forget();
                    return Step::Done(Err(error));
                }
            }
        }
        let begin = Begin {
            sql: self.sql.clone(),
            bindings: self.bindings.values().clone(),
            describe: self.description.is_none(),
        };
        self.ask(Some(begin))
    }

    fn ask(&mut self, begin: Option<Begin>) -> Step {
        let statement = self.number;
        self.may_have_begun = true;
        let asked = self.connection.start(|answer| Job::Step {
            statement,
            begin,
            answer,
        });
        Step::Wait(Rows {
            connection: self.connection.clone(),
            asked,
        })
    }

    /// Takes the rows that have arrived. The next [`begin_step`](Statement::begin_step) does
    /// not wait.
    pub(crate) fn accept(
        &mut self,
        (batch, status): (Result<Batch, SqliteError>, Status),
    ) -> Result<(), SqliteError> {
        self.status = status;
        match batch {
            Ok(mut batch) => {
                if let Some(description) = batch.description.take() {
                    self.description = Some(description);
                }
                self.may_have_begun = matches!(batch.next, Next::More);
                self.batch = batch;
                self.taken = 0;
                self.state = State::AtRow;
                Ok(())
            }
            Err(error) => {
                self.may_have_begun = false;
                self.forget();
                Err(error)
            }
        }
    }

    /// Makes it ready to be run again. What is bound stays.
    pub fn reset(&mut self) {
        if self.may_have_begun {
            self.connection.reset(self.number);
            self.may_have_begun = false;
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.batch = Batch::default();
        self.taken = 0;
        self.state = State::Ready;
    }

    /// Returns the row that it has stepped to.
    pub fn row(&self) -> Option<Vec<Value>> {
        let row = self.encoded_row()?;
        // It was written here.
        read_row(row).map_err(|Malformed| ()).ok()
    }

    /// Returns the row as ABI §10.3 has it.
    pub(crate) fn encoded_row(&self) -> Option<&[u8]> {
        let at = self.taken.checked_sub(1)?;
        self.batch.bytes.get(self.range(at)?)
    }

    /// Returns a value of the row as ABI §10.3 has it.
    pub(crate) fn encoded_column(&self, column: usize) -> Option<&[u8]> {
        let row = self.encoded_row()?;
        row.get(column_of(row, column)?)
    }

    /// Returns the next row, if it is there, without stepping to it.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        match self.state {
            State::Ready => None,
            State::AtRow => self.batch.bytes.get(self.range(self.taken)?),
        }
    }

    fn range(&self, row: usize) -> Option<Range<usize>> {
        let end = *self.batch.ends.get(row)?;
        let start = match row.checked_sub(1) {
            Some(before) => self.batch.ends[before],
            None => 0,
        };
        Some(start..end)
    }

    /// Returns what is known of it: before it was compiled, nothing.
    pub fn description(&self) -> Option<&Arc<Description>> {
        self.description.as_ref()
    }

    /// Keeps what is known of it.
    pub(crate) fn set_description(&mut self, description: Arc<Description>) {
        self.description = Some(description);
    }

    /// The bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let description = self.description.as_ref();
        let description = description.map_or(0, |description| description.size());
        self.sql.len() + self.bindings.bytes() + self.batch.size() + description
    }
}

impl Rows {
    /// Waits for them.
    pub(crate) async fn arrive(self) -> (Result<Batch, SqliteError>, Status) {
        self.connection.answer(&self.asked).await
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.reset();
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("sql", &self.sql)
            .finish_non_exhaustive()
    }
}
