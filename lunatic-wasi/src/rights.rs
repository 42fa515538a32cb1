//! What may be done with a file descriptor.

use std::ops::{BitAnd, BitOr};

/// What may be done with a file descriptor, with the bits of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights(u64);

impl Rights {
    pub(crate) const FD_DATASYNC: Rights = Rights(1 << 0);
    pub(crate) const FD_READ: Rights = Rights(1 << 1);
    pub(crate) const FD_SEEK: Rights = Rights(1 << 2);
    pub(crate) const FD_FDSTAT_SET_FLAGS: Rights = Rights(1 << 3);
    pub(crate) const FD_SYNC: Rights = Rights(1 << 4);
    pub(crate) const FD_TELL: Rights = Rights(1 << 5);
    pub(crate) const FD_WRITE: Rights = Rights(1 << 6);
    pub(crate) const FD_ADVISE: Rights = Rights(1 << 7);
    pub(crate) const FD_ALLOCATE: Rights = Rights(1 << 8);
    pub(crate) const PATH_CREATE_DIRECTORY: Rights = Rights(1 << 9);
    pub(crate) const PATH_CREATE_FILE: Rights = Rights(1 << 10);
    pub(crate) const PATH_LINK_SOURCE: Rights = Rights(1 << 11);
    pub(crate) const PATH_LINK_TARGET: Rights = Rights(1 << 12);
    pub(crate) const PATH_OPEN: Rights = Rights(1 << 13);
    pub(crate) const FD_READDIR: Rights = Rights(1 << 14);
    pub(crate) const PATH_READLINK: Rights = Rights(1 << 15);
    pub(crate) const PATH_RENAME_SOURCE: Rights = Rights(1 << 16);
    pub(crate) const PATH_RENAME_TARGET: Rights = Rights(1 << 17);
    pub(crate) const PATH_FILESTAT_GET: Rights = Rights(1 << 18);
    pub(crate) const PATH_FILESTAT_SET_SIZE: Rights = Rights(1 << 19);
    pub(crate) const PATH_FILESTAT_SET_TIMES: Rights = Rights(1 << 20);
    pub(crate) const FD_FILESTAT_GET: Rights = Rights(1 << 21);
    pub(crate) const FD_FILESTAT_SET_SIZE: Rights = Rights(1 << 22);
    pub(crate) const FD_FILESTAT_SET_TIMES: Rights = Rights(1 << 23);
    pub(crate) const PATH_SYMLINK: Rights = Rights(1 << 24);
    pub(crate) const PATH_REMOVE_DIRECTORY: Rights = Rights(1 << 25);
    pub(crate) const PATH_UNLINK_FILE: Rights = Rights(1 << 26);
    pub(crate) const POLL_FD_READWRITE: Rights = Rights(1 << 27);

    /// No rights.
    pub(crate) const NONE: Rights = Rights(0);

    /// The rights of standard input. Those to seek are missing, by which the C library
    /// of a guest recognizes a terminal.
    pub(crate) const INPUT: Rights =
        Rights(Rights::FD_READ.0 | Rights::FD_FILESTAT_GET.0 | Rights::POLL_FD_READWRITE.0);

    /// The rights of standard output and standard error.
    pub(crate) const PRINTER: Rights =
        Rights(Rights::FD_WRITE.0 | Rights::FD_FILESTAT_GET.0 | Rights::POLL_FD_READWRITE.0);

    /// The rights that a file can have.
    pub(crate) const FILE: Rights = Rights(
        Rights::FD_DATASYNC.0
            | Rights::FD_READ.0
            | Rights::FD_SEEK.0
            | Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_SYNC.0
            | Rights::FD_TELL.0
            | Rights::FD_WRITE.0
            | Rights::FD_ADVISE.0
            | Rights::FD_ALLOCATE.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_SIZE.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// The rights that a directory can have.
    pub(crate) const DIRECTORY: Rights = Rights(
        Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_SYNC.0
            | Rights::FD_DATASYNC.0
            | Rights::PATH_CREATE_DIRECTORY.0
            | Rights::PATH_CREATE_FILE.0
            | Rights::PATH_LINK_SOURCE.0
            | Rights::PATH_LINK_TARGET.0
            | Rights::PATH_OPEN.0
            | Rights::FD_READDIR.0
            | Rights::PATH_READLINK.0
            | Rights::PATH_RENAME_SOURCE.0
            | Rights::PATH_RENAME_TARGET.0
            | Rights::PATH_FILESTAT_GET.0
            | Rights::PATH_FILESTAT_SET_SIZE.0
            | Rights::PATH_FILESTAT_SET_TIMES.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::PATH_SYMLINK.0
            | Rights::PATH_REMOVE_DIRECTORY.0
            | Rights::PATH_UNLINK_FILE.0,
    );

    /// Returns the rights with these bits.
    pub(crate) fn from_bits(bits: u64) -> Rights {
        Rights(bits)
    }

    /// Returns the bits of the specification.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Returns these rights, but those to read and to write only if they are in `asked`.
    pub(crate) fn opened_for(self, asked: Rights) -> Rights {
        let modes = Rights::FD_READ | Rights::FD_WRITE;
        Rights(self.0 & (asked.0 | !modes.0))
    }

    /// Returns whether these are all the rights `wanted`, or more. The right to set the
    /// offset includes the right to read it.
    pub(crate) fn contain(self, wanted: Rights) -> bool {
        let held = match self & Rights::FD_SEEK {
            Rights::FD_SEEK => self | Rights::FD_TELL,
            _ => self,
        };
        held & wanted == wanted
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;

    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}
