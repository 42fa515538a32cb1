//! Closing what may be the last descriptor of a file that was removed, whose blocks are freed then.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use lunatic_blocking::Class;
use rustix::fs::{Mode, OFlags, fstat, openat};

/// To free so many bytes can take long: no thread does it that others wait for to open a file.
const LARGE: u64 = 64 << 20;

/// Returns whether to close a file may be to free many blocks.
pub(crate) fn frees_much(file: impl AsFd) -> bool {
    /// In which the system counts what a file takes, in bytes.
    const UNIT: u64 = 512;
    fstat(file).is_ok_and(|stat| stat.st_nlink == 0 && stat.st_blocks as u64 >= LARGE / UNIT)
}

/// What has a name, kept without opening it while the name is taken away: so its blocks are not
/// freed then, but when this is closed.
pub(crate) struct Kept(Option<OwnedFd>);

/// A large file that has no name any more. It is closed on a thread for the disk.
pub(crate) struct Removed(Option<OwnedFd>);

impl Kept {
    /// Finds what has this name, which may be nothing.
    pub(crate) fn find(dir: impl AsFd, name: &Path) -> Kept {
        let Some(Component::Normal(name)) = name.components().next() else {
            return Kept(None);
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Kept(openat(dir, name, flags, Mode::empty()).ok())
    }

    /// Closes it, or returns it if that can take long. What is held must not be locked.
    pub(crate) fn close(self) -> Option<Removed> {
        let file = self.0?;
        frees_much(&file).then(|| Removed(Some(file)))
    }
}

impl Removed {
    /// Closes it, and waits for that.
    pub(crate) async fn free(mut self) {
        Class::Disk.queue().run(move || drop(self.0.take())).await;
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            Class::Disk.queue().run_detached(move || drop(file));
        }
    }
}
