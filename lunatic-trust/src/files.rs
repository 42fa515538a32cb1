//! Files that are read up to a limit and written as a whole.

use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::fingerprint::to_hex;

/// The longest file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A file that could not be read or written.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What could not be done with it: `read`, for example.
    pub action: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// Whether the file is not there.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, self.path.display())
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads a file of at most [`MAX_FILE_BYTES`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let bounded = || {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {MAX_FILE_BYTES} bytes"),
            ));
        }
        Ok(bytes)
    };
    bounded().map_err(|error| FileError::new(path, "read", error))
}

/// Writes a file so that others find the earlier one or all of the new one, also after a
/// crash.
///
/// - `mode`: who may read it, 0o600 for what is secret.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = path.parent().filter(|parent| *parent != "");
    let directory = directory.unwrap_or(Path::new("."));
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| FileError::new(path, "write", io::Error::other(error)))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", to_hex(&random)));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    })();
    written.map_err(|error| {
        // It may be there no more.
        let _ = fs::remove_file(&temporary);
        FileError::new(path, "write", error)
    })
}

/// Makes a directory that only its owner may enter, and those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| FileError::new(path, "create", error))
}

/// Waits until no other process, and no other thread, holds the lock of `path`; it is held
/// until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
    let locked = || {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(|error| FileError::new(path, "lock", error))
}
