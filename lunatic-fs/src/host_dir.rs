//! An open directory of the host, and what is reached through it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use lunatic_account::Charge;
use rustix::fs::{Mode, OFlags, openat};

use crate::beneath;
use crate::file_systems::{FileSystems, refused};
use crate::held::{Busy, held};
use crate::metadata::{Kind, Metadata};
use crate::open::OpenOptions;
use crate::processes;
use crate::protected::{Change, Protected};

/// An open directory of the host. What is on file systems of the kernel is not reached
/// through it, unless the directory was named itself and is on one.
#[derive(Debug)]
pub(crate) struct HostDir {
    dir: Dir,
    file_systems: FileSystems,
    protected: Protected,
    /// What is charged for it until it is closed.
    _charge: Option<Charge>,
}

/// A directory in which something is changed, and the part of its path that is left.
pub(crate) enum Parent<'a> {
    /// The directory that the path begins at.
    Same(&'a Dir),
    /// One below.
    Below(Dir),
}

impl HostDir {
    /// Opens a directory by its ordinary path.
    pub(crate) fn open_ambient(path: &Path) -> io::Result<HostDir> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let file_systems = FileSystems::named(&dir)?;
        if file_systems.show_processes() {
            processes::check(dir.as_fd())?;
        }
        let protected = Protected::below(dir.as_fd())?;
        Ok(HostDir {
            dir,
            file_systems,
            protected,
            _charge: None,
        })
    }

    /// Returns whether nothing here may be changed, as it shows the processes of the
    /// machine.
    pub(crate) fn is_read_only(&self) -> bool {
        self.file_systems.show_processes()
    }

    /// Returns the directory itself, for what has no path.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Returns a directory that was found or opened below this one.
    pub(crate) fn below(&self, dir: fs::File, metadata: Metadata) -> HostDir {
        HostDir {
            dir: Dir::from_std_file(dir),
            file_systems: self.file_systems.below(metadata),
            protected: self.protected.clone(),
            _charge: None,
        }
    }

    /// The same, with something charged for it.
    pub(crate) fn charged(self, charge: Option<Charge>) -> HostDir {
        HostDir {
            _charge: charge,
            ..self
        }
    }

    /// Finds what a path leads to, without opening it: its metadata can be read, and
    /// nothing else.
    ///
    /// - `follow`: whether a symbolic link is followed at the end of the path.
    pub(crate) fn find(&self, path: &Path, follow: bool) -> io::Result<(fs::File, Metadata)> {
        self.reach(path, OFlags::PATH | nofollow(follow))
    }

    /// Finds what has a name in a directory that was found here. A link is not followed.
    pub(crate) fn find_in(
        &self,
        parent: &Parent<'_>,
        name: &OsStr,
    ) -> io::Result<(fs::File, Metadata)> {
        let dir = parent.dir().as_fd();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match self.file_systems.show_processes() {
            true => processes::open(dir, Path::new(name), flags)?,
            false => openat(dir, name, flags, Mode::empty())?.into(),
        };
        let metadata = self.file_systems.check(&file)?;
        Ok((file, metadata))
    }

    /// Opens a file or a directory.
    ///
    /// To open a device can do something, so it is looked at before it is opened, and
    /// again when it is open, as the path may lead elsewhere then.
    ///
    /// - `charge`: what is charged for it, which is taken if it was opened and cannot be closed.
    pub(crate) fn open(
        &self,
        path: &Path,
        options: OpenOptions,
        charge: &mut Option<Charge>,
    ) -> io::Result<(fs::File, Metadata)> {
        let is_anything_held = !held().is_empty();
        if is_anything_held || options.truncate {
            return self.open_unless_held(path, options, charge);
        }
        let (file, metadata) = self.open_whatever(path, options)?;
        // Something may be held by now.
        let file = held().check_opened(file, &metadata, options.changes(), charge)?;
        Ok((file, metadata))
    }

    /// The same while files are held by libraries of the host: nothing is created or cut
    /// off before it is known what it is. What is held is not locked while a path is walked.
    fn open_unless_held(
        &self,
        path: &Path,
        options: OpenOptions,
        charge: &mut Option<Charge>,
    ) -> io::Result<(fs::File, Metadata)> {
        /// So often a path may turn out to be there, and then again not.
        const MAX_TRIES: usize = 8;
        let existing = OpenOptions {
            create: false,
            truncate: false,
            write: options.write || options.truncate,
            ..options
        };
        let new = OpenOptions {
            create_new: true,
            nofollow: true,
            ..options
        };
        for _ in 0..MAX_TRIES {
            match self.find(path, !options.nofollow) {
                Ok((file, found)) => held().check_found(&file, &found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound && options.creates() => {
                    let (parent, rest) = self.parent(path)?;
                    self.check_change(&parent, rest, Change::Entry)?;
                    let held = held();
                    held.check_name(parent.dir(), rest)?;
                    let opened = parent.dir().open_with(rest, &new.to_host());
                    match opened {
                        Ok(file) => {
                            let file = file.into_std();
                            let metadata = self.file_systems.check(&file)?;
                            return Ok((file, metadata));
                        }
                        Err(error)
                            if error.kind() == io::ErrorKind::AlreadyExists
                                && !options.create_new =>
                        {
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
            match self.open_whatever(path, existing) {
                Ok((file, metadata)) => {
                    let held = held();
                    let file = held.check_opened(file, &metadata, options.changes(), charge)?;
                    // Nothing is cut off of what is no file, as a device.
                    if options.truncate && metadata.kind == Kind::File {
                        // This can take long, and keeps nobody waiting but those who would hold
                        // the file.
                        let _busy = Busy::new((metadata.device, metadata.inode), &held);
                        drop(held);
                        file.set_len(0)?;
                    }
                    return Ok((file, metadata));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && options.creates() => {}
                Err(error) => return Err(error),
            }
        }
        Err(rustix::io::Errno::BUSY.into())
    }

    fn open_whatever(&self, path: &Path, options: OpenOptions) -> io::Result<(fs::File, Metadata)> {
        match self.find(path, !options.nofollow) {
            Ok((file, found)) => {
                self.file_systems.check_opening(&found)?;
                if options.changes() {
                    self.protected.check_open(&file)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && options.creates() => {
                let (parent, name) = self.parent(path)?;
                self.check_change(&parent, name, Change::Entry)?;
            }
            Err(error) => return Err(error),
        }
        let flags = options.access() | options.flags() | nofollow(!options.nofollow);
        let (file, metadata) = self.reach(path, flags)?;
        self.file_systems.check_opening(&metadata)?;
        if options.changes() {
            self.protected.check_open(&file)?;
        }
        Ok((file, metadata))
    }

    /// Returns where nothing below it may be changed.
    pub(crate) fn protected(&self) -> &Protected {
        &self.protected
    }

    /// Checks that what is open may be changed.
    pub(crate) fn check_open(&self, file: &fs::File) -> io::Result<()> {
        self.protected.check_open(file)
    }

    /// Checks that something may be changed in a directory that was found here.
    pub(crate) fn check_change(
        &self,
        parent: &Parent<'_>,
        name: &Path,
        change: Change,
    ) -> io::Result<()> {
        self.protected.check_change(parent.dir(), name, change)
    }

    /// Opens the directory that holds the last component of a path, and returns what is
    /// left of the path. Where the path ends in something that is not a name, it is that of a
    /// directory, which is opened, and `.` is left: nothing can have such a path as its own.
    pub(crate) fn parent<'p>(&self, path: &'p Path) -> io::Result<(Parent<'_>, &'p Path)> {
        if path.as_os_str().is_empty() {
            return Ok((Parent::Same(&self.dir), path));
        }
        if !ends_in_name(path) {
            return Ok((self.open_parent(path)?, Path::new(".")));
        }
        let above = path.parent().unwrap_or(Path::new(""));
        if above.as_os_str().is_empty() {
            return Ok((Parent::Same(&self.dir), path));
        }
        Ok((self.open_parent(above)?, rest(path, above)))
    }

    fn open_parent(&self, path: &Path) -> io::Result<Parent<'_>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = beneath::open(self.dir.as_fd(), path, flags)?;
        self.file_systems.check(&dir)?;
        Ok(Parent::Below(Dir::from_std_file(dir)))
    }

    /// Returns what a symbolic link contains.
    pub(crate) fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let (parent, rest) = self.parent(path)?;
        self.read_link_in(&parent, rest)
    }

    /// Returns what the link of a name contains, in a directory that was found here.
    pub(crate) fn read_link_in(&self, parent: &Parent<'_>, name: &Path) -> io::Result<PathBuf> {
        if self.file_systems.show_processes() {
            return Err(refused("links in /proc are not read"));
        }
        parent.dir().read_link(name)
    }

    /// Opens what a path leads to, if it can be reached.
    ///
    /// - `flags`: those of POSIX.
    fn reach(&self, path: &Path, flags: OFlags) -> io::Result<(fs::File, Metadata)> {
        let file = match self.file_systems.show_processes() {
            true => processes::open(self.dir.as_fd(), path, flags)?,
            false => beneath::open(self.dir.as_fd(), path, flags)?,
        };
        let metadata = self.file_systems.check(&file)?;
        Ok((file, metadata))
    }
}

impl Parent<'_> {
    pub(crate) fn dir(&self) -> &Dir {
        match self {
            Parent::Same(dir) => dir,
            Parent::Below(dir) => dir,
        }
    }
}

/// Returns what of a path is behind the directory that holds its last component, with
/// the slashes at the end.
fn rest<'p>(path: &'p Path, above: &Path) -> &'p Path {
    let bytes = &path.as_os_str().as_bytes()[above.as_os_str().len()..];
    let start = bytes.iter().position(|byte| *byte != b'/');
    Path::new(OsStr::from_bytes(&bytes[start.unwrap_or(0)..]))
}

/// Returns whether the last part of a path is neither `.` nor `..`, whatever slashes are behind it.
fn ends_in_name(path: &Path) -> bool {
    let mut parts = path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/');
    let last = parts.find(|part| !part.is_empty());
    !matches!(last, None | Some(b"." | b".."))
}

pub(crate) fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// Returns whether the path ends in a slash, or in a dot behind one, so that it can only
/// be that of a directory.
pub(crate) fn names_directory(path: &Path) -> bool {
    ends_in_slash(path) || path.as_os_str().as_bytes().ends_with(b"/.")
}

fn nofollow(follow: bool) -> OFlags {
    match follow {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_path_is_its_last_component_as_it_is_written() {
        for (path, above, left) in [
            ("a/b", "a", "b"),
            ("a//b//", "a", "b//"),
            ("./a/b/", "./a", "b/"),
        ] {
            assert_eq!(Path::new(path).parent(), Some(Path::new(above)));
            let rest = rest(Path::new(path), Path::new(above));
            assert_eq!(rest.as_os_str(), left);
        }
    }
}
