//! What the thread of a connection does.

use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use lunatic_fs::HeldFile;
use parking_lot::Mutex;
use rusqlite::TransactionState;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{Action, AuthContext, Authorization};
use rusqlite::{Batch as Statements, CachedStatement, Connection, Error, Statement};

use crate::changes::{Pending, Topic};
use crate::control::Control;
use crate::error::SqliteError;
use crate::job::{
    Answer, Batch, Begin, BlobAccess, BlobPart, BlobPlace, Description, Job, Next, Status,
};
use crate::limits::SqliteLimits;
use crate::opening;
use crate::value::{Key, Value, write_value};

/// A batch ends with the row with which it has so many rows…
const BATCH_ROWS: usize = 256;
/// …or so many bytes…
const BATCH_BYTES: usize = 64 << 10;
/// …or took so long.
const BATCH_TIME: Duration = Duration::from_millis(1);

/// What a connection has beside its statements.
struct Worker<'c> {
    connection: &'c Connection,
    control: &'c Control,
    limits: SqliteLimits,
    topic: Arc<Topic>,
    /// What the open transaction has changed.
    pending: Arc<Mutex<Pending>>,
    is_in_memory: bool,
    /// Whether the limit of the size of the database is known to SQLite.
    is_limited: bool,
    /// The bytes of a database in memory.
    memory_bytes: u64,
    /// Statements that have begun and have not ended.
    begun: HashMap<u64, Begun<'c>>,
}

/// A statement that may have begun, and is reset when it is dropped: then it goes back to the
/// others that are compiled.
struct Begun<'c>(CachedStatement<'c>);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // To drop rows is to reset their statement.
        drop(self.0.raw_query());
    }
}

/// A connection of which no hook is called any more while it is being closed.
struct Closing(Connection);

impl Drop for Closing {
    fn drop(&mut self) {
        // What the hooks need is gone before SQLite rolls a transaction back by itself.
        if !self.0.is_autocommit() {
            self.0.execute_batch("ROLLBACK").ok();
        }
        self.0.rollback_hook(None::<fn()>).ok();
        let no_hook = None::<fn(Action, &str, &str, i64)>;
        self.0.update_hook(no_hook).ok();
        self.0.progress_handler(0, None::<fn() -> bool>).ok();
        let no_authorizer = None::<fn(AuthContext<'_>) -> Authorization>;
        self.0.authorizer(no_authorizer).ok();
    }
}

/// Opens a database, and does what it is asked for until nobody can ask any more.
pub(crate) async fn run(
    file: Option<HeldFile>,
    limits: SqliteLimits,
    control: Arc<Control>,
    opened: Sender<Result<(), SqliteError>>,
    jobs: Receiver<Job>,
) {
    yield_to_processes();
    let mut connection = match opening::open(file.as_ref(), &limits, &control) {
        Ok(connection) => Closing(connection),
        Err(error) => {
            opened.send(Err(error)).await.ok();
            return;
        }
    };
    let topic = match &file {
        Some(file) => Topic::of_file(file.id()),
        None => Arc::new(Topic::new()),
    };
    let pending = Arc::new(Mutex::new(Pending::default()));
    if let Err(error) = note_changes(&mut connection.0, &topic, &pending) {
        opened.send(Err(error.into())).await.ok();
        return;
    }
    opened.send(Ok(())).await.ok();
    let mut worker = Worker {
        connection: &connection.0,
        control: &control,
        limits,
        topic,
        pending,
        is_in_memory: file.is_none(),
        is_limited: false,
        memory_bytes: 0,
        begun: HashMap::new(),
    };
    let mut close = None;
    while let Ok(job) = jobs.recv().await {
        worker.limit_size();
        if let ControlFlow::Break(answer) = worker.handle(job).await {
            close = Some(answer);
            break;
        }
    }
    drop(worker);
    // To close a database can be to write all of it back.
    control.begin();
    drop(connection);
    // The names of the files are used until then.
    drop(file);
    drop(jobs);
    if let Some(close) = close {
        close.send(()).await.ok();
    }
}

/// Lets the threads that run processes run first: databases may keep them waiting no more
/// than a disk does.
fn yield_to_processes() {
    /// On Linux this is a matter of the thread alone.
    const NICE: i32 = 5;
    rustix::process::setpriority_process(None, NICE).ok();
}

fn note_changes(
    connection: &mut Connection,
    topic: &Arc<Topic>,
    pending: &Arc<Mutex<Pending>>,
) -> Result<(), Error> {
    let (topic, noted, forgotten) = (topic.clone(), pending.clone(), pending.clone());
    connection.update_hook(Some(
        move |action, _database: &str, table: &str, rowid: i64| {
            if topic.is_watched() {
                noted.lock().add(action, table, rowid);
            }
        },
    ))?;
    connection.rollback_hook(Some(move || forgotten.lock().clear()))
}

impl<'c> Worker<'c> {
    fn limit_size(&mut self) {
        if !self.is_limited {
            let max = match self.is_in_memory {
                true => self.limits.max_memory_bytes,
                false => self.limits.max_file_bytes,
            };
            self.control.begin();
            self.control.set_own(true);
            self.is_limited = opening::limit_size(self.connection, max).is_ok();
            self.control.set_own(false);
        }
    }

    async fn handle(&mut self, job: Job) -> ControlFlow<Sender<()>> {
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
                    self.begun.remove(&statement);
                } else {
                    let outcome = self.step(statement, begin, &answer).await;
                    self.answer(answer, outcome);
                }
            }
            Job::Reset { statement } => drop(self.begun.remove(&statement)),
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
                let watch = self.topic.watch(table, tell);
                self.answer(answer, Ok(watch));
            }
            Job::Close { answer } => return ControlFlow::Break(answer),
        }
        ControlFlow::Continue(())
    }

    /// Answers, and tells others of what was committed.
    fn answer<R>(&mut self, answer: Answer<R>, outcome: Result<R, SqliteError>) {
        if self.connection.is_autocommit() {
            let mut pending = self.pending.lock();
            if !pending.is_empty() {
                let mut committed = mem::take(&mut *pending);
                drop(pending);
                self.topic.tell(&mut committed);
            }
        }
        if let Some(timeout) = self.control.take_busy_timeout() {
            let timeout = timeout.min(self.limits.max_busy_timeout);
            self.control.set_busy_timeout(timeout);
            self.connection.busy_timeout(Duration::ZERO).ok();
        }
        let status = self.status();
        let outcome = outcome.map_err(|error| self.control.explain(error));
        answer.try_send((outcome, status)).ok();
    }

    fn status(&mut self) -> Status {
        Status {
            changes: self.connection.changes(),
            last_insert_rowid: self.connection.last_insert_rowid(),
            in_transaction: !self.connection.is_autocommit(),
            memory_bytes: match self.is_in_memory {
                true => self.measure(),
                false => 0,
            },
        }
    }

    /// Returns the size of a database in memory.
    fn measure(&mut self) -> u64 {
        let size = || -> Result<u64, Error> {
            let mut pages = self.connection.prepare_cached("PRAGMA page_count")?;
            let pages: u32 = pages.query_row([], |row| row.get(0))?;
            let mut size = self.connection.prepare_cached("PRAGMA page_size")?;
            let size: u32 = size.query_row([], |row| row.get(0))?;
            Ok(u64::from(pages) * u64::from(size))
        };
        if let Ok(size) = size() {
            self.memory_bytes = size;
        }
        self.memory_bytes
    }

    async fn execute(&mut self, sql: &str, answer: &Answer<()>) -> Result<(), SqliteError> {
        if sql.len() > opening::MAX_SQL_BYTES {
            return Err(too_long());
        }
        let mut statements = Statements::new(self.connection, sql);
        loop {
            self.control.begin();
            let is_in_vain = || answer.is_closed();
            let next = || statements.next();
            let next = self.patiently(Work::Compile, is_in_vain, next).await?;
            let Some(mut statement) = next else {
                return Ok(());
            };
            let run = || exhaust(&mut statement);
            self.patiently(Work::Run, is_in_vain, run).await?;
        }
    }

    async fn describe(
        &self,
        sql: &str,
        answer: &Answer<Arc<Description>>,
    ) -> Result<Arc<Description>, SqliteError> {
        self.control.begin();
        match self.prepare(sql, || answer.is_closed()).await? {
            Some(statement) => Ok(Arc::new(description(&statement.0))),
            None => Ok(Arc::default()),
        }
    }

    /// Compiles a statement; `None` if it is empty. To read the schema can be to wait for
    /// others.
    async fn prepare(
        &self,
        sql: &str,
        is_in_vain: impl Fn() -> bool,
    ) -> Result<Option<Begun<'c>>, SqliteError> {
        if sql.len() > opening::MAX_SQL_BYTES {
            return Err(too_long());
        }
        let connection = self.connection;
        let compile = || match connection.prepare_cached(sql) {
            Ok(statement) => Ok(Some(Begun(statement))),
            Err(Error::Empty) => Ok(None),
            Err(Error::MultipleStatement) => Err(SqliteError::new(
                SqliteError::ERROR,
                "only one statement can be compiled at once",
            )),
            Err(error) => Err(error.into()),
        };
        self.patiently(Work::Compile, is_in_vain, compile).await
    }

    async fn step(
        &mut self,
        number: u64,
        begin: Option<Begin>,
        answer: &Answer<Batch>,
    ) -> Result<Batch, SqliteError> {
        self.control.begin();
        let mut described = None;
        let mut statement = match begin {
            Some(begin) => {
                self.begun.remove(&number);
                let prepared = self.prepare(&begin.sql, || answer.is_closed()).await?;
                let Some(mut statement) = prepared else {
                    return Ok(Batch {
                        description: begin.describe.then(Arc::default),
                        ..Batch::default()
                    });
                };
                bind(&mut statement.0, &begin.bindings)?;
                if begin.describe {
                    described = Some(Arc::new(description(&statement.0)));
                }
                statement
            }
            None => match self.begun.remove(&number) {
                Some(statement) => statement,
                // It was reset by the end of the transaction, for example.
                None => return Ok(Batch::default()),
            },
        };
        let max_row = self.limits.max_row_bytes;
        let run = || next_rows(&mut statement.0, max_row);
        let mut batch = self
            .patiently(Work::Run, || answer.is_closed(), run)
            .await?;
        batch.description = described;
        if let Next::More = batch.next {
            self.begun.insert(number, statement);
        }
        Ok(batch)
    }

    async fn blob(
        &mut self,
        place: &BlobPlace,
        access: BlobAccess,
        answer: &Answer<BlobPart>,
    ) -> Result<BlobPart, SqliteError> {
        let connection = self.connection;
        self.control.begin();
        let run = || blob(connection, place, &access);
        self.patiently(Work::Run, || answer.is_closed(), run).await
    }

    /// Does something again and again while others hold a lock, up to the time limit for
    /// that. SQLite's own way of waiting would hold up everybody on this thread, and perhaps
    /// whoever is to release the lock.
    ///
    /// In a transaction that has only read, waiting helps nobody: both would wait for each
    /// other.
    async fn patiently<R, E: Into<SqliteError>>(
        &self,
        work: Work,
        is_in_vain: impl Fn() -> bool,
        mut operation: impl FnMut() -> Result<R, E>,
    ) -> Result<R, SqliteError> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let state = self.connection.transaction_state::<&str>(None);
            let can_wait = !matches!(state, Ok(TransactionState::Read));
            self.control.set_running(work != Work::Compile);
            let outcome = operation().map_err(E::into);
            self.control.set_running(false);
            match outcome {
                Err(error)
                    if error.result_code() == SqliteError::BUSY
                        && can_wait
                        && start.elapsed() < self.control.busy_timeout()
                        && !is_in_vain() =>
                {
                    Timer::after(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(25));
                    self.control.begin();
                }
                outcome => return outcome,
            }
        }
    }
}

/// What is done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Compile,
    Run,
}

/// Runs a statement, and drops its rows.
fn exhaust(statement: &mut Statement<'_>) -> Result<(), Error> {
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Returns the next rows of a statement.
///
/// # Errors
///
/// [`SqliteError`] if there is not a single row.
fn next_rows(statement: &mut Statement<'_>, max_row: usize) -> Result<Batch, SqliteError> {
    let columns = statement.column_count();
    let mut batch = Batch::default();
    let mut began = None;
    let mut rows = statement.raw_query();
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let start = batch.bytes.len();
                batch.bytes.extend((columns as u64).to_le_bytes());
                let mut size = 0;
                for column in 0..columns {
                    let value = row.get_ref(column).map_err(SqliteError::from)?;
                    size += value
                        .as_bytes_or_null()
                        .map_or(0, |bytes| bytes.map_or(0, <[u8]>::len));
                    if size > max_row {
                        batch.bytes.truncate(start);
                        let error = SqliteError::new(SqliteError::TOO_BIG, "a row is too big");
                        return or_error(batch, error);
                    }
                    write_value(&mut batch.bytes, value);
                }
                batch.ends.push(batch.bytes.len());
            }
            Ok(None) => return Ok(batch),
            Err(error) => return or_error(batch, error.into()),
        }
        let is_late = began.get_or_insert_with(Instant::now).elapsed() > BATCH_TIME;
        if is_late || batch.ends.len() >= BATCH_ROWS || batch.bytes.len() >= BATCH_BYTES {
            // To drop it would be to reset the statement. It has nothing of its own.
            mem::forget(rows);
            batch.next = Next::More;
            return Ok(batch);
        }
    }
}

fn or_error(mut batch: Batch, error: SqliteError) -> Result<Batch, SqliteError> {
    match batch.ends.is_empty() {
        true => Err(error),
        false => {
            batch.next = Next::Error(error);
            Ok(batch)
        }
    }
}

fn bind(statement: &mut Statement<'_>, bindings: &[(Key, Value)]) -> Result<(), SqliteError> {
    statement.clear_bindings();
    let mut last = 0;
    for (key, value) in bindings {
        let index = match key {
            Key::Next => last + 1,
            Key::Number(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Key::Name(name) => {
                let index = statement.parameter_index(name)?;
                index.ok_or_else(|| {
                    let message = format!("there is no parameter {name:?}");
                    SqliteError::new(SqliteError::RANGE, message)
                })?
            }
        };
        if index == 0 || index > statement.parameter_count() {
            let message = format!("there is no parameter {index}");
            return Err(SqliteError::new(SqliteError::RANGE, message));
        }
        statement.raw_bind_parameter(index, value)?;
        last = index;
    }
    Ok(())
}

fn description(statement: &Statement<'_>) -> Description {
    let names = statement.column_names();
    Description {
        columns: names.into_iter().map(str::to_owned).collect(),
        parameters: statement.parameter_count(),
        is_read_only: statement.readonly(),
    }
}

fn blob(
    connection: &Connection,
    place: &BlobPlace,
    access: &BlobAccess,
) -> Result<BlobPart, SqliteError> {
    let reads = !matches!(access, BlobAccess::Write { .. });
    let (table, column) = (place.table.as_str(), place.column.as_str());
    let mut blob = connection.blob_open("main", table, column, place.rowid, reads)?;
    let size = blob.len() as u64;
    let start = |offset: u64| usize::try_from(offset.min(size)).unwrap_or(usize::MAX);
    let mut part = BlobPart {
        size,
        bytes: Vec::new(),
    };
    match access {
        BlobAccess::Size => {}
        BlobAccess::Read { offset, max } => {
            let offset = start(*offset);
            let mut bytes = vec![0; (*max).min(blob.len() - offset)];
            if !bytes.is_empty() {
                blob.read_at_exact(&mut bytes, offset)?;
            }
            part.bytes = bytes;
        }
        BlobAccess::Write { offset, bytes } => {
            if offset.saturating_add(bytes.len() as u64) > size {
                let message = format!("the blob ends after {size} bytes");
                return Err(SqliteError::new(SqliteError::ERROR, message));
            }
            if !bytes.is_empty() {
                blob.write_at(bytes, start(*offset))?;
            }
        }
    }
    blob.close()?;
    Ok(part)
}

fn too_long() -> SqliteError {
    SqliteError::new(SqliteError::TOO_BIG, "the statement is too long")
}
