//! The connections and statements of a process.

use std::sync::Arc;

use lunatic_abi::{Misuse, Resource, Table};
use lunatic_account::Account;

use crate::changes::Watch;
use crate::connection::{Connection, no_memory};
use crate::error::SqliteError;
use crate::job::{Description, Status};
use crate::limits::SqliteLimits;
use crate::statement::Statement;

/// The connections and statements of a process, and how much it may do with databases.
///
/// A process that has never had one has allocated nothing here.
#[derive(Debug)]
pub struct GuestSqlite {
    limits: Arc<SqliteLimits>,
    tables: Option<Box<Tables>>,
}

/// What a process holds ids of.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) connections: Table<GuestConnection>,
    pub(super) statements: Table<GuestStatement>,
    pub(super) watches: Table<GuestWatch>,
    /// Whether the guest allocates memory for a result.
    pub(super) is_allocating: bool,
}

/// A connection that a guest holds an id of.
#[derive(Debug)]
pub(super) struct GuestConnection {
    pub(super) connection: Connection,
    pub(super) status: Status,
    pub(super) last: Last,
}

/// The last result of a connection.
#[derive(Debug)]
pub(super) enum Last {
    Ok,
    Row,
    Done,
    Error(SqliteError),
    /// A statement was made, and is not compiled yet.
    Unknown(u64),
}

/// A statement that a guest holds an id of.
#[derive(Debug)]
pub(super) struct GuestStatement {
    pub(super) connection: u64,
    pub(super) statement: Statement,
}

/// A watch that a guest holds an id of.
#[derive(Debug)]
pub(super) struct GuestWatch {
    pub(super) connection: u64,
    /// `None` until it is known that there can be one.
    pub(super) watch: Option<Watch>,
}

/// SQLite's results of a step.
pub(super) const ROW: u32 = 100;
pub(super) const DONE: u32 = 101;

impl GuestSqlite {
    /// Returns the state of a new process, which has no connections.
    pub fn new(limits: Arc<SqliteLimits>) -> GuestSqlite {
        GuestSqlite {
            limits,
            tables: None,
        }
    }

    /// Returns how much the process may do with databases.
    pub fn limits(&self) -> &Arc<SqliteLimits> {
        &self.limits
    }

    pub(super) fn tables(&mut self) -> &mut Tables {
        self.tables.get_or_insert_default()
    }

    pub(super) fn connection(&mut self, id: u64) -> Result<&mut GuestConnection, Misuse> {
        self.tables().connections.get_mut(id)
    }

    pub(super) fn statement(&mut self, id: u64) -> Result<&GuestStatement, Misuse> {
        self.tables().statements.get(id)
    }

    /// Checks that there can be one connection more.
    pub(super) fn check_connections(&mut self) -> Result<(), SqliteError> {
        let limit = self.limits.max_connections;
        match self.tables().connections.len() < limit {
            true => Ok(()),
            false => Err(SqliteError::new(
                SqliteError::CANNOT_OPEN,
                format!("this process has {limit} connections, as many as it may"),
            )),
        }
    }

    /// Keeps a statement, and returns its id.
    pub(super) fn keep_statement(
        &mut self,
        connection: u64,
        statement: Statement,
        account: &Account,
    ) -> Result<u64, Misuse> {
        let limit = self.limits.max_statements;
        let statements = &mut self.tables().statements;
        if statements.len() >= limit {
            return Err(Misuse::refused(format!(
                "a process may hold at most {limit} statements at once"
            )));
        }
        let statement = GuestStatement {
            connection,
            statement,
        };
        Ok(statements.insert(statement, account)?)
    }

    /// Does something with a statement, which is not larger afterwards.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`].
    pub(super) fn change<R>(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut Statement) -> R,
    ) -> Result<R, Misuse> {
        let statements = &mut self.tables().statements;
        statements.resize(id, 0, |entry| change(&mut entry.statement))
    }

    /// Does something with a statement that may make it larger.
    ///
    /// - `more`: by how many bytes; they are charged before.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`]; inside, that the bytes are refused. The statement is not changed
    /// then.
    pub(super) fn enlarge<R>(
        &mut self,
        id: u64,
        more: usize,
        change: impl FnOnce(&mut Statement) -> R,
    ) -> Result<Result<R, SqliteError>, Misuse> {
        let statements = &mut self.tables().statements;
        match statements.resize(id, more, |entry| change(&mut entry.statement)) {
            Ok(result) => Ok(Ok(result)),
            Err(Misuse::Exceeded(exceeded)) => Ok(Err(no_memory(exceeded))),
            Err(misuse) => Err(misuse),
        }
    }

    /// Notes the result of an operation on a connection, and returns SQLite's result code.
    pub(super) fn note(&mut self, connection: u64, outcome: Result<(), SqliteError>) -> u32 {
        let Ok(connection) = self.connection(connection) else {
            return SqliteError::MISUSE as u32;
        };
        connection.note(outcome)
    }

    /// Notes what is known of a connection after an operation.
    pub(super) fn set_status(&mut self, connection: u64, status: Status) {
        // Otherwise it was closed meanwhile.
        if let Ok(connection) = self.connection(connection) {
            connection.status = status;
        }
    }

    /// Keeps what is known of a statement, if it is still there and the account has memory for
    /// that.
    pub(super) fn set_description(&mut self, id: u64, description: Arc<Description>) {
        let set = |statement: &mut Statement| statement.set_description(description.clone());
        self.enlarge(id, description.size(), set).ok();
    }
}

impl GuestConnection {
    pub(super) fn new(connection: Connection) -> GuestConnection {
        GuestConnection {
            connection,
            status: Status::default(),
            last: Last::Ok,
        }
    }

    /// Notes a result, and returns SQLite's code of it.
    pub(super) fn note(&mut self, outcome: Result<(), SqliteError>) -> u32 {
        match outcome {
            Ok(()) => {
                self.last = Last::Ok;
                0
            }
            Err(error) => {
                let code = error.result_code() as u32;
                self.last = Last::Error(error);
                code
            }
        }
    }

    /// Returns the result code of the last operation, as far as it is known, and its message.
    pub(super) fn last_error(&self) -> Option<(i32, &str)> {
        match &self.last {
            Last::Ok | Last::Unknown(_) => None,
            Last::Row => Some((ROW as i32, "another row available")),
            Last::Done => Some((DONE as i32, "no more rows available")),
            Last::Error(error) => Some((error.code, &error.message)),
        }
    }
}

impl Resource for GuestConnection {
    const KIND: &'static str = "SQLite connection";
    const LIMIT: usize = usize::MAX;
}

impl Resource for GuestStatement {
    const KIND: &'static str = "SQLite statement";
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        self.statement.size()
    }
}

impl Resource for GuestWatch {
    const KIND: &'static str = "SQLite watch";
    const LIMIT: usize = 1024;

    fn size(&self) -> usize {
        256
    }
}
