//! What the thread of a connection is asked for, and what it answers.

use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::changes::{Change, Watch};
use crate::error::SqliteError;
use crate::value::{Key, Value};

/// What the thread of a connection is asked for.
pub(crate) enum Job {
    /// Run statements, and drop their rows.
    Execute { sql: String, answer: Answer<()> },
    /// Compile a statement, and tell of it.
    Describe {
        sql: Arc<str>,
        answer: Answer<Arc<Description>>,
    },
    /// Return the next rows of a statement.
    Step {
        /// Tells the statements of a connection apart.
        statement: u64,
        /// `None` if it has begun.
        begin: Option<Begin>,
        answer: Answer<Batch>,
    },
    /// End a statement that has begun, without an answer.
    Reset { statement: u64 },
    Blob {
        place: BlobPlace,
        access: BlobAccess,
        answer: Answer<BlobPart>,
    },
    Watch {
        table: Option<String>,
        tell: Arc<dyn Fn(&Change) + Send + Sync>,
        answer: Answer<Watch>,
    },
    /// Close the connection, then answer.
    Close { answer: Sender<()> },
}

/// What waits for the thread of a connection.
pub(crate) enum Queued {
    /// Something that nobody waits for.
    Told(Job),
    /// Something that is forgotten with whoever has asked for it.
    Asked(Waiting),
}

/// Where to find what somebody waits for. If it is dropped, they are told that nobody will do it.
pub(crate) struct Waiting(Weak<Mutex<Option<Job>>>);

/// What was asked for, as long as somebody waits for the answer. It has what is to be done until
/// the thread of the connection begins with it: that may be long, and what a job has is charged
/// only to who waits.
pub(crate) struct Asked<R> {
    _job: Arc<Mutex<Option<Job>>>,
    answered: Receiver<(Result<R, SqliteError>, Status)>,
}

impl Queued {
    /// Returns what is to be done; `None` if nobody waits for it any more.
    pub(crate) fn take(self) -> Option<Job> {
        match self {
            Queued::Told(job) => Some(job),
            Queued::Asked(waiting) => waiting.take(),
        }
    }
}

impl Waiting {
    fn take(&self) -> Option<Job> {
        self.0.upgrade()?.lock().take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // With it goes where to send the answer.
        drop(self.take());
    }
}

impl<R> Asked<R> {
    /// Returns it, and what is to be queued.
    ///
    /// - `answered`: where the answer to the job comes from.
    pub(crate) fn new(
        job: Job,
        answered: Receiver<(Result<R, SqliteError>, Status)>,
    ) -> (Asked<R>, Queued) {
        let job = Arc::new(Mutex::new(Some(job)));
        let queued = Queued::Asked(Waiting(Arc::downgrade(&job)));
        let asked = Asked {
            _job: job,
            answered,
        };
        (asked, queued)
    }

    /// Where the answer comes from.
    pub(crate) fn answered(&self) -> &Receiver<(Result<R, SqliteError>, Status)> {
        &self.answered
    }
}

/// Where to send the answer to a job.
pub(crate) type Answer<R> = Sender<(Result<R, SqliteError>, Status)>;

/// What is known of a connection after an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How many rows the last statement that changes some has changed.
    pub changes: u64,
    /// The row that was inserted last.
    pub last_insert_rowid: i64,
    /// Whether a transaction is open.
    pub in_transaction: bool,
    /// The bytes of memory that SQLite has for the connection: its cache, schema and compiled
    /// statements, what they sort and collect, and a database in memory.
    pub memory_bytes: u64,
}

/// What a statement runs with.
pub(crate) struct Begin {
    pub(crate) sql: Arc<str>,
    pub(crate) bindings: Arc<Vec<(Key, Value)>>,
    /// Whether its description is not known.
    pub(crate) describe: bool,
}

/// What is known of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// How many parameters it has.
    pub parameters: usize,
    /// Whether it changes nothing.
    pub is_read_only: bool,
}

impl Description {
    /// The bytes that it takes beside itself.
    pub(crate) fn size(&self) -> usize {
        let columns = self.columns.iter();
        columns.map(|name| name.len() + size_of::<String>()).sum()
    }
}

/// Rows of a statement.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The rows, one behind the other.
    pub(crate) bytes: Vec<u8>,
    /// Where each ends.
    pub(crate) ends: Vec<usize>,
    pub(crate) next: Next,
    pub(crate) description: Option<Arc<Description>>,
}

impl Batch {
    /// The bytes that its rows take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// What comes behind the rows of a batch.
#[derive(Debug, Default)]
pub(crate) enum Next {
    /// Perhaps others.
    More,
    /// Nothing.
    #[default]
    End,
    Error(SqliteError),
}

/// Where a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPlace {
    /// Its table.
    pub table: String,
    /// Its column.
    pub column: String,
    /// Its row.
    pub rowid: i64,
}

/// What is done with a blob.
pub(crate) enum BlobAccess {
    Size,
    Read { offset: u64, max: usize },
    Write { offset: u64, bytes: Vec<u8> },
}

/// What a blob has.
#[derive(Debug, Default)]
pub(crate) struct BlobPart {
    pub(crate) size: u64,
    pub(crate) bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn what_a_job_has_is_kept_for_who_waits_and_no_longer() {
        let (answer, answered) = async_channel::bounded(1);
        let bindings = Arc::new(vec![(Key::Next, Value::Null)]);
        let kept = Arc::downgrade(&bindings);
        let job = Job::Step {
            statement: 0,
            begin: Some(Begin {
                sql: "SELECT 1".into(),
                bindings,
                describe: false,
            }),
            answer,
        };
        let (waits, queued) = Asked::<Batch>::new(job, answered);
        assert!(kept.upgrade().is_some());
        drop(waits);
        assert!(kept.upgrade().is_none());
        assert!(queued.take().is_none());
    }

    #[test]
    fn who_waits_is_told_if_nobody_will_do_it() {
        let (sender, answered) = async_channel::bounded(1);
        let job = Job::Execute {
            sql: String::new(),
            answer: sender,
        };
        let (asked, queued) = Asked::<()>::new(job, answered);
        assert!(asked.answered().try_recv().unwrap_err().is_empty());
        drop(queued);
        assert!(asked.answered().try_recv().unwrap_err().is_closed());
    }
}
