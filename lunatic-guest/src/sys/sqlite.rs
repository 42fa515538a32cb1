//! The imported functions on databases.

use crate::sys::with_id;

mod host {
    #[link(wasm_import_module = "lunatic::sqlite")]
    extern "C" {
        pub(super) fn open(path: *const u8, len: usize, id: *mut u64) -> u64;
        pub(super) fn execute(connection: u64, sql: *const u8, len: usize) -> u32;
        pub(super) fn close(connection: u64);
        pub(super) fn changes(connection: u64) -> u64;
        pub(super) fn last_insert_rowid(connection: u64) -> i64;
        pub(super) fn in_transaction(connection: u64) -> u32;
        pub(super) fn set_busy_timeout(connection: u64, timeout: u64);
        pub(super) fn set_query_time(connection: u64, time: u64);
        pub(super) fn error_code(connection: u64) -> u32;
        pub(super) fn error_message(connection: u64, text: *mut u8, len: usize) -> u32;
        pub(super) fn prepare(connection: u64, sql: *const u8, len: usize, id: *mut u64) -> u32;
        pub(super) fn bind(statement: u64, values: *const u8, len: usize) -> u32;
        pub(super) fn fetch(statement: u64, rows: *mut u8, len: usize, used: *mut u32) -> u32;
        pub(super) fn names(statement: u64, names: *mut u8, len: usize) -> u32;
        pub(super) fn statement_reset(statement: u64);
        pub(super) fn sqlite3_finalize(statement: u64);
        pub(super) fn blob_size(
            connection: u64,
            table: *const u8,
            table_len: usize,
            column: *const u8,
            column_len: usize,
            rowid: i64,
            size: *mut u64,
        ) -> u32;
        pub(super) fn blob_read(
            connection: u64,
            table: *const u8,
            table_len: usize,
            column: *const u8,
            column_len: usize,
            rowid: i64,
            offset: u64,
            bytes: *mut u8,
            len: usize,
            used: *mut u32,
        ) -> u32;
        pub(super) fn blob_write(
            connection: u64,
            table: *const u8,
            table_len: usize,
            column: *const u8,
            column_len: usize,
            rowid: i64,
            offset: u64,
            bytes: *const u8,
            len: usize,
            used: *mut u32,
        ) -> u32;
        pub(super) fn watch(
            connection: u64,
            table: *const u8,
            table_len: usize,
            tag: i64,
            id: *mut u64,
        ) -> u32;
        pub(super) fn unwatch(watch: u64);
    }
}

/// Table, column and row of a blob.
pub(crate) type BlobPlace<'a> = (&'a str, &'a str, i64);

pub(crate) fn open(path: &str) -> (u32, u64) {
    // SAFETY: `path` is as long as is said.
    with_id(|id| unsafe { host::open(path.as_ptr(), path.len(), id) } as u32)
}

pub(crate) fn execute(connection: u64, sql: &str) -> u32 {
    // SAFETY: `sql` is as long as is said.
    unsafe { host::execute(connection, sql.as_ptr(), sql.len()) }
}

pub(crate) fn close(connection: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::close(connection) }
}

pub(crate) fn changes(connection: u64) -> u64 {
    // SAFETY: no memory is touched.
    unsafe { host::changes(connection) }
}

pub(crate) fn last_insert_rowid(connection: u64) -> i64 {
    // SAFETY: no memory is touched.
    unsafe { host::last_insert_rowid(connection) }
}

pub(crate) fn in_transaction(connection: u64) -> bool {
    // SAFETY: no memory is touched.
    unsafe { host::in_transaction(connection) != 0 }
}

pub(crate) fn set_busy_timeout(connection: u64, milliseconds: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::set_busy_timeout(connection, milliseconds) }
}

pub(crate) fn set_query_time(connection: u64, milliseconds: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::set_query_time(connection, milliseconds) }
}

/// The extended code of the last result, and its message.
pub(crate) fn error(connection: u64) -> (u32, String) {
    // SAFETY: no memory is touched.
    let code = unsafe { host::error_code(connection) };
    let text = sized(|bytes| {
        // SAFETY: no more is written than there is room.
        unsafe { host::error_message(connection, bytes.as_mut_ptr(), bytes.len()) }
    });
    (code, String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn prepare(connection: u64, sql: &str) -> (u32, u64) {
    // SAFETY: `sql` is as long as is said.
    with_id(|id| unsafe { host::prepare(connection, sql.as_ptr(), sql.len(), id) })
}

pub(crate) fn bind(statement: u64, values: &[u8]) -> u32 {
    // SAFETY: `values` is as long as is said.
    unsafe { host::bind(statement, values.as_ptr(), values.len()) }
}

/// The result, and how many bytes of rows there are, or would be.
pub(crate) fn fetch(statement: u64, rows: &mut [u8]) -> (u32, usize) {
    let mut used = 0;
    // SAFETY: no more is written than there is room.
    let code = unsafe { host::fetch(statement, rows.as_mut_ptr(), rows.len(), &mut used) };
    (code, used as usize)
}

pub(crate) fn names(statement: u64) -> Vec<u8> {
    sized(|bytes| {
        // SAFETY: no more is written than there is room.
        unsafe { host::names(statement, bytes.as_mut_ptr(), bytes.len()) }
    })
}

pub(crate) fn reset(statement: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::statement_reset(statement) }
}

pub(crate) fn finalize(statement: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::sqlite3_finalize(statement) }
}

pub(crate) fn blob_size(connection: u64, (table, column, rowid): BlobPlace<'_>) -> (u32, u64) {
    // SAFETY: the names are as long as is said.
    with_id(|size| unsafe {
        host::blob_size(
            connection,
            table.as_ptr(),
            table.len(),
            column.as_ptr(),
            column.len(),
            rowid,
            size,
        )
    })
}

/// The result, and how many bytes were read.
pub(crate) fn blob_read(
    connection: u64,
    (table, column, rowid): BlobPlace<'_>,
    offset: u64,
    bytes: &mut [u8],
) -> (u32, usize) {
    let mut used = 0;
    // SAFETY: the names are as long as is said, and no more is written than there is room.
    let code = unsafe {
        host::blob_read(
            connection,
            table.as_ptr(),
            table.len(),
            column.as_ptr(),
            column.len(),
            rowid,
            offset,
            bytes.as_mut_ptr(),
            bytes.len(),
            &mut used,
        )
    };
    (code, used as usize)
}

/// The result, and how many bytes were written.
pub(crate) fn blob_write(
    connection: u64,
    (table, column, rowid): BlobPlace<'_>,
    offset: u64,
    bytes: &[u8],
) -> (u32, usize) {
    let mut used = 0;
    // SAFETY: the names and the bytes are as long as is said.
    let code = unsafe {
        host::blob_write(
            connection,
            table.as_ptr(),
            table.len(),
            column.as_ptr(),
            column.len(),
            rowid,
            offset,
            bytes.as_ptr(),
            bytes.len(),
            &mut used,
        )
    };
    (code, used as usize)
}

pub(crate) fn watch(connection: u64, table: &str, tag: i64) -> (u32, u64) {
    // SAFETY: `table` is as long as is said.
    with_id(|id| unsafe { host::watch(connection, table.as_ptr(), table.len(), tag, id) })
}

pub(crate) fn unwatch(watch: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::unwatch(watch) }
}

/// Asks for the size, and again with room for so much.
fn sized(ask: impl Fn(&mut [u8]) -> u32) -> Vec<u8> {
    let mut bytes = vec![0; ask(&mut []) as usize];
    ask(&mut bytes);
    bytes
}
