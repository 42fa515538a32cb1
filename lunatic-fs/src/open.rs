//! How something is opened.

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::OpenOptionsExt;
use rustix::fs::OFlags;

/// How a path is opened. With the default an existing file or directory is opened, of
/// which the metadata can be read.
///
/// # Examples
///
/// ```
/// use lunatic_fs::OpenOptions;
///
/// let append = OpenOptions {
///     write: true,
///     append: true,
///     create: true,
///     ..OpenOptions::default()
/// };
/// assert!(!append.read);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether it can be read.
    pub read: bool,
    /// Whether it can be written.
    pub write: bool,
    /// Whether writes go to the end.
    pub append: bool,
    /// Whether a file is created if there is none.
    pub create: bool,
    /// Whether a file is created, and opening fails if there is one.
    pub create_new: bool,
    /// Whether the file is emptied.
    pub truncate: bool,
    /// Whether opening fails if it is not a directory.
    pub directory: bool,
    /// Whether opening fails if it is a symbolic link.
    pub nofollow: bool,
    /// What a write waits for.
    pub durability: Durability,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// It does not wait for the disk.
    #[default]
    None,
    /// It waits until the data is on the disk.
    Data,
    /// It waits until the data and the metadata are on the disk.
    All,
}

impl OpenOptions {
    /// Returns whether opening could change something, or allows changing something.
    pub(crate) fn changes(&self) -> bool {
        self.write || self.create || self.create_new || self.truncate
    }

    /// Returns whether opening creates a file where there is none.
    pub(crate) fn creates(&self) -> bool {
        self.create || self.create_new
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

    /// Returns the flag of POSIX for reading and writing.
    pub(crate) fn access(&self) -> OFlags {
        match (self.read, self.write || self.truncate) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        }
    }

    /// Returns the other flags of POSIX. The options of `cap-std` do not allow all of their
    /// combinations: creating without writing, and truncating together with appending.
    pub(crate) fn flags(&self) -> OFlags {
        // Opening a pipe that has no writer would otherwise block the thread for ever.
        let mut flags = OFlags::NONBLOCK;
        flags.set(OFlags::APPEND, self.append);
        flags.set(OFlags::CREATE, self.creates());
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
