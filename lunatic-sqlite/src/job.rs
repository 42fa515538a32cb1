//! What the thread of a connection is asked for, and what it answers.

use std::sync::Arc;

use async_channel::Sender;

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
