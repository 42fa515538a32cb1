//! Files that a library of the host opens by their paths, and what must not happen to
//! them meanwhile.
//!
//! What is held is locked only while something is checked, or done that is soon done. What can
//! take long, to cut a file off or to close it, is noted before instead, and whoever holds the
//! file waits for that.
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
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use lunatic_account::Charge;
use lunatic_blocking::Class;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::access::Access;
use crate::freeing::frees_much;
use crate::metadata::Metadata;

/// A file on a device.
pub(crate) type FileId = (u64, u64);

/// A file that a library makes beside one that it has open.
#[derive(Debug, Clone, Copy)]
pub struct Companion {
    /// What its name has behind that of the file.
    pub suffix: &'static str,
    /// Whether the library locks it. Then nothing else opens it, not even to read: to close it
    /// again would release the locks.
    pub is_locked: bool,
}

/// A file that a library of the host opens by its path, and which of its companions
/// nothing else may change, as long as this exists. When it is dropped, that ends soon; by
/// [`release`](HeldFile::release), at once.
///
/// Its [companions](Companion) are files beside it whose names are its own with something behind.
/// No [`Dir`](crate::Dir) opens, renames, links or removes the file; none changes, renames,
/// links or removes a companion.
#[derive(Debug)]
pub struct HeldFile {
    held: Arc<Holding>,
    access: Access,
    is_released: bool,
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
    /// Those of them that the library locks.
    locked: Vec<FileId>,
    companions: &'static [Companion],
    /// How many [`HeldFile`]s there are of it. It is changed while all that are held are
    /// locked.
    holders: AtomicUsize,
    /// Descriptors of what is locked that would have been closed, and what is charged for them.
    unclosed: Mutex<Vec<(fs::File, Option<Charge>)>>,
    /// The file, if something was read of it here.
    reader: Mutex<Option<fs::File>>,
}

/// The result of [`Held::insert`].
pub(crate) enum Inserted {
    Held(Arc<Holding>),
    /// Something is being done with these files.
    Busy(Vec<FileId>),
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

/// What is held now. Nothing else becomes held as long as this exists. A thread may have it only
/// once.
pub(crate) fn held() -> RwLockReadGuard<'static, Held> {
    HELD.read()
}

/// Files that are being cut off or closed, and how often.
static BUSY: LazyLock<Mutex<HashMap<FileId, usize>>> = LazyLock::new(Mutex::default);

/// Notified when a file is no longer among them.
static IDLE: Condvar = Condvar::new();

/// As long as this exists, the file does not become held.
#[must_use]
pub(crate) struct Busy(FileId);

impl Busy {
    /// Notes that something is done with a file.
    ///
    /// - `_held`: of which it was checked that it allows that.
    pub(crate) fn new(id: FileId, _held: &Held) -> Busy {
        *BUSY.lock().entry(id).or_default() += 1;
        Busy(id)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut busy = BUSY.lock();
        if let Some(count) = busy.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.0);
                IDLE.notify_all();
            }
        }
    }
}

/// Waits until nothing is done with some files. What is held must not be locked.
pub(crate) fn wait_for(ids: &[FileId]) {
    let mut busy = BUSY.lock();
    while is_any_busy(&busy, ids) {
        IDLE.wait(&mut busy);
    }
}

fn is_any_busy(busy: &HashMap<FileId, usize>, ids: &[FileId]) -> bool {
    ids.iter().any(|id| busy.contains_key(id))
}

/// Closes a file, or keeps it open, and charged, until it is no longer held. If that is to free many
/// blocks, a thread for the disk does it.
pub(crate) fn close(file: fs::File, id: FileId, charge: Option<Charge>) {
    let held = held();
    if let Some(holding) = held.locking_id(id) {
        holding.unclosed.lock().push((file, charge));
        return;
    }
    let busy = Busy::new(id, &held);
    drop(held);
    let is_long = frees_much(&file);
    let close = move || {
        drop(file);
        drop((busy, charge));
    };
    match is_long {
        true => Class::Disk.queue().run_detached(close),
        false => close(),
    }
}

impl HeldFile {
    /// Returns the file that was found under a name of a directory.
    pub(crate) fn new(held: Arc<Holding>, access: Access) -> HeldFile {
        HeldFile {
            held,
            access,
            is_released: false,
        }
    }

    /// Ends that the file is held, and waits for that. It blocks the thread.
    pub fn release(mut self) {
        self.is_released = true;
        self.held.release();
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
                    let other = reader.take().map(|file| (file, None));
                    self.held.unclosed.lock().extend(other);
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
    ///
    /// - `file`: the file, perhaps without it being open.
    pub(crate) fn check_found(&self, file: &fs::File, found: &Metadata) -> io::Result<()> {
        let id = (found.device, found.inode);
        match self.locking(file, id)? {
            Some(_) => Err(busy()),
            None => Ok(()),
        }
    }

    /// Returns a file that was opened, or fails if it must not be open.
    ///
    /// - `changes`: whether it can be changed.
    /// - `charge`: what is charged for it, which is taken if it cannot be closed.
    pub(crate) fn check_opened(
        &self,
        file: fs::File,
        metadata: &Metadata,
        changes: bool,
        charge: &mut Option<Charge>,
    ) -> io::Result<fs::File> {
        let id = (metadata.device, metadata.inode);
        if let Some(holding) = self.locking(&file, id)? {
            holding.unclosed.lock().push((file, charge.take()));
            return Err(busy());
        }
        match changes && (self.ids.contains_key(&id) || self.companion(&file, id)?.is_some()) {
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

    /// Returns beside which file that is held a file was made, and as what. Such a file has one
    /// name, which nobody can change.
    fn companion(
        &self,
        file: &fs::File,
        id: FileId,
    ) -> io::Result<Option<(&Arc<Holding>, Companion)>> {
        if self.is_empty() {
            return Ok(None);
        }
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let path = fs::read_link(link)?;
        let Some(name) = path.file_name() else {
            return Ok(None);
        };
        let Some(dirs) = self.names.get(name) else {
            return Ok(None);
        };
        Ok(dirs.values().find_map(|holding| {
            let companion = holding.companion(name)?;
            (holding.id_beside(name) == Some(id)).then_some((holding, companion))
        }))
    }

    /// Returns what is held of which the library locks this file.
    fn locking(&self, file: &fs::File, id: FileId) -> io::Result<Option<&Arc<Holding>>> {
        if let Some(holding) = self.locking_id(id) {
            return Ok(Some(holding));
        }
        let beside = self.companion(file, id)?;
        let locking = beside.filter(|(_, companion)| companion.is_locked);
        Ok(locking.map(|(holding, _)| holding))
    }

    /// The same for a file that was there before it was held.
    fn locking_id(&self, id: FileId) -> Option<&Arc<Holding>> {
        match self.ids.contains_key(&id) {
            true => self.holdings().find(|holding| holding.locked.contains(&id)),
            false => None,
        }
    }

    fn holdings(&self) -> impl Iterator<Item = &Arc<Holding>> {
        self.names.values().flat_map(HashMap::values)
    }

    /// Holds a file that was found under a name of a directory, unless something is being done
    /// with it or its companions.
    pub(crate) fn insert(
        &mut self,
        dir: OwnedFd,
        name: &OsStr,
        found: &Metadata,
        companions: &'static [Companion],
    ) -> io::Result<Inserted> {
        let dir_id = id_of(dir.as_fd())?;
        let known = self.names.get(name).and_then(|dirs| dirs.get(&dir_id));
        if let Some(holding) = known {
            // Otherwise it is a companion of another, or was exchanged from outside.
            let is_it = holding.name == name && holding.id == (found.device, found.inode);
            return match is_it {
                true => {
                    holding.holders.fetch_add(1, Ordering::Relaxed);
                    Ok(Inserted::Held(holding.clone()))
                }
                false => Err(busy()),
            };
        }
        let id = (found.device, found.inode);
        let mut holding = Holding {
            dir,
            dir_id,
            name: name.to_owned(),
            id,
            ids: vec![id],
            locked: vec![id],
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
        for (name, companion) in names[1..].iter().zip(companions) {
            let Some(id) = holding.id_beside(name) else {
                continue;
            };
            holding.ids.push(id);
            if companion.is_locked {
                holding.locked.push(id);
            }
        }
        if is_any_busy(&BUSY.lock(), &holding.ids) {
            return Ok(Inserted::Busy(holding.ids));
        }
        for id in &holding.ids {
            *self.ids.entry(*id).or_default() += 1;
        }
        let holding = Arc::new(holding);
        for name in names {
            let dirs = self.names.entry(name).or_default();
            dirs.insert(dir_id, holding.clone());
        }
        Ok(Inserted::Held(holding))
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
        let companions = self.companions.iter().map(|companion| {
            let mut name = self.name.clone();
            name.push(companion.suffix);
            name
        });
        std::iter::once(self.name.clone()).chain(companions)
    }

    /// Returns its companion of this name.
    fn companion(&self, name: &OsStr) -> Option<Companion> {
        let found = self.names().skip(1).position(|companion| companion == name);
        found.map(|at| self.companions[at])
    }

    /// Ends one of its [`HeldFile`]s.
    fn release(&self) {
        let mut held = HELD.write();
        if self.holders.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        held.remove(self);
        // Whoever holds it next locks it only when all have been closed.
        let ids = self.ids.iter();
        let _busy: Vec<Busy> = ids.map(|id| Busy::new(*id, &held)).collect();
        drop(held);
        drop(mem::take(&mut *self.unclosed.lock()));
        drop(self.reader.lock().take());
    }

    fn id_beside(&self, name: &OsStr) -> Option<FileId> {
        let stat = statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        if !self.is_released {
            let held = self.held.clone();
            Class::Cache.queue().run_detached(move || held.release());
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use futures_lite::future::block_on;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::dir::Dir;

    #[test]
    fn who_holds_a_file_waits_until_nothing_is_done_with_it_and_nobody_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "").unwrap();
        let found = Metadata::of(&fs::File::open(&path).unwrap()).unwrap();
        let busy = Busy::new((found.device, found.inode), &held());
        let dir = block_on(Dir::open_host(folder.path(), Access::ReadWrite)).unwrap();
        let (done, is_done) = channel();
        let waiting = thread::spawn({
            let dir = dir.clone();
            move || {
                let held = block_on(dir.hold("a", &[])).unwrap();
                done.send(()).unwrap();
                held
            }
        });
        for _ in 0..10 {
            block_on(dir.hold("b", &[])).unwrap().release();
            block_on(dir.symlink("b", "c")).unwrap();
            block_on(dir.remove_file("c")).unwrap();
        }
        assert!(is_done.try_recv().is_err());
        drop(busy);
        let held = waiting.join().unwrap();
        assert!(block_on(dir.remove_file("a")).is_err());
        held.release();
        block_on(dir.remove_file("a")).unwrap();
    }
}
