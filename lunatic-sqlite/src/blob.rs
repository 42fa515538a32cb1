//! A part of a blob is read or written.

use rusqlite::Connection;

use crate::error::SqliteError;
use crate::job::{BlobAccess, BlobPart, BlobPlace};

/// Reads or writes a part of a blob, or tells its size.
///
/// # Errors
///
/// [`SqliteError`] if there is no such blob, or what is written ends behind it.
pub(crate) fn access(
    connection: &Connection,
    place: &BlobPlace,
    access: &BlobAccess,
) -> Result<BlobPart, SqliteError> {
    let reads = !matches!(access, BlobAccess::Write { .. });
    let (table, column) = (place.table.as_str(), place.column.as_str());
    let mut blob = connection.blob_open("main", table, column, place.rowid, reads)?;
    let size = blob.len() as u64;
    let start = |offset: u64| usize::try_from(offset.min(size)).unwrap_or(usize::MAX);
    let mut part = BlobPart {
        size,
        bytes: Vec::new(),
    };
    match access {
        BlobAccess::Size => {}
        BlobAccess::Read { offset, max } => {
            let offset = start(*offset);
            let mut bytes = vec![0; (*max).min(blob.len() - offset)];
            if !bytes.is_empty() {
                blob.read_at_exact(&mut bytes, offset)?;
            }
            part.bytes = bytes;
        }
        BlobAccess::Write { offset, bytes } => {
            if offset.saturating_add(bytes.len() as u64) > size {
                let message = format!("the blob ends after {size} bytes");
                return Err(SqliteError::new(SqliteError::ERROR, message));
            }
            if !bytes.is_empty() {
                blob.write_at(bytes, start(*offset))?;
            }
        }
    }
    blob.close()?;
    Ok(part)
}
