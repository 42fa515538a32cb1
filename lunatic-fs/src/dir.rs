//! A directory that nothing can leave.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lunatic_account::Charge;
use lunatic_blocking::Class;
use rustix::fs::{AtFlags, Mode, OFlags, fdatasync, fsync, openat, utimensat};
use rustix::io::Errno;

use crate::access::Access;
use crate::entry::{Entry, Stream};
use crate::file::File;
use crate::freeing::Kept;
use crate::held::{Companion, HeldFile, held};
use crate::holding;
use crate::host_dir::{HostDir, ends_in_slash, names_directory};
use crate::listing::Listing;
use crate::metadata::{Kind, Metadata};
use crate::open::OpenOptions;
use crate::protected::Change;
use crate::times::Times;

/// How many parts the target of a new symbolic link may have: 40 links can lead to each other.
const MAX_LINK_PARTS: usize = 64;

/// An open directory. Every path given to it is resolved inside of it.
///
/// A path that leads outside fails with
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied), and so does every change
/// below a directory that is read-only. All clones are the same open directory.
///
/// # Examples
///
/// ```
/// use lunatic_fs::{Access, Dir};
///
/// # futures_lite::future::block_on(async {
/// let dir = Dir::open_host(std::env::temp_dir(), Access::ReadWrite).await?;
/// let name = format!("lunatic-fs-{}", std::process::id());
/// dir.create_dir(&*name).await?;
/// assert!(dir.metadata(&*name, true).await?.links > 0);
/// dir.remove_dir(&*name).await?;
///
/// assert!(dir.metadata("../etc", true).await.is_err());
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Dir {
    host: Arc<HostDir>,
    access: Access,
}

/// An opened path.
#[derive(Debug, Clone)]
pub enum Node {
    /// A file, a device, a pipe or a socket.
    File(File),
    /// A directory.
    Dir(Dir),
}

impl Dir {
    /// Opens a directory of the host by its ordinary path.
    ///
    /// This is the one place where authority comes from. Whatever is asked for, files
    /// in `/proc` can only be read.
    ///
    /// # Errors
    ///
    /// What the operating system says, for example that there is no directory. Fails
    /// also for a directory of this program's own process in `/proc`.
    pub async fn open_host(path: impl Into<PathBuf>, access: Access) -> io::Result<Dir> {
        Dir::open_host_charged(path, access, None).await
    }

    /// [`open_host`](Dir::open_host), with something charged.
    ///
    /// - `charge`: what is charged for the directory until it is closed.
    ///
    /// # Errors
    ///
    /// Those of [`open_host`](Dir::open_host).
    pub async fn open_host_charged(
        path: impl Into<PathBuf>,
        access: Access,
        charge: Option<Charge>,
    ) -> io::Result<Dir> {
        let path = path.into();
        let open = move || Ok::<_, io::Error>(HostDir::open_ambient(&path)?.charged(charge));
        let host = Class::Cache.queue().run(open).await?;
        let access = match host.is_read_only() {
            true => Access::ReadOnly,
            false => access,
        };
        Ok(Dir::new(host, access))
    }

    /// Opens a directory below this one, with the same access.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the path leads outside.
    pub async fn open_dir(&self, path: impl Into<PathBuf>) -> io::Result<Dir> {
        self.open_dir_charged(path, None).await
    }

    /// [`open_dir`](Dir::open_dir), with something charged.
    ///
    /// - `charge`: what is charged for the directory until it is closed.
    ///
    /// # Errors
    ///
    /// Those of [`open_dir`](Dir::open_dir).
    pub async fn open_dir_charged(
        &self,
        path: impl Into<PathBuf>,
        charge: Option<Charge>,
    ) -> io::Result<Dir> {
        let host = self.run(path, |dir, path| {
            let (file, metadata) = dir.find(path, true)?;
            match metadata.kind {
                Kind::Dir => Ok(dir.below(file, metadata).charged(charge)),
                _ => Err(Errno::NOTDIR.into()),
            }
        });
        Ok(Dir::new(host.await?, self.access))
    }

    fn new(host: HostDir, access: Access) -> Dir {
        Dir {
            host: Arc::new(host),
            access,
        }
    }

    /// Returns what may be done below this directory.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Opens a file or a directory; see [`std::fs::OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, or if the
    /// directory is read-only and the options are not.
    pub async fn open(&self, path: impl Into<PathBuf>, options: OpenOptions) -> io::Result<Node> {
        self.open_charged(path, options, None).await
    }

    /// [`open`](Dir::open), with something charged.
    ///
    /// - `charge`: what is charged for the file or directory until it is closed.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Dir::open).
    pub async fn open_charged(
        &self,
        path: impl Into<PathBuf>,
        options: OpenOptions,
        mut charge: Option<Charge>,
    ) -> io::Result<Node> {
        if options.changes() {
            self.access.check_change()?;
        }
        let access = self.access;
        // To free the blocks of a large file can take long.
        let class = match options.truncate {
            true => Class::Disk,
            false => Class::Cache,
        };
        self.run_on(class, path, move |dir, path| {
            let (file, metadata) = dir.open(path, options, &mut charge)?;
            Ok(match metadata.kind {
                Kind::Dir => {
                    let below = dir.below(file, metadata).charged(charge);
                    Node::Dir(Dir::new(below, access))
                }
                _ => Node::File(File::new(
                    file,
                    &metadata,
                    access,
                    dir.protected().clone(),
                    options.durability,
                    charge,
                )),
            })
        })
        .await
    }

    /// Holds a file, which a library of the host opens by its path. It is created if it is
    /// not there and the directory can be changed. Links at the end of the path are
    /// followed inside of the directory.
    ///
    /// - `companions`: the files that the library makes beside it.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, if it is not a
    /// regular file or has several names, or if it is a companion of another file that is
    /// held.
    pub async fn hold(
        &self,
        path: impl Into<PathBuf>,
        companions: &'static [Companion],
    ) -> io::Result<HeldFile> {
        let access = self.access;
        self.run(path, move |dir, path| {
            holding::hold(dir, path, access, companions)
        })
        .await
    }

    /// Creates a directory; see [`std::fs::create_dir`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, or if the
    /// directory is read-only.
    pub async fn create_dir(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        self.access.check_change()?;
        self.run(path, |dir, path| {
            let (parent, rest) = dir.parent(path)?;
            dir.check_change(&parent, rest, Change::Within)?;
            parent.dir().create_dir(rest)
        })
        .await
    }

    /// Removes an empty directory; see [`std::fs::remove_dir`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, or if the
    /// directory is read-only.
    pub async fn remove_dir(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        self.change(path, |dir, path| dir.remove_dir(without_slashes(path)))
            .await
    }

    /// Removes a file that is not a directory; see [`std::fs::remove_file`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, or if the
    /// directory is read-only.
    pub async fn remove_file(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        self.change(path, |dir, path| dir.remove_file(path)).await
    }

    /// Makes a symbolic link at `path` that contains `target`; see
    /// [`std::os::unix::fs::symlink`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside or the target is
    /// absolute or has more than 64 parts, or if the directory is read-only.
    pub async fn symlink(
        &self,
        target: impl Into<PathBuf>,
        path: impl Into<PathBuf>,
    ) -> io::Result<()> {
        let target = target.into();
        if target.components().count() > MAX_LINK_PARTS {
            return Err(Errno::NAMETOOLONG.into());
        }
        self.change(path, move |dir, path| dir.symlink(&target, path))
            .await
    }

    /// Returns what a symbolic link contains; see [`std::fs::read_link`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, or if the path leads outside.
    pub async fn read_link(&self, path: impl Into<PathBuf>) -> io::Result<PathBuf> {
        self.run(path, HostDir::read_link).await
    }

    /// Renames the file at `path` to `new_path` in `new_dir`, which may be another
    /// directory; see [`std::fs::rename`].
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if a path leads outside, or if one of the
    /// directories is read-only.
    pub async fn rename(
        &self,
        path: impl Into<PathBuf>,
        new_dir: &Dir,
        new_path: impl Into<PathBuf>,
    ) -> io::Result<()> {
        new_dir.access.check_change()?;
        let (new_dir, new_path) = (new_dir.host.clone(), new_path.into());
        let rename = move |dir: &HostDir, path: &Path| {
            let (parent, rest) = dir.parent(path)?;
            dir.check_change(&parent, rest, Change::Entry)?;
            // Only a directory may get a name that ends in a slash.
            if ends_in_slash(&new_path) && !parent.dir().symlink_metadata(rest)?.is_dir() {
                return Err(Errno::NOTDIR.into());
            }
            let (new_parent, new_path) = new_dir.parent(&new_path)?;
            new_dir.check_change(&new_parent, new_path, Change::Entry)?;
            let replaced = Kept::find(new_parent.dir(), new_path);
            let held = held();
            held.check_name(parent.dir(), rest)?;
            held.check_name(new_parent.dir(), new_path)?;
            let held = (is_name(rest) && is_name(new_path)).then_some(held);
            parent.dir().rename(rest, new_parent.dir(), new_path)?;
            drop(held);
            Ok(replaced.close())
        };
        self.access.check_change()?;
        if let Some(replaced) = self.run(path, rename).await? {
            replaced.free().await;
        }
        Ok(())
    }

    /// Makes a hard link to the file at `path` at `new_path` in `new_dir`, which may be
    /// another directory; see [`std::fs::hard_link`]. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if a path leads outside, or if one of the
    /// directories is read-only: through the link the file could be changed.
    pub async fn hard_link(
        &self,
        path: impl Into<PathBuf>,
        new_dir: &Dir,
        new_path: impl Into<PathBuf>,
    ) -> io::Result<()> {
        new_dir.access.check_change()?;
        let (new_dir, new_path) = (new_dir.host.clone(), new_path.into());
        self.access.check_change()?;
        self.run(path, move |dir, path| {
            let (parent, rest) = dir.parent(path)?;
            dir.check_change(&parent, rest, Change::Entry)?;
            let (new_parent, new_path) = new_dir.parent(&new_path)?;
            new_dir.check_change(&new_parent, new_path, Change::Entry)?;
            let held = held();
            held.check_name(parent.dir(), rest)?;
            held.check_name(new_parent.dir(), new_path)?;
            let _held = (is_name(rest) && is_name(new_path)).then_some(held);
            parent.dir().hard_link(rest, new_parent.dir(), new_path)
        })
        .await
    }

    /// Returns the metadata of the file at `path`; see [`std::fs::metadata`].
    ///
    /// - `follow`: whether a symbolic link is followed at the end of the path. It
    ///   always is if a slash is behind it.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, or if the path leads outside.
    pub async fn metadata(&self, path: impl Into<PathBuf>, follow: bool) -> io::Result<Metadata> {
        self.run(path, move |dir, path| {
            let (_, metadata) = dir.find(path, follow || names_directory(path))?;
            Ok(metadata)
        })
        .await
    }

    /// Changes the times of the file at `path`; see [`std::fs::File::set_times`].
    ///
    /// - `follow`: as for [`metadata`](Dir::metadata).
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the path leads outside, or if the
    /// directory is read-only.
    pub async fn set_times(
        &self,
        path: impl Into<PathBuf>,
        times: Times,
        follow: bool,
    ) -> io::Result<()> {
        self.access.check_change()?;
        self.run(path, move |dir, path| {
            // It is not opened: to open a pipe could block the thread for ever.
            let (file, _) = dir.find(path, follow || names_directory(path))?;
            dir.check_open(&file)?;
            Ok(utimensat(file, c"", &times.into(), AtFlags::EMPTY_PATH)?)
        })
        .await
    }

    /// Returns at most `max` entries of this directory from a position on. If there are
    /// fewer, it has no more. Entries whose names are not UTF-8 are left out.
    ///
    /// - `from`: 0 or the [`Entry::next`] of an entry.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn entries(&self, from: u64, max: usize) -> io::Result<Vec<Entry>> {
        /// So many are read by one operation.
        const PIECE: usize = 256;
        let mut listing = self.list(from).await?;
        let mut entries = Vec::new();
        while entries.len() < max {
            let room = max - entries.len();
            match listing.next(room.min(PIECE)).await? {
                Some(piece) => entries.extend(piece),
                None => break,
            }
        }
        Ok(entries)
    }

    /// Begins to list this directory from a position on.
    ///
    /// - `from`: 0 or the [`Entry::next`] of an entry.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn list(&self, from: u64) -> io::Result<Listing> {
        self.list_charged(from, None).await
    }

    /// [`list`](Dir::list), with something charged.
    ///
    /// - `charge`: what is charged for the listing, which has a descriptor of its own, until it is
    ///   dropped.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Dir::list).
    pub async fn list_charged(&self, from: u64, charge: Option<Charge>) -> io::Result<Listing> {
        let open = move |dir: &HostDir, _: &Path| Stream::open(dir.dir(), from, charge);
        self.run(".", open).await.map(Listing::new)
    }

    /// Waits until this directory is on the disk.
    ///
    /// - `metadata`: whether to wait for its metadata too.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn sync(&self, metadata: bool) -> io::Result<()> {
        let dir = self.host.clone();
        let sync = move || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = openat(dir.dir(), c".", flags, Mode::empty())?;
            match metadata {
                true => fsync(dir)?,
                false => fdatasync(dir)?,
            }
            Ok(())
        };
        Class::Disk.queue().run(sync).await
    }

    /// Changes something in the directory that holds the last component of the path. Nothing
    /// becomes held meanwhile, unless there is more to walk than a name: nobody waits for that.
    async fn change(
        &self,
        path: impl Into<PathBuf>,
        operation: impl FnOnce(&cap_std::fs::Dir, &Path) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        self.access.check_change()?;
        let change = move |dir: &HostDir, path: &Path| {
            let (parent, rest) = dir.parent(path)?;
            dir.check_change(&parent, rest, Change::Entry)?;
            let before = Kept::find(parent.dir(), rest);
            let held = held();
            held.check_name(parent.dir(), rest)?;
            let held = is_name(rest).then_some(held);
            operation(parent.dir(), rest)?;
            drop(held);
            Ok(before.close())
        };
        if let Some(removed) = self.run(path, change).await? {
            removed.free().await;
        }
        Ok(())
    }

    async fn run<R: Send + 'static>(
        &self,
        path: impl Into<PathBuf>,
        operation: impl FnOnce(&HostDir, &Path) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        self.run_on(Class::Cache, path, operation).await
    }

    async fn run_on<R: Send + 'static>(
        &self,
        class: Class,
        path: impl Into<PathBuf>,
        operation: impl FnOnce(&HostDir, &Path) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let (dir, path) = (self.host.clone(), path.into());
        let operation = move || operation(&dir, &path);
        class.queue().run(operation).await
    }
}

/// Returns the path without the slashes at its end. `cap-std` would take them for a
/// `.`, which cannot be removed.
fn without_slashes(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    let kept = bytes.iter().rposition(|byte| *byte != b'/');
    // A path of nothing but slashes leads outside, so it stays as it is.
    kept.map_or(path, |last| Path::new(OsStr::from_bytes(&bytes[..=last])))
}

/// Returns whether the path is a name and no more, so that nothing has to be walked.
fn is_name(path: &Path) -> bool {
    !path.as_os_str().as_bytes().contains(&b'/')
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
