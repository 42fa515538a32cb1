//! Walking a path that does not leave a directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::file_systems::refused;

/// Opens what a path leads to, from a directory on. Links are followed inside of it.
///
/// The system walks the path at once, or, where it cannot, this function does, and has no more
/// descriptors meanwhile than the path is deep.
///
/// # Errors
///
/// Fails if the operating system does, or if the path leads outside; if it is walked here, also if
/// it leads deeper than 256 directories.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<fs::File> {
    /// Whether the system has no `openat2`.
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    /// A walk by the system is in vain whenever something is renamed anywhere meanwhile.
    const MAX_TRIES: usize = 100;
    let flags = flags | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..MAX_TRIES {
        if IS_MISSING.load(Ordering::Relaxed) {
            break;
        }
        match openat2(dir, path, flags, mode(flags), resolve) {
            Err(Errno::AGAIN) => thread::yield_now(),
            Err(Errno::NOSYS) => IS_MISSING.store(true, Ordering::Relaxed),
            // Some sandboxes say so where they do not allow it.
            Err(Errno::PERM) => break,
            Err(Errno::XDEV) => return Err(leads_outside()),
            opened => return Ok(opened?.into()),
        }
    }
    walk(dir, path, flags)
}

/// A part of a path.
enum Part {
    /// `.`, or nothing behind the last slash.
    Here,
    /// `..`
    Above,
    Name(OsString),
}

/// The parts of a path that are not walked yet, the next one last.
struct Rest(Vec<Part>);

impl Rest {
    /// Puts a path before what is left.
    fn push(&mut self, path: &OsStr) -> io::Result<()> {
        let bytes = path.as_bytes();
        if bytes.first() == Some(&b'/') {
            return Err(leads_outside());
        }
        let parts = bytes.split(|byte| *byte == b'/').rev();
        self.0.extend(parts.map(|part| match part {
            b"" | b"." => Part::Here,
            b".." => Part::Above,
            name => Part::Name(OsStr::from_bytes(name).to_owned()),
        }));
        Ok(())
    }
}

/// Does what `openat2` does, where there is none.
fn walk(start: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<fs::File> {
    const MAX_LINKS: usize = 40;
    const MAX_DEPTH: usize = 256;
    if path.as_os_str().is_empty() {
        return Err(Errno::NOENT.into());
    }
    let mut rest = Rest(Vec::new());
    rest.push(path.as_os_str())?;
    // Those between the start and where the walk is.
    let mut dirs: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.0.pop() {
        let name = match part {
            Part::Here => continue,
            Part::Above => {
                dirs.pop().ok_or_else(leads_outside)?;
                continue;
            }
            Part::Name(name) => name,
        };
        let dir = dirs.last().map_or(start, AsFd::as_fd);
        let is_last = rest.0.is_empty();
        let is_new = flags.contains(OFlags::CREATE | OFlags::EXCL);
        let follows = !is_last || !is_new && !flags.contains(OFlags::NOFOLLOW);
        if follows && let Some(target) = link_target(dir, &name)? {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            rest.push(&target)?;
            continue;
        }
        if is_last {
            return Ok(openat(dir, &name, flags | OFlags::NOFOLLOW, mode(flags))?.into());
        }
        if dirs.len() == MAX_DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        dirs.push(openat(dir, &name, flags, Mode::empty())?);
    }
    let dir = dirs.last().map_or(start, AsFd::as_fd);
    Ok(openat(dir, c".", flags, mode(flags))?.into())
}

/// Returns what the link of this name contains; `None` if it is none, or not there.
fn link_target(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<OsString>> {
    match readlinkat(dir, name, Vec::new()) {
        Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()))),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// That of a new file.
fn mode(flags: OFlags) -> Mode {
    match flags.contains(OFlags::CREATE) {
        true => Mode::from_raw_mode(0o666),
        false => Mode::empty(),
    }
}

fn leads_outside() -> io::Error {
    refused("a path led outside of its directory")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("a/b/c")).unwrap();
        fs::write(path("a/b/file"), "x").unwrap();
        for (target, link) in [
            ("b/c", "a/down"),
            ("../a/./down/../file", "a/around"),
            ("file/", "a/b/of_file"),
            ("../..", "a/out"),
            ("/etc", "a/absolute"),
            ("nothing", "a/dangling"),
            ("loop", "a/loop"),
            ("..", "a/b/c/up"),
        ] {
            symlink(target, path(link)).unwrap();
        }
        folder
    }

    #[test]
    fn a_path_leads_where_the_system_says() {
        let folder = tree();
        let dir = fs::File::open(folder.path()).unwrap();
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let found = OFlags::PATH;
        let link = OFlags::PATH | OFlags::NOFOLLOW;
        let directory = OFlags::RDONLY | OFlags::DIRECTORY;
        let file = OFlags::RDONLY | OFlags::NOFOLLOW;
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        for path in [
            "",
            ".",
            "./",
            "..",
            "/",
            "a",
            "a/",
            "a/.",
            "a/..",
            "a/../..",
            "a//b",
            "a/b/file",
            "a/b/file/",
            "a/b/file/.",
            "a/b/file/..",
            "a/down",
            "a/down/",
            "a/down/up/file",
            "a/down/up/c/up/up",
            "a/around",
            "a/around/",
            "a/out",
            "a/out/a",
            "a/absolute",
            "a/absolute/passwd",
            "a/dangling",
            "a/dangling/",
            "a/loop",
            "a/loop/x",
            "a/b/of_file",
            "a/missing",
            "a/missing/..",
            "a/b/c/up/up/up/up/up",
        ] {
            for flags in [found, link, directory, file, new] {
                let flags = flags | OFlags::CLOEXEC;
                let expected = openat2(&dir, path, flags, mode(flags), resolve);
                if expected.is_ok() && flags.contains(OFlags::CREATE) {
                    // It is there now.
                    continue;
                }
                let walked = walk(dir.as_fd(), Path::new(path), flags);
                let expected = expected.map(|file| fs::File::from(file).metadata().unwrap().ino());
                let walked = walked.map(|file| file.metadata().unwrap().ino());
                match (expected, walked) {
                    (Ok(expected), Ok(walked)) => assert_eq!(expected, walked, "{path} {flags:?}"),
                    (Err(Errno::XDEV), Err(error)) => {
                        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path}");
                    }
                    // Of several reasons, kernels differ in which they name.
                    (Err(_), Err(_)) if flags.contains(OFlags::CREATE) => {}
                    (Err(expected), Err(error)) => {
                        let expected = Some(expected.raw_os_error());
                        assert_eq!(error.raw_os_error(), expected, "{path} {flags:?}");
                    }
                    (expected, walked) => {
                        panic!("{path} {flags:?}: {expected:?}, and not {walked:?}")
                    }
                }
            }
        }
        let flags = new | OFlags::CLOEXEC;
        walk(dir.as_fd(), Path::new("a/down/new"), flags).unwrap();
        assert!(folder.path().join("a/b/c/new").exists());
    }

    #[test]
    fn a_walk_holds_no_more_descriptors_than_256() {
        let folder = tempfile::tempdir().unwrap();
        let dir = fs::File::open(folder.path()).unwrap();
        let path = |depth: usize| "d/".repeat(depth);
        fs::create_dir_all(folder.path().join(path(300))).unwrap();
        let walked = |path: &str| walk(dir.as_fd(), Path::new(path), OFlags::PATH);
        walked(&path(256)).unwrap();
        let error = walked(&path(257)).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::NAMETOOLONG.raw_os_error())
        );
        // However long it is.
        walked(&"d/../".repeat(800)).unwrap();
        open(dir.as_fd(), Path::new(&path(300)), OFlags::PATH).unwrap();
    }
}
