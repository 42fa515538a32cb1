//! What is known of a file without reading it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{FileType, FileTypeExt, MetadataExt};

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// The device that it is on.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last read.
    pub accessed: SystemTime,
    /// When its content was last changed.
    pub modified: SystemTime,
    /// When anything of it was last changed.
    pub changed: SystemTime,
}

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A file.
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
    /// A pipe, or something that is not known.
    Other,
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

impl From<std::fs::Metadata> for Metadata {
    fn from(host: std::fs::Metadata) -> Metadata {
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

/// A time of the host; nanoseconds always count forward.
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
