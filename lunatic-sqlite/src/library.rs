//! How SQLite is set up in a program, once.

use std::ffi::c_int;
use std::sync::LazyLock;

use rusqlite::{Connection, ffi};

use crate::error::SqliteError;
use crate::{allocator, files};

/// Sets SQLite up, as opening a database does, too. Whoever uses SQLite in the same program
/// without this crate calls it before: SQLite counts what it takes for each connection, and that
/// can only begin before it is used.
///
/// # Errors
///
/// [`SqliteError`] if SQLite was used before, or was compiled in another way than this crate
/// needs.
pub fn initialize() -> Result<(), SqliteError> {
    static OUTCOME: LazyLock<Result<(), SqliteError>> = LazyLock::new(|| {
        let failed = |code: c_int| {
            let message = "SQLite cannot be set up, for example since it was used before";
            SqliteError::new(code, message)
        };
        allocator::install().map_err(failed)?;
        files::register().map_err(failed)?;
        check_build()
    });
    OUTCOME.clone()
}

/// Checks that SQLite was compiled as it has to be.
fn check_build() -> Result<(), SqliteError> {
    let options = compile_options().unwrap_or_default();
    let wanted = [
        "DEFAULT_CACHE_SIZE=-512",
        "DEFAULT_MEMSTATUS=0",
        "MAX_MMAP_SIZE=0",
        "MAX_PAGE_COUNT=16384",
        "OMIT_LOAD_EXTENSION",
        "SORTER_PMASZ=64",
        "STMTJRNL_SPILL=-1",
        "TEMP_STORE=0",
    ];
    let is_missing = |wanted: &&str| !options.iter().any(|option| option == wanted);
    match wanted.into_iter().find(is_missing) {
        None => Ok(()),
        Some(option) => Err(SqliteError::new(
            ffi::SQLITE_MISUSE,
            format!("SQLite was compiled without {option}: see .cargo/config.toml"),
        )),
    }
}

fn compile_options() -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_in_memory()?;
    let mut options = connection.prepare("PRAGMA compile_options")?;
    let options = options.query_map([], |row| row.get(0))?;
    options.collect()
}
