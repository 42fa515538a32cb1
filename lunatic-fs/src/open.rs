//! How something is opened, and what that gives.

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use crate::dir::Dir;
use crate::file::File;

/// What opening a path gives.
#[derive(Debug, Clone)]
pub enum Node {
    /// A file, or a device or the like.
    File(File),
    /// A directory.
    Dir(Dir),
}

/// How something is opened. The default opens for nothing but to look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
    /// What is written goes to the end.
    pub append: bool,
    /// A file is created if there is none.
    pub create: bool,
    /// A file is created, and it is an error if there is one.
    pub create_new: bool,
    /// The file is made empty.
    pub truncate: bool,
    /// It is an error if it is not a directory.
    pub directory: bool,
    /// It is an error if it is a symbolic link.
    pub nofollow: bool,
    /// What a write waits for.
    pub durability: Durability,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing.
    #[default]
    None,
    /// The data is on the disk.
    Data,
    /// The data and the metadata are on the disk.
    All,
}

impl OpenOptions {
    /// Whether something could be changed.
    pub(crate) fn changes(&self) -> bool {
        self.write || self.create || self.create_new || self.truncate
    }

    pub(crate) fn to_host(self) -> cap_std::fs::OpenOptions {
        let writes = self.write || self.truncate;
        let follow = match self.nofollow {
            true => FollowSymlinks::No,
            false => FollowSymlinks::Yes,
        };
        let mut options = cap_std::fs::OpenOptions::new();
        options
            .read(self.read || !writes)
            .write(writes)
            .custom_flags(self.flags().bits() as i32)
            .follow(follow);
        options
    }

    /// The flags that POSIX allows together and `cap-std`'s own options do not:
    /// creating without writing, truncating together with appending.
    fn flags(&self) -> OFlags {
        // A pipe that nobody writes to would keep the opening thread forever.
        let mut flags = OFlags::NONBLOCK;
        flags.set(OFlags::APPEND, self.append);
        flags.set(OFlags::CREATE, self.create || self.create_new);
        flags.set(OFlags::EXCL, self.create_new);
        flags.set(OFlags::TRUNC, self.truncate);
        flags.set(OFlags::DIRECTORY, self.directory);
        match self.durability {
            Durability::None => {}
            Durability::Data => flags |= OFlags::DSYNC,
            Durability::All => flags |= OFlags::SYNC,
        }
        flags
    }
}
