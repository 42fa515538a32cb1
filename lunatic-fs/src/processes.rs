//! Opens files of `/proc`, but none of this program's own processes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};
use std::{fs, process};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::{Errno, read};

use crate::file_systems::refused;

/// Opens what a path leads to, from a directory of `/proc` on.
///
/// No link is followed: those of `/proc` lead to this program's own process, or out of
/// the directory.
///
/// # Errors
///
/// Fails if the operating system does, if the path leads outside or to a link, or if it
/// leads to a file of this program's own process.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<fs::File> {
    let name = match path.components().next_back() {
        Some(Component::Normal(name)) => name,
        // The directory itself, or one above.
        _ => return open_and_check(dir, path, flags),
    };
    let above = path.parent().unwrap_or(Path::new(""));
    let parent = match above.as_os_str().is_empty() {
        true => dir.try_clone_to_owned()?,
        false => open_and_check(dir, above, OFlags::PATH | OFlags::DIRECTORY)?.into(),
    };
    open_and_check(parent.as_fd(), Path::new(name), flags)
}

/// Checks that a directory of `/proc` is not one of this program's own process.
///
/// # Errors
///
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if it is.
pub(crate) fn check(dir: BorrowedFd<'_>) -> io::Result<()> {
    match is_own(dir)? {
        true => Err(refused(
            "the files of this program itself in /proc are never reached",
        )),
        false => Ok(()),
    }
}

/// Opens a file in a directory that has been checked, or a directory, which is checked.
fn open_and_check(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<fs::File> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC;
    let file = openat2(dir, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
        Errno::XDEV | Errno::LOOP => {
            refused("links in /proc are not followed, and the directory is not left")
        }
        errno => errno.into(),
    })?;
    let file = fs::File::from(file);
    if file.metadata()?.is_dir() {
        check(file.as_fd())?;
    }
    Ok(file)
}

/// Returns whether a directory, or one above it on its file system, is that of this
/// process or of one of its threads.
fn is_own(dir: BorrowedFd<'_>) -> io::Result<bool> {
    let mut dir = dir.try_clone_to_owned()?;
    let mut here = fstat(&dir)?;
    let mut processes = Vec::new();
    loop {
        processes.extend(process_of(&dir));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat(&dir, c"..", flags, Mode::empty())?;
        let above = fstat(&parent)?;
        // The root of the machine, or what this file system is mounted on.
        if above.st_dev != here.st_dev || above.st_ino == here.st_ino {
            return Ok(processes.contains(&own_id(&dir)));
        }
        (dir, here) = (parent, above);
    }
}

/// Returns the id of this process as the `/proc` with this root shows it: that of a
/// container, for example, has other ids than that of the machine.
fn own_id(root: &OwnedFd) -> u32 {
    let link = readlinkat(root, c"self", Vec::new()).ok();
    let id = link.and_then(|link| link.to_str().ok()?.parse().ok());
    id.unwrap_or_else(process::id)
}

/// Returns the id of the process that a directory is about, as its `status` says.
fn process_of(dir: &OwnedFd) -> Option<u32> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let status = openat(dir, c"status", flags, Mode::empty()).ok()?;
    let mut buffer = [0; 512];
    let count = read(&status, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}
