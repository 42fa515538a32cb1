//! The entries of a directory.

use std::ffi::CStr;
use std::io;

use lunatic_account::Charge;
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

/// A directory that is being listed.
///
/// Positions are those of the file system, so nothing has to be kept from one listing to
/// the next that goes on where it ended, and entries that are added or removed meanwhile
/// do not change the others.
#[derive(Debug)]
pub(crate) struct Stream {
    dir: rustix::fs::Dir,
    /// What is charged for it until it is closed.
    _charge: Option<Charge>,
}

impl Stream {
    /// Opens a directory, to list it from a position on.
    ///
    /// - `charge`: what is charged until it is closed.
    pub(crate) fn open(
        dir: &cap_std::fs::Dir,
        from: u64,
        charge: Option<Charge>,
    ) -> io::Result<Stream> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut dir = rustix::fs::Dir::new(openat(dir, c".", flags, Mode::empty())?)?;
        if from > 0 {
            let place = i64::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?;
            dir.seek(place)?;
        }
        Ok(Stream {
            dir,
            _charge: charge,
        })
    }

    /// Reads the next `max` entries, and returns those of them whose names are UTF-8: the
    /// others could not be used in any path. Returns `None` if there are no more.
    pub(crate) fn next(&mut self, max: usize) -> io::Result<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        for number in 0..max {
            let entry = match self.dir.read() {
                Some(entry) => entry?,
                None if number == 0 => return Ok(None),
                None => break,
            };
            if let Some(name) = text(entry.file_name()) {
                entries.push(Entry {
                    name,
                    inode: entry.ino(),
                    kind: entry.file_type().into(),
                    next: entry.offset() as u64,
                });
            }
        }
        Ok(Some(entries))
    }
}

fn text(name: &CStr) -> Option<String> {
    name.to_str().ok().map(str::to_owned)
}
