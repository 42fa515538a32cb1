//! An open file.

use std::fs;
use std::io::{self, Read, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lunatic_account::Charge;
use lunatic_blocking::Class;
use rustix::fs::{FallocateFlags, OFlags, fadvise, fallocate, fcntl_getfl, fcntl_setfl, futimens};

use crate::access::Access;
use crate::held::{self, Busy, FileId};
use crate::metadata::{Kind, Metadata};
use crate::open::Durability;
use crate::protected::Protected;
use crate::times::Times;

/// The most bytes that one operation reads or writes: so long, one thread is kept from others.
const MAX_BYTES: usize = 1 << 20;

/// An open file. All clones are the same open file, with the same position.
///
/// # Examples
///
/// ```
/// use lunatic_fs::{Access, Dir, Node, OpenOptions};
///
/// # futures_lite::future::block_on(async {
/// let dir = Dir::open_host(std::env::temp_dir(), Access::ReadWrite).await?;
/// let name = format!("lunatic-fs-{}.txt", std::process::id());
/// let options = OpenOptions {
///     read: true,
///     write: true,
///     create_new: true,
///     ..OpenOptions::default()
/// };
/// let Node::File(file) = dir.open(&*name, options).await? else {
///     panic!("a new file is a file");
/// };
/// file.write(b"hello world".to_vec()).await?;
/// assert_eq!(file.read_at(5, 6).await?, b"world");
/// assert_eq!(file.position()?, 11);
/// dir.remove_file(&*name).await?;
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct File {
    handle: Arc<Handle>,
    id: FileId,
    kind: Kind,
    access: Access,
    protected: Protected,
    /// What its writes wait for.
    writes: Class,
}

/// How a part of a file will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// It will be read from the start to the end.
    Sequential,
    /// It will be read in any order.
    Random,
    /// It will be read soon.
    WillNeed,
    /// It will not be read soon.
    DontNeed,
    /// It will be read once.
    NoReuse,
}

impl File {
    /// - `protected`: where nothing may be changed, though it may be open to be read.
    /// - `durability`: what its writes wait for.
    /// - `charge`: what is charged for it until it is closed.
    pub(crate) fn new(
        file: fs::File,
        metadata: &Metadata,
        access: Access,
        protected: Protected,
        durability: Durability,
        charge: Option<Charge>,
    ) -> File {
        let id = (metadata.device, metadata.inode);
        let handle = Handle {
            file: Some(file),
            id,
            charge,
        };
        File {
            handle: Arc::new(handle),
            id,
            kind: metadata.kind,
            access,
            protected,
            writes: match durability {
                Durability::None => Class::Cache,
                Durability::Data | Durability::All => Class::Disk,
            },
        }
    }

    /// Returns the kind of file.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads at most `max` bytes from the position on, and at most 1 MiB. If there are none, the
    /// file has no more.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        self.run(move |mut file| fill(max, |buffer| file.read(buffer)))
            .await
    }

    /// Reads at most `max` bytes from `offset` on, and at most 1 MiB, and does not change the
    /// position.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn read_at(&self, max: usize, offset: u64) -> io::Result<Vec<u8>> {
        self.run(move |file| fill(max, |buffer| file.read_at(buffer, offset)))
            .await
    }

    /// Writes at the position, or at the end if the file was opened to append, and
    /// returns how many of the bytes were written, which are 1 MiB at most.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn write(&self, bytes: Vec<u8>) -> io::Result<usize> {
        let write = move |mut file: &fs::File| file.write(first(&bytes));
        self.run_on(self.writes, write).await
    }

    /// Writes at `offset`, and does not change the position. Returns how many of the
    /// bytes were written, which are 1 MiB at most.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<usize> {
        let write = move |file: &fs::File| file.write_at(first(&bytes), offset);
        self.run_on(self.writes, write).await
    }

    /// Moves the position and returns the new one.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because it would be negative.
    pub async fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        match to {
            // A network file system may have to ask where the end is.
            SeekFrom::End(_) => self.run(move |file| seek(file, to)).await,
            SeekFrom::Start(_) | SeekFrom::Current(_) => seek(self.handle.get()?, to),
        }
    }

    /// Returns the position.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because it is a pipe.
    pub fn position(&self) -> io::Result<u64> {
        Ok(rustix::fs::tell(self.handle.get()?)?)
    }

    /// Sets whether writes go to the end.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn set_append(&self, append: bool) -> io::Result<()> {
        let file = self.handle.get()?;
        let mut flags = fcntl_getfl(file)?;
        flags.set(OFlags::APPEND, append);
        Ok(fcntl_setfl(file, flags)?)
    }

    /// Returns the metadata of the file.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.run(Metadata::of).await
    }

    /// Sets the length of the file, which is cut off or filled up with zeros.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because the file was not opened
    /// to write, or because a library of the host [holds](crate::HeldFile) it.
    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        let id = self.id;
        // To free the blocks of a large file can take long.
        self.run_on(Class::Disk, move |file| {
            let held = held::held();
            held.check_length(id)?;
            let _busy = Busy::new(id, &held);
            drop(held);
            file.set_len(length)
        })
        .await
    }

    /// Changes the times of the file.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, if the directory is read-only, or if the file is in one
    /// that is [protected](crate::protect).
    pub async fn set_times(&self, times: Times) -> io::Result<()> {
        self.access.check_change()?;
        let protected = self.protected.clone();
        self.run(move |file| {
            protected.check_open(file)?;
            Ok(futimens(file, &times.into())?)
        })
        .await
    }

    /// Waits until the data is on the disk.
    ///
    /// - `metadata`: whether to wait for the metadata too.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn sync(&self, metadata: bool) -> io::Result<()> {
        self.run_on(Class::Disk, move |file| match metadata {
            true => file.sync_all(),
            false => file.sync_data(),
        })
        .await
    }

    /// Allocates space on the disk for a part of the file, which grows if it ends
    /// before.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, for example because the disk is full.
    pub async fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.run_on(Class::Disk, move |file| {
            Ok(fallocate(file, FallocateFlags::empty(), offset, length)?)
        })
        .await
    }

    /// Tells the operating system how a part of the file will be used. A length of 0
    /// means up to its end.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn advise(&self, offset: u64, length: u64, advice: Advice) -> io::Result<()> {
        let length = NonZeroU64::new(length);
        self.run(move |file| Ok(fadvise(file, offset, length, advice.into())?))
            .await
    }

    /// Closes the file, if this is its last clone.
    pub async fn close(self) {
        if let Some(close) = Arc::into_inner(self.handle).and_then(Handle::into_close) {
            Class::Cache.queue().run(close).await;
        }
    }

    async fn run<R: Send + 'static>(
        &self,
        operation: impl FnOnce(&fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        self.run_on(Class::Cache, operation).await
    }

    async fn run_on<R: Send + 'static>(
        &self,
        class: Class,
        operation: impl FnOnce(&fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let handle = self.handle.clone();
        let operation = move || operation(handle.get()?);
        class.queue().run(operation).await
    }
}

/// A file that is closed on another thread when it is dropped. Closing can take long:
/// for the last descriptor of a deleted file its blocks are freed, and a network file
/// system writes back.
#[derive(Debug)]
struct Handle {
    /// `None` when it is being closed.
    file: Option<fs::File>,
    id: FileId,
    charge: Option<Charge>,
}

impl Handle {
    fn get(&self) -> io::Result<&fs::File> {
        let closed = || io::Error::from(rustix::io::Errno::BADF);
        self.file.as_ref().ok_or_else(closed)
    }

    /// Returns what closes it. It is charged until then.
    fn into_close(mut self) -> Option<impl FnOnce() + Send + 'static> {
        self.take_close()
    }

    fn take_close(&mut self) -> Option<impl FnOnce() + Send + 'static + use<>> {
        let (file, id, charge) = (self.file.take()?, self.id, self.charge.take());
        Some(move || held::close(file, id, charge))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(close) = self.take_close() {
            Class::Cache.queue().run_detached(close);
        }
    }
}

/// Returns the bytes that one call of `read` reads.
fn fill(max: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; max.min(MAX_BYTES)];
    let count = read(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

/// Returns what of some bytes is written by one operation.
fn first(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(MAX_BYTES)]
}

fn seek(file: &fs::File, to: SeekFrom) -> io::Result<u64> {
    let to = match to {
        SeekFrom::Start(offset) => rustix::fs::SeekFrom::Start(offset),
        SeekFrom::End(offset) => rustix::fs::SeekFrom::End(offset),
        SeekFrom::Current(offset) => rustix::fs::SeekFrom::Current(offset),
    };
    Ok(rustix::fs::seek(file, to)?)
}

impl From<Advice> for rustix::fs::Advice {
    fn from(advice: Advice) -> rustix::fs::Advice {
        match advice {
            Advice::Normal => rustix::fs::Advice::Normal,
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
            Advice::NoReuse => rustix::fs::Advice::NoReuse,
        }
    }
}
