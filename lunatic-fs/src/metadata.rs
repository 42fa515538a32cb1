//! The metadata of a file.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{FileType, FileTypeExt, MetadataExt};

/// The metadata of a file; it corresponds to [`std::fs::Metadata`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// The device that it is on.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// The kind of file.
    pub kind: Kind,
    /// The number of its names.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last read.
    pub accessed: SystemTime,
    /// When its content was last changed.
    pub modified: SystemTime,
    /// When its content or its metadata were last changed.
    pub changed: SystemTime,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device that is read in blocks.
    BlockDevice,
    /// A device that is read byte by byte.
    CharacterDevice,
    /// A socket.
    Socket,
    /// A pipe, or an unknown kind.
    Other,
}

impl Metadata {
    /// Reads the metadata of an open file or directory.
    pub(crate) fn of(file: &fs::File) -> io::Result<Metadata> {
        file.metadata().map(Metadata::from)
    }
}

impl From<cap_std::fs::Metadata> for Metadata {
    fn from(host: cap_std::fs::Metadata) -> Metadata {
        Metadata {
            device: host.dev(),
            inode: host.ino(),
            kind: host.file_type().into(),
            links: host.nlink(),
            size: host.size(),
            accessed: time(host.atime(), host.atime_nsec()),
            modified: time(host.mtime(), host.mtime_nsec()),
            changed: time(host.ctime(), host.ctime_nsec()),
        }
    }
}

impl From<fs::Metadata> for Metadata {
    fn from(host: fs::Metadata) -> Metadata {
        cap_std::fs::Metadata::from_just_metadata(host).into()
    }
}

impl From<FileType> for Kind {
    fn from(host: FileType) -> Kind {
        match host {
            _ if host.is_file() => Kind::File,
            _ if host.is_dir() => Kind::Dir,
            _ if host.is_symlink() => Kind::Symlink,
            _ if host.is_block_device() => Kind::BlockDevice,
            _ if host.is_char_device() => Kind::CharacterDevice,
            _ if host.is_socket() => Kind::Socket,
            _ => Kind::Other,
        }
    }
}

impl From<rustix::fs::FileType> for Kind {
    fn from(host: rustix::fs::FileType) -> Kind {
        use rustix::fs::FileType;
        match host {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::CharacterDevice => Kind::CharacterDevice,
            FileType::Socket => Kind::Socket,
            FileType::Fifo | FileType::Unknown => Kind::Other,
        }
    }
}

/// Converts a time of the host, whose nanoseconds count forward even before 1970.
fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let rest = Duration::from_nanos(nanoseconds.unsigned_abs());
    let start = match seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        ..0 => UNIX_EPOCH.checked_sub(whole),
    };
    start
        .and_then(|start| start.checked_add(rest))
        .unwrap_or(UNIX_EPOCH)
}
