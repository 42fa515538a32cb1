//! How much a process may do with databases.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much a process may do with databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqliteLimits {
    /// Connections of a process.
    pub max_connections: usize,
    /// Statements of a process.
    pub max_statements: usize,
    /// Bytes of a database in a file, and of its log in WAL mode. One that is larger already can
    /// be read.
    pub max_file_bytes: u64,
    /// Bytes of a database in memory.
    pub max_memory_bytes: u64,
    /// Bytes of memory that SQLite may take for a connection, beside a database in memory: for its
    /// schema and cache, and what statements sort, collect, and note to be able to undo it.
    pub max_heap_bytes: u64,
    /// Bytes of a row, and of one list of values to bind.
    pub max_row_bytes: usize,
    /// Bytes of a text or a blob.
    pub max_value_bytes: usize,
    /// How long SQLite may work at once: for a call, without the time that it waits for
    /// locks.
    pub max_query_time: Duration,
    /// For how long a lock may be waited for.
    pub max_busy_timeout: Duration,
}

impl SqliteLimits {
    /// These limits, none higher than that of `ceiling`.
    pub fn capped(&self, ceiling: &SqliteLimits) -> SqliteLimits {
        SqliteLimits {
            max_connections: self.max_connections.min(ceiling.max_connections),
            max_statements: self.max_statements.min(ceiling.max_statements),
            max_file_bytes: self.max_file_bytes.min(ceiling.max_file_bytes),
            max_memory_bytes: self.max_memory_bytes.min(ceiling.max_memory_bytes),
            max_heap_bytes: self.max_heap_bytes.min(ceiling.max_heap_bytes),
            max_row_bytes: self.max_row_bytes.min(ceiling.max_row_bytes),
            max_value_bytes: self.max_value_bytes.min(ceiling.max_value_bytes),
            max_query_time: self.max_query_time.min(ceiling.max_query_time),
            max_busy_timeout: self.max_busy_timeout.min(ceiling.max_busy_timeout),
        }
    }
}

impl Default for SqliteLimits {
    fn default() -> SqliteLimits {
        SqliteLimits {
            max_connections: 64,
            max_statements: 4096,
            max_file_bytes: 16 << 30,
            max_memory_bytes: 16 << 20,
            max_heap_bytes: 256 << 20,
            max_row_bytes: 4 << 20,
            max_value_bytes: 16 << 20,
            max_query_time: Duration::from_secs(10),
            max_busy_timeout: Duration::from_secs(60),
        }
    }
}
