//! A part of a file that is mapped to be read.
#![allow(unsafe_code, reason = "reads what is mapped")]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::slice;

use crate::arena::system;
use crate::sealed_file::SealedFile;

/// A part of a file, mapped to be read.
#[derive(Debug)]
pub(super) struct FileMapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: what is mapped is only read.
unsafe impl Send for FileMapping {}
// SAFETY: as above.
unsafe impl Sync for FileMapping {}

impl FileMapping {
    /// Maps a part of a file that is not empty.
    ///
    /// - `part`: from the start of a page on, to the end of the file at most.
    ///
    /// # Errors
    ///
    /// Fails if the part is not in the file, does not begin with a page, or is not mapped.
    pub(super) fn new(file: &SealedFile, part: &Range<u64>) -> io::Result<FileMapping> {
        if part.is_empty() || part.end > file.len() {
            return Err(io::Error::other("no such part is in the file"));
        }
        let bytes = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
        let file: &File = file.as_file();
        // SAFETY: the part was just found to be in the file, which is never changed.
        let start = unsafe { system::map_to_read(file, part.start, bytes) }?;
        Ok(FileMapping { start, bytes })
    }
}

impl Deref for FileMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped as long as this is there, and a sealed file does
        // not change.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody reads it any more.
        unsafe { system::unmap(self.start, self.bytes) };
    }
}
