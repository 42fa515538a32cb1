//! An open file.

use std::fs;
use std::io::{self, Read, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lunatic_blocking::Class;
use rustix::fs::{FallocateFlags, OFlags, fadvise, fallocate, fcntl_getfl, fcntl_setfl, futimens};

use crate::access::Access;
use crate::metadata::{Kind, Metadata};
use crate::times::Times;

/// An open file. A clone is the same open file, with the same position.
#[derive(Debug, Clone)]
pub struct File {
    handle: Arc<Handle>,
    kind: Kind,
    access: Access,
}

/// What a program will do with a part of a file.
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
    pub(crate) fn new(file: fs::File, kind: Kind, access: Access) -> File {
        File {
            handle: Arc::new(Handle(Some(file))),
            kind,
            access,
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads at most `max` bytes from the position on; none mean the end.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        self.run(move |mut file| fill(max, |buffer| file.read(buffer)))
            .await
    }

    /// Reads at most `max` bytes from `offset` on; the position stays.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn read_at(&self, max: usize, offset: u64) -> io::Result<Vec<u8>> {
        self.run(move |file| fill(max, |buffer| file.read_at(buffer, offset)))
            .await
    }

    /// Writes at the position, or at the end if the file was opened to append,
    /// and returns how many bytes it was.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn write(&self, bytes: Vec<u8>) -> io::Result<usize> {
        self.run(move |mut file| file.write(&bytes)).await
    }

    /// Writes at `offset`; the position stays.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn write_at(&self, bytes: Vec<u8>, offset: u64) -> io::Result<usize> {
        self.run(move |file| file.write_at(&bytes, offset)).await
    }

    /// Moves the position and returns the new one.
    ///
    /// # Errors
    ///
    /// What the operating system says, for example that it would be negative.
    pub async fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        match to {
            // Where the end is, a network file system may have to ask.
            SeekFrom::End(_) => self.run(move |file| seek(file, to)).await,
            SeekFrom::Start(_) | SeekFrom::Current(_) => seek(self.handle.get()?, to),
        }
    }

    /// The position.
    ///
    /// # Errors
    ///
    /// What the operating system says, for example that it is a pipe.
    pub fn position(&self) -> io::Result<u64> {
        Ok(rustix::fs::tell(self.handle.get()?)?)
    }

    /// Whether writes go to the end from now on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn set_append(&self, append: bool) -> io::Result<()> {
        let file = self.handle.get()?;
        let mut flags = fcntl_getfl(file)?;
        flags.set(OFlags::APPEND, append);
        Ok(fcntl_setfl(file, flags)?)
    }

    /// What is known of the file.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.run(|file| file.metadata().map(Metadata::from)).await
    }

    /// Cuts the file off or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// What the operating system says, for example that it is not open to write.
    pub async fn set_len(&self, length: u64) -> io::Result<()> {
        self.run(move |file| file.set_len(length)).await
    }

    /// Changes the times of the file.
    ///
    /// # Errors
    ///
    /// What the operating system says, or that the directory is read-only.
    pub async fn set_times(&self, times: Times) -> io::Result<()> {
        self.access.check_change()?;
        self.run(move |file| Ok(futimens(file, &times.into())?))
            .await
    }

    /// Waits until the data, and all metadata too if `metadata`, is on the disk.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn sync(&self, metadata: bool) -> io::Result<()> {
        self.run_on(Class::Disk, move |file| match metadata {
            true => file.sync_all(),
            false => file.sync_data(),
        })
        .await
    }

    /// Sees to it that there is room on the disk for a part of the file, which
    /// grows if it ends before.
    ///
    /// # Errors
    ///
    /// What the operating system says, for example that the disk is full.
    pub async fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.run_on(Class::Disk, move |file| {
            Ok(fallocate(file, FallocateFlags::empty(), offset, length)?)
        })
        .await
    }

    /// Tells the operating system what will be done with a part of the file; a
    /// length of 0 means up to its end.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn advise(&self, offset: u64, length: u64, advice: Advice) -> io::Result<()> {
        let length = NonZeroU64::new(length);
        self.run(move |file| Ok(fadvise(file, offset, length, advice.into())?))
            .await
    }

    /// Closes the file, if this is its last clone.
    pub async fn close(self) {
        if let Some(file) = Arc::into_inner(self.handle).and_then(Handle::into_inner) {
            Class::Cache.queue().run(move || drop(file)).await;
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

/// A file that is closed where that may take long: the last descriptor of a
/// deleted file frees its blocks, and a network file system writes back.
#[derive(Debug)]
struct Handle(Option<fs::File>);

impl Handle {
    fn get(&self) -> io::Result<&fs::File> {
        let closed = || io::Error::from(rustix::io::Errno::BADF);
        self.0.as_ref().ok_or_else(closed)
    }

    fn into_inner(mut self) -> Option<fs::File> {
        self.0.take()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            Class::Cache.queue().run_detached(move || drop(file));
        }
    }
}

/// What one call of `read` gives.
fn fill(max: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; max];
    let count = read(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
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
