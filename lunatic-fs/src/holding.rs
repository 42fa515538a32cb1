//! Finds a file that a library of the host is to open, and holds it.

use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::access::Access;
use crate::held::{Companion, HeldFile, Inserted, held_to_change, wait_for};
use crate::host_dir::{HostDir, names_directory};
use crate::metadata::{Kind, Metadata};
use crate::protected::Change;

/// Holds a file below a directory, which is created if it is not there and may be.
pub(crate) fn hold(
    below: &HostDir,
    path: &Path,
    access: Access,
    companions: &'static [Companion],
) -> io::Result<HeldFile> {
    /// So often somebody may do something with the file again while that is waited for.
    const MAX_WAITS: usize = 16;
    for _ in 0..MAX_WAITS {
        match try_hold(below, path, access, companions)? {
            Inserted::Held(held) => return Ok(HeldFile::new(held, access)),
            Inserted::Busy(ids) => wait_for(&ids),
        }
    }
    Err(Errno::BUSY.into())
}

fn try_hold(
    below: &HostDir,
    path: &Path,
    access: Access,
    companions: &'static [Companion],
) -> io::Result<Inserted> {
    /// As many links are followed at the end of a path.
    const MAX_LINKS: usize = 16;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(Errno::ISDIR.into());
        };
        if names_directory(&path) {
            return Err(Errno::NOTDIR.into());
        }
        let (parent, _) = below.parent(&path)?;
        if access == Access::ReadWrite {
            below.check_change(&parent, Path::new(name), Change::Entry)?;
        }
        // Nothing is changed by others until it is held. Only this name is looked up meanwhile: to
        // walk a path can take long, and everybody would wait for it.
        let mut held = held_to_change();
        let found = match below.find_in(&parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                access.check_change()?;
                let flags = OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::WRONLY
                    | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o644);
                Metadata::of(&openat(parent.dir(), name, flags, mode)?.into())?
            }
            found => found?.1,
        };
        match found.kind {
            Kind::File if found.links == 1 => {
                let dir = parent.dir().as_fd().try_clone_to_owned()?;
                return held.insert(dir, name, &found, companions);
            }
            Kind::File => {
                let reason = "a file with several names could be locked by only one of them";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
            }
            Kind::Symlink => {
                drop(held);
                let target = below.read_link_in(&parent, Path::new(name))?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            Kind::Dir => return Err(Errno::ISDIR.into()),
            _ => {
                let reason = "it is no regular file";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
            }
        }
    }
    Err(Errno::LOOP.into())
}
