//! The parameters of `path_open`.

use lunatic_fs::OpenOptions;

use crate::errno::Errno;
use crate::fdflags::FdFlags;
use crate::rights::Rights;

/// How `path_open` is to open a path.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) options: OpenOptions,
    pub(crate) flags: FdFlags,
    /// What may be done with the new descriptor.
    pub(crate) rights: Rights,
}

const CREAT: u32 = 1 << 0;
const DIRECTORY: u32 = 1 << 1;
const EXCL: u32 = 1 << 2;
const TRUNC: u32 = 1 << 3;

impl Opening {
    /// Reads the parameters. Rights that the directory does not pass on are left out
    /// without an error, as guests expect.
    ///
    /// `inval` for a flag that does not exist, and for the flags to create and to open a
    /// directory together.
    pub(crate) fn parse(
        lookup: u32,
        oflags: u32,
        fdflags: u32,
        rights: Rights,
    ) -> Result<Opening, Errno> {
        let flags = FdFlags::from_bits(fdflags)?;
        let has = |flag| oflags & flag != 0;
        if oflags > (CREAT | DIRECTORY | EXCL | TRUNC) || (has(CREAT) && has(DIRECTORY)) {
            return Err(Errno::Invalid);
        }
        let options = OpenOptions {
            read: rights.contain(Rights::FD_READ),
            write: rights.contain(Rights::FD_WRITE),
            append: flags.append(),
            create: has(CREAT),
            create_new: has(CREAT) && has(EXCL),
            truncate: has(TRUNC),
            directory: has(DIRECTORY),
            nofollow: !follows(lookup)?,
            durability: flags.durability(),
        };
        Ok(Opening {
            options,
            flags,
            rights,
        })
    }

    /// Checks that the directory has the rights that this takes; `perm` if not.
    pub(crate) fn check(&self, dir: Rights) -> Result<(), Errno> {
        let create = !self.options.create || dir.contain(Rights::PATH_CREATE_FILE);
        let truncate = !self.options.truncate || dir.contain(Rights::PATH_FILESTAT_SET_SIZE);
        match create && truncate {
            true => Ok(()),
            false => Err(Errno::NotPermitted),
        }
    }
}

/// Returns whether the lookup flags say that a symbolic link at the end of a path is
/// followed; `inval` for a flag that does not exist.
pub(crate) fn follows(lookup: u32) -> Result<bool, Errno> {
    match lookup {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::Invalid),
    }
}
