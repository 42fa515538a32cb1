//! Lists a directory in pieces.

use std::io;

use lunatic_blocking::Class;

use crate::entry::{Entry, Stream};

/// The entries of a directory, which are read in pieces: however many there are, each
/// piece is a short operation, and only one is in memory.
///
/// # Examples
///
/// ```
/// use lunatic_fs::{Access, Dir};
///
/// # futures_lite::future::block_on(async {
/// let dir = Dir::open_host(std::env::temp_dir(), Access::ReadOnly).await?;
/// let mut listing = dir.list(0).await?;
/// while let Some(entries) = listing.next(100).await? {
///     assert!(entries.len() <= 100);
/// }
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Listing {
    /// `None` if the last operation was dropped or has failed.
    stream: Option<Stream>,
}

impl Listing {
    pub(crate) fn new(stream: Stream) -> Listing {
        Listing {
            stream: Some(stream),
        }
    }

    /// Returns the next entries, or `None` if there are no more.
    ///
    /// - `max`: how many are read. Fewer are returned if names are not UTF-8, perhaps
    ///   none.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does, or if an earlier call failed or was dropped.
    pub async fn next(&mut self, max: usize) -> io::Result<Option<Vec<Entry>>> {
        let ended = || io::Error::other("the listing of the directory has ended");
        let mut stream = self.stream.take().ok_or_else(ended)?;
        let read = move || {
            let entries = stream.next(max);
            (stream, entries)
        };
        let (stream, entries) = Class::Cache.queue().run(read).await;
        let entries = entries?;
        self.stream = Some(stream);
        Ok(entries)
    }
}
