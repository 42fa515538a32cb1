//! A file that holds an image, to be mapped.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::system;
use crate::sealed_file::SealedFile;

/// A file that holds an image: one in memory, or a part of the one in which a module is kept.
///
/// Each takes a file descriptor of the program, and a guest that may compile modules could take all
/// of them. So their number is limited; further images are copied.
#[derive(Debug)]
pub(super) struct ImageFile {
    file: File,
    /// The position of the image in the file.
    offset: u64,
    _counted: Counted,
}

/// A file that counts against the limit.
#[derive(Debug)]
struct Counted(&'static Count);

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
        FILES.file(0, || {
            let mut file = system::memory_file()?;
            file.write_all(bytes)?;
            Ok(file)
        })
    }

    /// The file in which a module is kept, or `None` as for [`new`](ImageFile::new).
    ///
    /// - `offset`: where in the file the image begins.
    pub(super) fn kept(file: &SealedFile, offset: u64) -> Option<ImageFile> {
        FILES.file(offset, || file.as_file().try_clone())
    }

    /// The file, and where in it the image begins.
    pub(super) fn part(&self) -> (&File, u64) {
        (&self.file, self.offset)
    }
}

impl Count {
    fn file(
        &'static self,
        offset: u64,
        open: impl FnOnce() -> io::Result<File>,
    ) -> Option<ImageFile> {
        let one_more = |files| (files < MAX_FILES).then_some(files + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let counted = Counted(self);
        Some(ImageFile {
            file: open().ok()?,
            offset,
            _counted: counted,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_files_than_there_may_be() {
        static FILES: Count = Count(AtomicUsize::new(0));
        let files: Vec<_> = (0..MAX_FILES)
            .map_while(|_| FILES.file(0, system::memory_file))
            .collect();
        assert_eq!(files.len(), MAX_FILES);
        assert!(FILES.file(0, system::memory_file).is_none());
        drop(files);
        assert!(FILES.file(0, system::memory_file).is_some());
    }
}
