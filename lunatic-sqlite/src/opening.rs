//! Opens databases so that nothing leads out of their directories.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lunatic_fs::{Access, Companion, Dir, HeldFile};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use crate::bindings::MAX_PARAMETERS;
use crate::control::Control;
use crate::cpu_time::CpuTime;
use crate::error::SqliteError;
use crate::limits::SqliteLimits;
use crate::quota::CACHE_KIB;
use crate::{files, full_text, functions, library, policy};

/// What SQLite makes beside a database.
const COMPANIONS: &[Companion] = &[
    Companion {
        suffix: "-journal",
        is_locked: false,
    },
    Companion {
        suffix: "-wal",
        is_locked: false,
    },
    Companion {
        suffix: "-shm",
        is_locked: true,
    },
];

/// The instructions of SQLite after which it is asked whether it must end.
const PROGRESS: i32 = 1000;

/// Compiled statements of this crate itself that a connection keeps.
const OWN_STATEMENTS: usize = 2;

/// Holds the file of a database.
pub(crate) async fn hold(dir: &Dir, path: PathBuf) -> Result<HeldFile, SqliteError> {
    let cannot = |error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::IsADirectory => EXTENDED_IS_DIR,
            _ => SqliteError::CANNOT_OPEN,
        };
        SqliteError::new(code, format!("unable to open database file: {error}"))
    };
    let name = path.as_os_str().as_encoded_bytes();
    if name.contains(&0) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "a byte 0 in the path");
        return Err(cannot(error));
    }
    if COMPANIONS
        .iter()
        .any(|companion| name.ends_with(companion.suffix.as_bytes()))
    {
        let reason = "the name is that of a part of another database";
        return Err(cannot(io::Error::other(reason)));
    }
    dir.hold(path, COMPANIONS).await.map_err(cannot)
}

/// `SQLITE_CANTOPEN_ISDIR`.
const EXTENDED_IS_DIR: i32 = 14 | 2 << 8;

/// Opens a database, or one in memory, and limits what can be done with it. It blocks the
/// thread.
pub(crate) fn open(
    file: Option<&HeldFile>,
    limits: &SqliteLimits,
    control: &Arc<Control>,
    cpu_time: Option<&Arc<CpuTime>>,
) -> Result<Connection, SqliteError> {
    library::initialize()?;
    let mut connection = match file {
        None => Connection::open_in_memory_with_flags_and_vfs(
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            files::NAME,
        )?,
        Some(file) => open_file(file)?,
    };
    control.set_handle(connection.get_interrupt_handle());
    control.begin();
    let (progress, cpu_time) = (control.clone(), cpu_time.cloned());
    let must_end = move || {
        if let Some(cpu_time) = &cpu_time {
            cpu_time.pause(|| progress.must_end());
        }
        progress.must_end()
    };
    connection.progress_handler(PROGRESS, Some(must_end))?;
    limit(&connection, limits)?;
    functions::replace_slow_ones(&connection, limits.max_value_bytes)?;
    full_text::refuse_snippet(&connection)?;
    let control = control.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if control.is_own() {
            return Authorization::Allow;
        }
        if let AuthAction::Pragma {
            pragma_name,
            pragma_value: Some(value),
        } = context.action
            && pragma_name.eq_ignore_ascii_case("busy_timeout")
        {
            control.note_busy_timeout(value);
        }
        let extends_schema = policy::extends_schema(&context.action);
        if extends_schema && control.is_schema_full() {
            return Authorization::Deny;
        }
        // One that is as it was need not be looked at after each transaction.
        let may_undo = control.is_schema_full() && policy::is_about_transactions(&context.action);
        if extends_schema || may_undo || policy::shortens_schema(&context.action) {
            control.note_new_schema();
        }
        policy::authorize(context.action, control.is_running())
    }))?;
    Ok(connection)
}

fn open_file(file: &HeldFile) -> Result<Connection, SqliteError> {
    let path = file.path();
    if file.is_only_holder() {
        check_companions(&path)?;
    }
    let always = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = match file.access() {
        Access::ReadWrite => Connection::open_with_flags_and_vfs(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | always,
            files::NAME,
        ),
        // What is shared between connections in WAL mode is not written either.
        Access::ReadOnly => Connection::open_with_flags_and_vfs(
            format!("file:{}?mode=ro&readonly_shm=1", escaped(&path)),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | always,
            files::NAME,
        ),
    };
    opened.map_err(|error| {
        // Where the file is in this program is nobody's business.
        let error = SqliteError::from(error);
        let path = format!(": {}", path.display());
        SqliteError::new(error.code, error.message.replace(&path, ""))
    })
}

/// Returns whether SQLite would make a file to read this one, where nothing may be made: in WAL
/// mode it makes a log that is not there.
pub(crate) fn would_make_wal(file: &HeldFile) -> bool {
    /// The version of who can read it, in the header.
    const READ_VERSION: usize = 19;
    const WAL: u8 = 2;
    if file.access() == Access::ReadWrite {
        return false;
    }
    let mut header = [0; READ_VERSION + 1];
    let is_in_wal_mode = file.read_start(&mut header).is_ok() && header[READ_VERSION] == WAL;
    is_in_wal_mode && companion(&file.path(), "-wal").symlink_metadata().is_err()
}

/// Makes a path part of a URI.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

/// Refuses what lies beside a database and is no file of its own: SQLite would wait for a pipe
/// without end, and write into a file that has another name, too.
fn check_companions(path: &Path) -> Result<(), SqliteError> {
    for Companion { suffix, .. } in COMPANIONS {
        let path = companion(path, suffix);
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(bad_companion(suffix, &error.to_string())),
        };
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(bad_companion(suffix, "it is no file with one name"));
        }
    }
    check_journal(&companion(path, "-journal"))
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn bad_companion(suffix: &str, reason: &str) -> SqliteError {
    let message = format!("unable to open database file: its {suffix}: {reason}");
    SqliteError::new(SqliteError::CANNOT_OPEN, message)
}

/// Refuses a journal that names another file: that of a transaction over several databases,
/// of which SQLite would remove the file that is named. None is made here.
fn check_journal(journal: &Path) -> Result<(), SqliteError> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let bad_journal = |reason: &str| bad_companion("-journal", reason);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
        .open(journal);
    let mut journal = match opened {
        Ok(journal) => journal,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(bad_journal(&error.to_string())),
    };
    let mut ends = || -> io::Result<([u8; 8], [u8; 8])> {
        let mut ends = ([0; 8], [0; 8]);
        if journal.metadata()?.len() >= 16 {
            journal.read_exact(&mut ends.0)?;
            journal.seek(SeekFrom::End(-8))?;
            journal.read_exact(&mut ends.1)?;
        }
        Ok(ends)
    };
    match ends() {
        Ok((first, last)) if first == MAGIC && last == MAGIC => Err(bad_journal(
            "it belongs to a transaction over several databases",
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(bad_journal(&error.to_string())),
    }
}

/// Limits what statements can do, and what they may take.
fn limit(connection: &Connection, limits: &SqliteLimits) -> Result<(), SqliteError> {
    let value = i32::try_from(limits.max_value_bytes).unwrap_or(i32::MAX);
    for (limit, highest) in [
        (Limit::SQLITE_LIMIT_LENGTH, value),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES as i32),
        (Limit::SQLITE_LIMIT_COLUMN, 1000),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, MAX_PARAMETERS as i32),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 200),
        (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
        // The one that VACUUM needs.
        (Limit::SQLITE_LIMIT_ATTACHED, 1),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 50),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, highest)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(OWN_STATEMENTS);
    Ok(())
}

/// Returns how long the text of the schema is, in bytes.
///
/// - `with_temporary`: whether there may be temporary tables.
///
/// # Errors
///
/// Fails if the file cannot be read now, since it is locked or no database.
pub(crate) fn schema_length(
    connection: &Connection,
    with_temporary: bool,
) -> Result<u64, rusqlite::Error> {
    // A name takes some bytes even if there is no text.
    let length = |schema: &str| {
        let sql = format!("SELECT total(octet_length(sql) + 64) FROM {schema}.sqlite_schema");
        connection.query_row(&sql, [], |row| row.get::<_, f64>(0))
    };
    let temporary = match with_temporary {
        true => length("temp")?,
        false => 0.0,
    };
    Ok((length("main")? + temporary) as u64)
}

/// SQLite empties the log when it has so many pages.
const DEFAULT_CHECKPOINT: u64 = 1000;

/// Limits the size of a database, and of its cache, since a file can ask for a larger one. Until
/// it is known how large its pages are, the limit is that with which SQLite was compiled.
///
/// - `max_bytes`: how large it may be.
///
/// # Errors
///
/// Fails if the file cannot be read now, since it is locked or no database.
pub(crate) fn limit_size(connection: &Connection, max_bytes: u64) -> Result<(), SqliteError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    // To count what is in it is to read it.
    number("SELECT count(*) FROM sqlite_schema")?;
    let page_size = number("PRAGMA page_size")?;
    let pages = max_bytes / u64::try_from(page_size).unwrap_or(4096).max(512);
    let pages = pages.clamp(1, u64::from(u32::MAX - 1));
    number(&format!("PRAGMA max_page_count = {pages}"))?;
    connection.execute_batch(&format!("PRAGMA main.cache_size = -{CACHE_KIB}"))?;
    // The log has the same limit: it is emptied long before it is full.
    if pages < 4 * DEFAULT_CHECKPOINT {
        let pages = (pages / 4).max(1);
        number(&format!("PRAGMA wal_autocheckpoint = {pages}"))?;
    }
    Ok(())
}

/// The longest text of a statement, in bytes.
pub(crate) const MAX_SQL_BYTES: usize = 1 << 20;
