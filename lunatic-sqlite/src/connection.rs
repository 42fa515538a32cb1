//! A connection to a database, used from any thread.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_channel::{Sender, bounded, unbounded};
use lunatic_account::{Account, Exceeded};
use lunatic_blocking::{AdaptiveSpin, LocalPool, ThreadLimits};
use lunatic_fs::Dir;

use crate::changes::{Change, Watch};
use crate::control::{Control, InterruptOnDrop};
use crate::cpu_time::{self, CpuTime};
use crate::error::SqliteError;
use crate::job::{
    Answer, Asked, BlobAccess, BlobPart, BlobPlace, Description, Job, Queued, Status,
};
use crate::limits::SqliteLimits;
use crate::quota::{self, Charges, Quota};
use crate::statement::Statement;
use crate::{life, opening};

/// Where a database is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In memory, for one connection alone.
    Memory,
    /// In a file below a directory. Where the directory is read-only, so is the database.
    File {
        /// The directory.
        dir: Dir,
        /// The path below it.
        path: PathBuf,
    },
}

/// A connection to a database. A clone is the same connection; it is closed, and what it has
/// not committed is rolled back, when the last one and all statements are dropped.
///
/// SQLite runs on one of a few threads, always the same for a connection, which those that
/// guests of other branches open do not share. An operation that is
/// dropped while it waits is interrupted.
///
/// ```
/// use lunatic_sqlite::{Connection, Place, SqliteLimits, Value};
///
/// # futures_lite::future::block_on(async {
/// let connection = Connection::open(Place::Memory, SqliteLimits::default()).await?;
/// connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").await?;
/// let mut rows = connection.statement("SELECT sum(a) FROM t");
/// assert!(rows.step().await?);
/// assert_eq!(rows.row(), Some(vec![Value::Integer(3)]));
/// # Ok::<(), lunatic_sqlite::SqliteError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Connection {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    jobs: Sender<Queued>,
    pub(crate) control: Arc<Control>,
    pub(crate) limits: SqliteLimits,
    next_statement: AtomicU64,
    /// In which answers are looked for before they are waited for.
    spin: AdaptiveSpin,
    /// How often the thread was asked for something.
    asked: AtomicU64,
}

/// For so long an answer is looked for, if they come that soon.
const LONGEST_LOOK: Duration = Duration::from_micros(50);

/// So many threads run SQLite. Most of its time goes into waiting for a disk. A guest that
/// computes takes no more than this from others which do, too.
const THREAD_LIMITS: ThreadLimits = ThreadLimits {
    program: NonZeroUsize::new(16).unwrap(),
    guest: NonZeroUsize::new(4).unwrap(),
    all: NonZeroUsize::new(256).unwrap(),
};

static THREADS: LazyLock<LocalPool> = LazyLock::new(|| LocalPool::new("sqlite", THREAD_LIMITS));

impl Connection {
    /// Opens a database, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`SqliteError`]; `SQLITE_CANTOPEN` if the path leads outside of the directory, to a
    /// file with several names, or to something else than a file.
    pub async fn open(place: Place, limits: SqliteLimits) -> Result<Connection, SqliteError> {
        Connection::open_charged(place, limits, None).await
    }

    /// Opens a database as [`open`](Connection::open) does, and has an account pay for the memory
    /// that SQLite takes for it, and the descriptors, until it is closed. If the account has a
    /// limit of CPU time, what SQLite takes counts, and it waits when that is used up.
    ///
    /// - `account`: `None` if nobody pays.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Connection::open); `SQLITE_NOMEM` if the account has no memory or no
    /// descriptors left.
    pub async fn open_charged(
        place: Place,
        limits: SqliteLimits,
        account: Option<&Account>,
    ) -> Result<Connection, SqliteError> {
        let has_files = matches!(place, Place::File { .. });
        let charges = account.map(|account| Charges::new(account, has_files));
        let charges = charges.transpose();
        let charges = charges.map_err(no_memory)?;
        let control = Arc::new(Control::new(limits.max_query_time));
        let of_database = match place {
            Place::Memory => limits.max_memory_bytes,
            Place::File { .. } => 0,
        };
        let quota = Quota::new(
            control.clone(),
            limits.max_heap_bytes.saturating_add(of_database),
            limits.max_file_bytes,
            account,
        );
        let quota = Arc::new(quota.map_err(no_memory)?);
        let file = match place {
            Place::Memory => None,
            Place::File { dir, path } => Some(opening::hold(&dir, path).await?),
        };
        let cpu_time = account.and_then(CpuTime::of);
        let (jobs, to_do) = unbounded();
        let (opened, is_open) = bounded(1);
        THREADS.spawn_pinned(move || {
            let counts = cpu_time.clone();
            let life = life::run(file, charges, limits, quota.clone(), counts, opened, to_do);
            cpu_time::counted(cpu_time, quota::within(quota, life))
        });
        let connection = Connection {
            shared: Arc::new(Shared {
                jobs,
                control,
                limits,
                next_statement: AtomicU64::new(0),
                spin: AdaptiveSpin::new(LONGEST_LOOK),
                asked: AtomicU64::new(0),
            }),
        };
        let interrupt = InterruptOnDrop::new(&connection.shared.control);
        let opened = is_open.recv().await;
        interrupt.disarm();
        opened.unwrap_or(Err(SqliteError::gone()))?;
        Ok(connection)
    }

    /// Returns the limits with which it was opened.
    pub fn limits(&self) -> &SqliteLimits {
        &self.shared.limits
    }

    /// Runs statements, and drops their rows.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] of the first statement that fails; the others are not run.
    pub async fn execute(&self, sql: impl Into<String>) -> Result<Status, SqliteError> {
        let sql = sql.into();
        let (outcome, status) = self.ask(|answer| Job::Execute { sql, answer }).await;
        outcome.map(|()| status)
    }

    /// Returns a statement, which is compiled when it is first needed. Its mistakes are found
    /// then.
    pub fn statement(&self, sql: impl Into<Arc<str>>) -> Statement {
        let number = self.shared.next_statement.fetch_add(1, Ordering::Relaxed);
        Statement::new(self.clone(), number, sql.into())
    }

    /// Compiles a statement, and tells of it.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if there is a mistake in it.
    pub async fn describe(&self, sql: Arc<str>) -> Result<Arc<Description>, SqliteError> {
        self.ask(|answer| Job::Describe { sql, answer }).await.0
    }

    /// Returns the size of a blob in bytes.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if there is no such blob.
    pub async fn blob_size(&self, place: BlobPlace) -> Result<u64, SqliteError> {
        let part = self.blob(place, BlobAccess::Size).await;
        part.0.map(|part| part.size)
    }

    /// Reads a part of a blob; less than `max` bytes only at its end.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if there is no such blob.
    pub async fn blob_read(
        &self,
        place: BlobPlace,
        offset: u64,
        max: usize,
    ) -> Result<Vec<u8>, SqliteError> {
        let part = self.blob(place, BlobAccess::Read { offset, max }).await;
        part.0.map(|part| part.bytes)
    }

    /// Writes a part of a blob, which keeps its size.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if there is no such blob, or the part ends behind it.
    pub async fn blob_write(
        &self,
        place: BlobPlace,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<Status, SqliteError> {
        let (part, status) = self.blob(place, BlobAccess::Write { offset, bytes }).await;
        part.map(|_| status)
    }

    pub(crate) async fn blob(
        &self,
        place: BlobPlace,
        access: BlobAccess,
    ) -> (Result<BlobPart, SqliteError>, Status) {
        self.ask(|answer| Job::Blob {
            place,
            access,
            answer,
        })
        .await
    }

    /// Has `tell` called with what each transaction of this program has changed, of any
    /// connection to the same database, once it is committed. What other programs change,
    /// tables without row ids, and rows that a `DELETE` without `WHERE` removes, are not told
    /// of. It is called on the thread of this connection, which must not be blocked; if that is
    /// busy until 64 KiB of changes wait, what comes then is not told of, either.
    ///
    /// - `table`: `None` for all tables.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if the connection has ended.
    pub async fn watch(
        &self,
        table: Option<String>,
        tell: Arc<dyn Fn(&Change) + Send + Sync>,
    ) -> Result<Watch, SqliteError> {
        self.ask(|answer| Job::Watch {
            table,
            tell,
            answer,
        })
        .await
        .0
    }

    /// Waits for locks of others for at most so long, from the next operation on. At first
    /// that is five seconds.
    pub fn set_busy_timeout(&self, timeout: Duration) {
        let timeout = timeout.min(self.shared.limits.max_busy_timeout);
        self.shared.control.set_busy_timeout(timeout);
    }

    /// Lets SQLite work for at most so long at once, from the next operation on, but not for
    /// longer than the limits say.
    pub fn set_query_time(&self, time: Duration) {
        let time = time.min(self.shared.limits.max_query_time);
        self.shared.control.set_query_time(time);
    }

    /// Closes the connection, whether there are statements or not, and waits for that.
    pub async fn close(self) {
        let (answer, closed) = bounded(1);
        self.send(Queued::Told(Job::Close { answer }));
        closed.recv().await.ok();
    }

    /// Ends a statement that has begun.
    pub(crate) fn reset(&self, statement: u64) {
        self.send(Queued::Told(Job::Reset { statement }));
    }

    /// Returns how often the thread of the connection was asked for something, which takes
    /// longer than most else. Each statement does so once, and once more for each so many
    /// rows; what is bound, read of rows, and known of a connection does not.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    fn send(&self, job: Queued) {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        // If the connection has ended, whoever asks for an answer is told.
        self.shared.jobs.try_send(job).ok();
    }

    /// Asks the thread of the connection for something, which is forgotten if what is returned is
    /// dropped before the thread has got to it.
    pub(crate) fn start<R>(&self, job: impl FnOnce(Answer<R>) -> Job) -> Asked<R> {
        let (answer, answered) = bounded(1);
        let (asked, queued) = Asked::new(job(answer), answered);
        self.send(queued);
        asked
    }

    /// Asks the thread of the connection for something.
    pub(crate) async fn ask<R>(
        &self,
        job: impl FnOnce(Answer<R>) -> Job,
    ) -> (Result<R, SqliteError>, Status) {
        let asked = self.start(job);
        self.answer(&asked).await
    }

    /// Waits for an answer. What is dropped before it is there is interrupted.
    pub(crate) async fn answer<R>(&self, asked: &Asked<R>) -> (Result<R, SqliteError>, Status) {
        let answered = asked.answered();
        let Shared { control, spin, .. } = &*self.shared;
        if let Some(answer) = spin.poll(|| answered.try_recv().ok()) {
            return answer;
        }
        let interrupt = InterruptOnDrop::new(control);
        let answer = answered.recv().await;
        interrupt.disarm();
        answer.unwrap_or((Err(SqliteError::gone()), Status::default()))
    }
}

pub(crate) fn no_memory(exceeded: Exceeded) -> SqliteError {
    SqliteError::new(SqliteError::NO_MEMORY, exceeded.to_string())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
