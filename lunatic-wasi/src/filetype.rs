//! What preview 1 calls a type of file.

use lunatic_fs::Kind;

/// What preview 1 calls a type of file; the numbers are the specification's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FileType {
    /// Also pipes, which have no number of their own.
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl FileType {
    /// The type of a standard stream.
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
