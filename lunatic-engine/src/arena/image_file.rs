//! A file that holds an image, to be mapped.

use std::fs::File;
use std::io::Write;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::system;

/// A file in memory that holds an image.
///
/// Each takes a file descriptor of the program, of which whoever may compile modules could
/// otherwise take all. So there is a highest number of them; images beyond it are copied.
#[derive(Debug)]
pub(super) struct ImageFile {
    file: File,
    counted: &'static Count,
}

/// How many files there are.
#[derive(Debug)]
struct Count(AtomicUsize);

/// The highest number of files at once.
const MAX_FILES: usize = 256;

static FILES: Count = Count(AtomicUsize::new(0));

impl ImageFile {
    /// Makes a file with these bytes, or returns `None` if there are too many, or the
    /// kernel does not make it.
    pub(super) fn new(bytes: &[u8]) -> Option<ImageFile> {
        FILES.file(bytes)
    }
}

impl Count {
    fn file(&'static self, bytes: &[u8]) -> Option<ImageFile> {
        let one_more = |files| (files < MAX_FILES).then_some(files + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let file = system::memory_file().inspect_err(|_| self.give_back());
        let mut file = ImageFile {
            file: file.ok()?,
            counted: self,
        };
        file.file.write_all(bytes).ok()?;
        Some(file)
    }

    fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for ImageFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        self.counted.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_files_than_there_may_be() {
        static FILES: Count = Count(AtomicUsize::new(0));
        let files: Vec<_> = (0..MAX_FILES).map_while(|_| FILES.file(b"x")).collect();
        assert_eq!(files.len(), MAX_FILES);
        assert!(FILES.file(b"x").is_none());
        drop(files);
        assert!(FILES.file(b"x").is_some());
    }
}
