//! What FTS5 is not to compute, as it would take too long, and not be interrupted.
//!
//! Its functions are called where no statement names them, too: by the hidden column `rank`, as
//! the query or the table wants it.
#![allow(
    unsafe_code,
    reason = "FTS5 is told of functions at an address that SQLite gives, and calls them"
)]

use std::ffi::{c_int, c_void};
use std::ptr;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Error, Result, ffi};

/// Has FTS5 refuse `snippet`, which looks at all hits of a text for each of them.
pub(crate) fn refuse_snippet(connection: &Connection) -> Result<()> {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    let to_api = ToSqlOutput::Pointer(((&raw mut api).cast::<c_void>(), c"fts5_api_ptr", None));
    // Unlike any `SELECT`, this does not read the file, which may be locked now. It fails then, as
    // what the function returns is no name of a file.
    let called = connection.execute("VACUUM INTO fts5(?1)", [to_api]);
    if api.is_null() {
        return Err(called.err().unwrap_or_else(|| failure(ffi::SQLITE_ERROR)));
    }
    // SAFETY: FTS5 has just written the address, at which its functions are as long as the
    // connection is open.
    let create = unsafe { (*api).xCreateFunction }.ok_or_else(|| failure(ffi::SQLITE_ERROR))?;
    // SAFETY: it copies the name, and takes the new function before its own of that name. There is
    // no data of the function, and nothing to be done when it is removed.
    let code = unsafe {
        let name = c"snippet".as_ptr();
        create(api, name, ptr::null_mut(), Some(refuse), None)
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(failure(code)),
    }
}

fn failure(code: c_int) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// What FTS5 calls instead of its own function.
unsafe extern "C" fn refuse(
    _api: *const ffi::Fts5ExtensionApi,
    _cursor: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    _arguments: c_int,
    _values: *mut *mut ffi::sqlite3_value,
) {
    let message = c"snippet() is refused, as it may take hours";
    // SAFETY: FTS5 gives the context of the call; SQLite copies the message, which ends with a 0.
    unsafe { ffi::sqlite3_result_error(context, message.as_ptr(), -1) };
}
