//! Files that a library of the host opens by their paths, and what must not happen to
//! them meanwhile.
//!
//! A library that is given a path opens the file itself, makes others beside it, maps
//! them into memory, and locks them by `fcntl`. Three things that guests could do through
//! a [`Dir`](crate::Dir) would then hurt the program: to cut off a file that is mapped
//! ends it, to close a descriptor of a file that is locked releases the locks of the whole
//! program, and what is written into a journal would be believed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::access::Access;
use crate::metadata::Metadata;

/// A file on a device.
pub(crate) type FileId = (u64, u64);

/// A file that a library of the host opens by its path, and which of its companions
/// nothing else may change, as long as this exists.
///
/// Its companions are files beside it whose names are its own with something behind. No
/// [`Dir`](crate::Dir) opens, renames, links or removes the file; none changes, renames,
/// links or removes a companion.
#[derive(Debug)]
pub struct HeldFile {
    held: Arc<Holding>,
    access: Access,
}

/// One for each file that is held, however often.
#[derive(Debug)]
pub(crate) struct Holding {
    dir: OwnedFd,
    dir_id: FileId,
    name: OsString,
    id: FileId,
    /// The file, and companions that were there before it was held.
    ids: Vec<FileId>,
    companions: &'static [&'static str],
    /// How many [`HeldFile`]s there are of it. It is changed while all that are held are
    /// locked.
    holders: AtomicUsize,
    /// Descriptors of the file that would have been closed.
    unclosed: Mutex<Vec<fs::File>>,
    /// The file, if something was read of it here.
    reader: Mutex<Option<fs::File>>,
}

/// All that are held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By their names and those of their companions, then by their directories.
    names: HashMap<OsString, HashMap<FileId, Arc<Holding>>>,
    ids: HashMap<FileId, usize>,
}

static HELD: LazyLock<RwLock<Held>> = LazyLock::new(RwLock::default);

/// What is held, to hold another file. Nothing is changed by others as long as this exists.
pub(crate) fn held_to_change() -> RwLockWriteGuard<'static, Held> {
    HELD.write()
}

/// What is held now. Nothing else becomes held as long as this exists.
pub(crate) fn held() -> RwLockReadGuard<'static, Held> {
    HELD.read_recursive()
}

/// Closes a file, or keeps it open until it is no longer held.
pub(crate) fn close(file: fs::File, id: FileId) {
    let held = held();
    if held.ids.contains_key(&id) {
        held.keep_open(file, id);
    }
}

impl HeldFile {
    /// Returns the file that was found under a name of a directory.
    pub(crate) fn new(held: Arc<Holding>, access: Access) -> HeldFile {
        HeldFile { held, access }
    }

    /// Returns a path by which this program can open the file, wherever its directory is
    /// moved. It is valid as long as this exists. The last component is never a link,
    /// unless it has been exchanged meanwhile.
    pub fn path(&self) -> PathBuf {
        let dir = self.held.dir.as_raw_fd();
        Path::new("/proc/self/fd")
            .join(dir.to_string())
            .join(&self.held.name)
    }

    /// Returns what may be done with the file.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns the device that the file is on, and its number there.
    pub fn id(&self) -> (u64, u64) {
        self.held.id
    }

    /// Reads what is at the beginning of the file, and returns how many bytes that are. Who
    /// opens it for that in another way, and closes it, releases the locks that the library has
    /// on it.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, or if there is another file under its name by now.
    pub fn read_start(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.held.reader.lock();
        let file = match &*reader {
            Some(file) => file,
            None => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let opened = openat(&self.held.dir, &self.held.name, flags, Mode::empty())?;
                let is_it = id_of(opened.as_fd())? == self.held.id;
                let file = reader.insert(opened.into());
                if !is_it {
                    // It is kept, in case that somebody has it locked.
                    self.held.unclosed.lock().extend(reader.take());
                    return Err(busy());
                }
                file
            }
        };
        file.read_at(bytes, 0)
    }

    /// Returns whether nobody else holds the file.
    pub fn is_only_holder(&self) -> bool {
        self.held.holders.load(Ordering::Relaxed) == 1
    }
}

impl Held {
    /// Whether nothing is held, as in most programs.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Fails if nothing may be made, removed or renamed under this name.
    pub(crate) fn check_name(&self, dir: impl AsFd, path: &Path) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Ok(());
        };
        let Some(dirs) = self.names.get(name) else {
            return Ok(());
        };
        match dirs.contains_key(&id_of(dir.as_fd())?) {
            true => Err(busy()),
            false => Ok(()),
        }
    }

    /// Fails if a file must not be opened.
    pub(crate) fn check_found(&self, found: &Metadata) -> io::Result<()> {
        let id = (found.device, found.inode);
        let is_file = || self.holdings().any(|holding| holding.id == id);
        match self.ids.contains_key(&id) && is_file() {
            true => Err(busy()),
            false => Ok(()),
        }
    }

    /// Returns a file that was opened, or fails if it must not be open.
    ///
    /// - `changes`: whether it can be changed.
    pub(crate) fn check_opened(
        &self,
        file: fs::File,
        metadata: &Metadata,
        changes: bool,
    ) -> io::Result<fs::File> {
        let id = (metadata.device, metadata.inode);
        if let Err(error) = self.check_found(metadata) {
            self.keep_open(file, id);
            return Err(error);
        }
        match changes && (self.ids.contains_key(&id) || self.is_companion(&file, id)?) {
            true => Err(busy()),
            false => Ok(file),
        }
    }

    /// Fails if the length of a file must not be changed.
    pub(crate) fn check_length(&self, id: FileId) -> io::Result<()> {
        match self.ids.contains_key(&id) {
            true => Err(busy()),
            false => Ok(()),
        }
    }

    /// Whether a file was made beside one that is held. Such a file has one name, which
    /// nobody can change.
    fn is_companion(&self, file: &fs::File, id: FileId) -> io::Result<bool> {
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let path = fs::read_link(link)?;
        let Some(name) = path.file_name() else {
            return Ok(false);
        };
        let Some(dirs) = self.names.get(name) else {
            return Ok(false);
        };
        Ok(dirs
            .values()
            .any(|holding| holding.id_beside(name) == Some(id)))
    }

    fn keep_open(&self, file: fs::File, id: FileId) {
        let holding = self.holdings().find(|holding| holding.ids.contains(&id));
        match holding {
            Some(holding) => holding.unclosed.lock().push(file),
            None => drop(file),
        }
    }

    fn holdings(&self) -> impl Iterator<Item = &Arc<Holding>> {
        self.names.values().flat_map(HashMap::values)
    }

    pub(crate) fn insert(
        &mut self,
        dir: OwnedFd,
        name: &OsStr,
        found: &Metadata,
        companions: &'static [&'static str],
    ) -> io::Result<Arc<Holding>> {
        let dir_id = id_of(dir.as_fd())?;
        let known = self.names.get(name).and_then(|dirs| dirs.get(&dir_id));
        if let Some(holding) = known {
            // Otherwise it is a companion of another, or was exchanged from outside.
            let is_it = holding.name == name && holding.id == (found.device, found.inode);
            return match is_it {
                true => {
                    holding.holders.fetch_add(1, Ordering::Relaxed);
                    Ok(holding.clone())
                }
                false => Err(busy()),
            };
        }
        let mut holding = Holding {
            dir,
            dir_id,
            name: name.to_owned(),
            id: (found.device, found.inode),
            ids: vec![(found.device, found.inode)],
            companions,
            holders: AtomicUsize::new(1),
            unclosed: Mutex::default(),
            reader: Mutex::default(),
        };
        let names: Vec<OsString> = holding.names().collect();
        let taken = |name: &OsString| {
            let dirs = self.names.get(name);
            dirs.is_some_and(|dirs| dirs.contains_key(&dir_id))
        };
        if names.iter().any(taken) {
            return Err(busy());
        }
        let beside = names[1..].iter().filter_map(|name| holding.id_beside(name));
        let beside: Vec<FileId> = beside.collect();
        holding.ids.extend(beside);
        for id in &holding.ids {
            *self.ids.entry(*id).or_default() += 1;
        }
        let holding = Arc::new(holding);
        for name in names {
            let dirs = self.names.entry(name).or_default();
            dirs.insert(dir_id, holding.clone());
        }
        Ok(holding)
    }

    fn remove(&mut self, holding: &Holding) {
        for name in holding.names() {
            if let Some(dirs) = self.names.get_mut(&name) {
                dirs.remove(&holding.dir_id);
                if dirs.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        for id in &holding.ids {
            if let Some(count) = self.ids.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    self.ids.remove(id);
                }
            }
        }
    }
}

impl Holding {
    /// Its name and those of its companions.
    fn names(&self) -> impl Iterator<Item = OsString> {
        let companions = self.companions.iter().map(|suffix| {
            let mut name = self.name.clone();
            name.push(suffix);
            name
        });
        std::iter::once(self.name.clone()).chain(companions)
    }

    fn id_beside(&self, name: &OsStr) -> Option<FileId> {
        let stat = statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        let mut held = HELD.write();
        if self.held.holders.fetch_sub(1, Ordering::Relaxed) == 1 {
            held.remove(&self.held);
        }
    }
}

fn id_of(file: BorrowedFd<'_>) -> io::Result<FileId> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn busy() -> io::Error {
    Errno::BUSY.into()
}
