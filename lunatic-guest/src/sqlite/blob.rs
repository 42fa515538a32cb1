//! Blobs that are read and written in pieces.

use crate::sqlite::connection::Connection;
use crate::sqlite::error::{Error, Result};
use crate::sys::sqlite as sys;

/// A blob in a row of a table. Nothing of it is kept in memory.
#[derive(Debug, Clone)]
pub struct Blob<'c> {
    connection: &'c Connection,
    table: String,
    column: String,
    rowid: i64,
}

impl<'c> Blob<'c> {
    /// Names a blob; whether it is there is found when it is used.
    pub fn new(connection: &'c Connection, table: &str, column: &str, rowid: i64) -> Self {
        Blob {
            connection,
            table: table.to_owned(),
            column: column.to_owned(),
            rowid,
        }
    }

    /// Returns how many bytes it has.
    ///
    /// # Errors
    ///
    /// If there is no such blob.
    pub fn size(&self) -> Result<u64> {
        let (code, size) = sys::blob_size(self.connection.id(), self.place());
        self.connection.check(code)?;
        Ok(size)
    }

    /// Reads from `offset` on until `bytes` is full or the blob ends, and returns how many.
    ///
    /// # Errors
    ///
    /// If there is no such blob.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            let offset = offset + read as u64;
            let rest = &mut bytes[read..];
            let (code, used) = sys::blob_read(self.connection.id(), self.place(), offset, rest);
            self.connection.check(code)?;
            if used == 0 {
                break;
            }
            read += used;
        }
        Ok(read)
    }

    /// Writes from `offset` on. The blob keeps its size: `zeroblob(n)` makes one.
    ///
    /// # Errors
    ///
    /// If there is no such blob, or it ends before.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let offset = offset + written as u64;
            let rest = &bytes[written..];
            let (code, used) = sys::blob_write(self.connection.id(), self.place(), offset, rest);
            self.connection.check(code)?;
            if used == 0 {
                return Err(Error {
                    code: 1,
                    message: "nothing was written".to_owned(),
                });
            }
            written += used;
        }
        Ok(())
    }

    fn place(&self) -> sys::BlobPlace<'_> {
        (&self.table, &self.column, self.rowid)
    }
}
