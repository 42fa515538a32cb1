//! Whether a file is the one that it was.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells that a file was written, or that another one is in its place. Its time of
/// modification does not: whoever writes it can set that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    /// When the file or something about it was changed, in seconds and nanoseconds.
    changed: (i64, i64),
    length: u64,
}

impl Stamp {
    /// `None` if there is no such file.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        fs::metadata(path)
            .ok()
            .map(|metadata| Stamp::new(&metadata))
    }

    pub(super) fn new(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::fs::File;
    use std::io::Write as _;
    use std::thread;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    /// Writes a file with a given time of modification.
    fn write(path: &Path, content: &[u8]) {
        let mut file = File::create(path).unwrap();
        file.write_all(content).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn a_file_is_another_one_though_length_and_time_of_modification_are_the_same() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("app.wasm");
        write(&path, b"one");
        let one = Stamp::of(&path);
        assert_eq!(Stamp::of(&path), one);
        // The clock of a file system may be this coarse.
        thread::sleep(Duration::from_millis(50));
        write(&path, b"two");
        let two = Stamp::of(&path);
        assert_ne!(two, one);
        let other = directory.path().join("other.wasm");
        write(&other, b"six");
        fs::rename(&other, &path).unwrap();
        assert_ne!(Stamp::of(&path), two);
    }
}
