//! The entries of a directory.

use std::ffi::CStr;
use std::io;

use rustix::fs::{Mode, OFlags, openat};

use crate::metadata::Kind;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, which can be `.` or `..`.
    pub name: String,
    /// The number of the file on its device.
    pub inode: u64,
    /// The kind of file.
    pub kind: Kind,
    /// The position behind this entry, from which a listing can go on.
    pub next: u64,
}

/// Reads at most `max` entries from the position `from` on. If there are fewer, the
/// directory has no more.
///
/// Positions are those of the file system, so nothing has to be kept between two calls,
/// and entries that are added or removed meanwhile do not change the others.
pub(crate) fn list(dir: &cap_std::fs::Dir, from: u64, max: usize) -> io::Result<Vec<Entry>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::Dir::new(openat(dir, c".", flags, Mode::empty())?)?;
    if from > 0 {
        let place = i64::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?;
        dir.seek(place)?;
    }
    let mut entries = Vec::new();
    while entries.len() < max
        && let Some(entry) = dir.read()
    {
        let entry = entry?;
        // A name that is not UTF-8 could not be used in any path.
        if let Some(name) = text(entry.file_name()) {
            entries.push(Entry {
                name,
                inode: entry.ino(),
                kind: entry.file_type().into(),
                next: entry.offset() as u64,
            });
        }
    }
    Ok(entries)
}

fn text(name: &CStr) -> Option<String> {
    name.to_str().ok().map(str::to_owned)
}
