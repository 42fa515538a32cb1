//! Blobs in pieces.

use lunatic_abi::{Guest, host_functions};
use wasmtime::{Caller, Result};

use crate::error::SqliteError;
use crate::guest::SqliteHost;
use crate::guest::connections::charged;
use crate::job::{BlobAccess, BlobPart, BlobPlace};

host_functions! {
    pub(super) fn add_to_linker<T: SqliteHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::sqlite" {
        async fn blob_size(
            conn_id: u64, table_ptr: u32, table_len: u32, column_ptr: u32, column_len: u32,
            rowid: i64, size_ptr: u32
        ) -> u32;
        async fn blob_read(
            conn_id: u64, table_ptr: u32, table_len: u32, column_ptr: u32, column_len: u32,
            rowid: i64, offset: u64, ptr: u32, len: u32, used_ptr: u32
        ) -> u32;
        async fn blob_write(
            conn_id: u64, table_ptr: u32, table_len: u32, column_ptr: u32, column_len: u32,
            rowid: i64, offset: u64, ptr: u32, len: u32, used_ptr: u32
        ) -> u32;
    }
}

/// So many bytes are read or written by one call.
const MAX_PIECE: u32 = 1 << 20;

/// The longest name of a table or column, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 1024;

/// `lunatic::sqlite::blob_size` (ABI §28.3): writes the size of a blob, a `u64`, to `size_ptr`.
/// Returns 0 or SQLite's result code.
///
/// Traps on an unknown id, a bad address, a name that is not UTF-8 or too long.
async fn blob_size<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    table_ptr: u32,
    table_len: u32,
    column_ptr: u32,
    column_len: u32,
    rowid: i64,
    size_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(size_ptr)?;
    let names = [(table_ptr, table_len), (column_ptr, column_len)];
    let place = place(&mut caller, names, rowid)?;
    let part = access(&mut caller, conn_id, place, BlobAccess::Size).await?;
    if let Ok(part) = &part {
        caller.write_u64(size_ptr, part.size)?;
    }
    Ok(note(&mut caller, conn_id, part))
}

/// `lunatic::sqlite::blob_read` (ABI §28.3): reads a part of a blob, less than `len` bytes at
/// its end or if that is more than 1 MiB, and writes how many, a `u32`, to `used_ptr`. Returns
/// 0 or SQLite's result code.
///
/// Traps on an unknown id, a bad address, a name that is not UTF-8 or too long.
async fn blob_read<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    table_ptr: u32,
    table_len: u32,
    column_ptr: u32,
    column_len: u32,
    rowid: i64,
    offset: u64,
    ptr: u32,
    len: u32,
    used_ptr: u32,
) -> Result<u32> {
    caller.bytes(ptr, len)?;
    caller.write_u32(used_ptr, 0)?;
    let names = [(table_ptr, table_len), (column_ptr, column_len)];
    let place = place(&mut caller, names, rowid)?;
    let max = len.min(MAX_PIECE) as usize;
    let read = BlobAccess::Read { offset, max };
    let part = access(&mut caller, conn_id, place, read).await?;
    if let Ok(part) = &part {
        caller.write(ptr, &part.bytes)?;
        caller.write_u32(used_ptr, part.bytes.len() as u32)?;
    }
    Ok(note(&mut caller, conn_id, part))
}

/// `lunatic::sqlite::blob_write` (ABI §28.3): writes a part of a blob, which keeps its size, at
/// most 1 MiB, and writes how many bytes, a `u32`, to `used_ptr`. Returns 0 or SQLite's result
/// code.
///
/// Traps on an unknown id, a bad address, a name that is not UTF-8 or too long.
async fn blob_write<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    table_ptr: u32,
    table_len: u32,
    column_ptr: u32,
    column_len: u32,
    rowid: i64,
    offset: u64,
    ptr: u32,
    len: u32,
    used_ptr: u32,
) -> Result<u32> {
    caller.bytes(ptr, len)?;
    caller.write_u32(used_ptr, 0)?;
    let names = [(table_ptr, table_len), (column_ptr, column_len)];
    let place = place(&mut caller, names, rowid)?;
    let used = len.min(MAX_PIECE);
    let bytes = caller.bytes(ptr, used)?.to_vec();
    let write = BlobAccess::Write { offset, bytes };
    let part = access(&mut caller, conn_id, place, write).await?;
    if part.is_ok() {
        caller.write_u32(used_ptr, used)?;
    }
    Ok(note(&mut caller, conn_id, part))
}

fn place<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    [table, column]: [(u32, u32); 2],
    rowid: i64,
) -> Result<BlobPlace> {
    let mut name = |(ptr, len)| -> Result<String> {
        Ok(caller.text_within(ptr, len, MAX_NAME_BYTES)?.to_owned())
    };
    Ok(BlobPlace {
        table: name(table)?,
        column: name(column)?,
        rowid,
    })
}

async fn access<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    conn_id: u64,
    place: BlobPlace,
    access: BlobAccess,
) -> Result<Result<BlobPart, SqliteError>> {
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let connection = connection.connection.clone();
    let bytes = match &access {
        BlobAccess::Size => 0,
        BlobAccess::Read { max, .. } => *max,
        BlobAccess::Write { bytes, .. } => bytes.len(),
    };
    let _charge = match charged(caller, bytes) {
        Ok(charge) => charge,
        Err(error) => return Ok(Err(error)),
    };
    let (part, status) = caller.wait(connection.blob(place, access)).await;
    caller.data_mut().sqlite().set_status(conn_id, status);
    Ok(part)
}

fn note<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    conn_id: u64,
    part: Result<BlobPart, SqliteError>,
) -> u32 {
    let sqlite = caller.data_mut().sqlite();
    sqlite.note(conn_id, part.map(|_| ()))
}
