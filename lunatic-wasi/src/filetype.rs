//! The types of files in preview 1.

use lunatic_fs::Kind;

/// A type of file, with the number that the specification gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FileType {
    /// What has no number of its own, a pipe for example.
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl FileType {
    /// Returns the type of a standard stream.
    pub(crate) fn of_stream(is_terminal: bool) -> FileType {
        match is_terminal {
            true => FileType::CharacterDevice,
            false => FileType::Unknown,
        }
    }
}

impl From<Kind> for FileType {
    fn from(kind: Kind) -> FileType {
        match kind {
            Kind::File => FileType::RegularFile,
            Kind::Dir => FileType::Directory,
            Kind::Symlink => FileType::SymbolicLink,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::CharacterDevice => FileType::CharacterDevice,
            Kind::Socket => FileType::SocketStream,
            _ => FileType::Unknown,
        }
    }
}
