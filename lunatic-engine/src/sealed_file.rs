//! Files that are written once, as a whole, and can be trusted afterwards.

use std::fs::{DirBuilder, File, FileTimes, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::geteuid;

/// The extension of files that are being written.
pub(crate) const UNFINISHED: &str = "unfinished";

/// An open file that no other user can have written, and that was not written to since it was
/// complete.
///
/// When the contents of a file are on the disk, its time of modification is set to one in the past.
/// Writing to the file or truncating it changes that time, and so does a copy that does not
/// preserve it; so damage is found without reading the file. Like the other programs of a user, the
/// file is not protected from programs with the rights of this user: they can set that time, too.
#[derive(Debug)]
pub(crate) struct SealedFile {
    file: File,
    metadata: Metadata,
}

/// The time of modification of a whole file: the second 1 000 000 000 of the epoch, which every
/// file system can store.
fn sealed() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

/// Makes a directory that only this user has access to, if it is not there.
///
/// # Errors
///
/// Fails if it cannot be made.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl SealedFile {
    /// Opens the file at a path.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened, somebody else can write to it, or it was written to.
    pub(crate) fn open(path: &Path) -> io::Result<SealedFile> {
        // To open what is no file, such as a pipe, must not wait.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let others_write = metadata.permissions().mode() & 0o022 != 0;
        if others_write || metadata.uid() != geteuid().as_raw() {
            return Err(io::Error::other("others than this user can write to it"));
        }
        if metadata.modified()? != sealed() {
            return Err(io::Error::other("it was written to, or is not whole"));
        }
        Ok(SealedFile { file, metadata })
    }

    /// Writes a file, which replaces an existing one, and seals it.
    ///
    /// - `parts`: the contents of the file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written; an existing file stays then.
    pub(crate) fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        // Another program may be writing the same file.
        let number = RandomState::new().hash_one(());
        let unfinished = path.with_extension(format!("{number:016x}.{UNFINISHED}"));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        fill(&file, parts)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .inspect_err(|_| drop(std::fs::remove_file(&unfinished)))
    }

    pub(crate) fn as_file(&self) -> &File {
        &self.file
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        self.read_end(self.len())
    }

    /// The last bytes, `most` of them if it has as many.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub(crate) fn read_end(&self, most: u64) -> io::Result<Vec<u8>> {
        let start = self.len().saturating_sub(most);
        let mut bytes = vec![0; (self.len() - start) as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    /// Notes that the file is used, by its time of access, which not all file systems keep by
    /// themselves; once a day, as that is written to the disk.
    pub(crate) fn note_use(&self) {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let now = SystemTime::now();
        let is_old = |accessed| now.duration_since(accessed).is_ok_and(|age| age > DAY);
        if self.metadata.accessed().is_ok_and(is_old) {
            // Without it, the file is forgotten earlier than others.
            self.file.set_times(FileTimes::new().set_accessed(now)).ok();
        }
    }
}

/// Writes the contents of a file, and seals it when they are on the disk: after a loss of power
/// before that, it has another time.
fn fill(mut file: &File, parts: &[&[u8]]) -> io::Result<()> {
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_data()?;
    let times = FileTimes::new()
        .set_accessed(SystemTime::now())
        .set_modified(sealed());
    file.set_times(times)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn written() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.kept");
        SealedFile::write(&path, &[b"first ", b"second"]).expect("the directory is ours");
        (directory, path)
    }

    #[test]
    fn what_was_written_is_read_and_nobody_else_can() {
        let (directory, path) = written();
        let file = SealedFile::open(&path).expect("it is whole");
        assert_eq!(file.read().expect("it is there"), b"first second");
        assert_eq!(file.read_end(3).expect("it is there"), b"ond");
        assert_eq!(file.read_end(100).expect("it is there"), b"first second");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(directory.path()).expect("it is there");
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn a_file_that_was_written_to_is_not_opened() {
        let changes: [fn(&File); 4] = [
            |file| file.write_all_at(b"x", 3).expect("the file is ours"),
            |file| file.write_all_at(b"x", 12).expect("the file is ours"),
            |file| file.set_len(3).expect("the file is ours"),
            |file| file.set_len(0).expect("the file is ours"),
        ];
        for change in changes {
            let (_directory, path) = written();
            let file = File::options().write(true).open(&path);
            change(&file.expect("the file is ours"));
            assert!(SealedFile::open(&path).is_err());
        }
    }

    #[test]
    fn a_file_that_others_can_write_to_is_not_opened() {
        for mode in [0o620, 0o602, 0o666] {
            let (_directory, path) = written();
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(&path, permissions).expect("the file is ours");
            assert!(SealedFile::open(&path).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let (directory, path) = written();
        assert!(SealedFile::open(directory.path()).is_err());
        fs::remove_file(&path).expect("the file is ours");
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        );
        made.expect("the directory is ours");
        assert!(SealedFile::open(&path).is_err());
    }

    #[test]
    fn a_file_that_is_used_after_a_day_is_used_today() {
        let (_directory, path) = written();
        let accessed = || {
            fs::metadata(&path)
                .and_then(|it| it.accessed())
                .expect("it is there")
        };
        let now = SystemTime::now();
        let hour = Duration::from_secs(60 * 60);
        let file = File::open(&path).expect("it is there");
        let used = |at| file.set_times(FileTimes::new().set_accessed(at));
        used(now - 25 * hour).expect("the file is ours");
        SealedFile::open(&path).expect("it is whole").note_use();
        assert!(accessed() > now - hour);
        used(now - 23 * hour).expect("the file is ours");
        SealedFile::open(&path).expect("it is whole").note_use();
        assert!(accessed() < now - 22 * hour);
        SealedFile::open(&path).expect("only its time of access has changed");
    }
}
