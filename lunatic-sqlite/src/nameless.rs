//! What is in a file that has no name: memory, counted for the connection that made it.

use std::sync::Arc;

use crate::quota::{self, Quota};

/// It grows and shrinks by so many bytes.
const CHUNK: usize = 32 << 10;

/// What is in a file without a name.
pub(crate) struct Nameless {
    quota: Option<Arc<Quota>>,
    /// All bytes behind the length are zeros.
    chunks: Vec<Box<[u8]>>,
    length: u64,
}

/// There is no memory left.
#[derive(Debug)]
pub(crate) struct Full;

impl Nameless {
    /// Returns an empty one, of the connection for which SQLite works on this thread.
    pub(crate) fn new() -> Nameless {
        Nameless {
            quota: quota::current(),
            chunks: Vec::new(),
            length: 0,
        }
    }

    /// Returns how many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Reads what is there, and zeros behind the end. Returns whether all of it was there.
    pub(crate) fn read(&self, mut offset: u64, mut to: &mut [u8]) -> bool {
        let is_there = offset.saturating_add(to.len() as u64) <= self.length;
        while !to.is_empty() {
            let (chunk, start) = place(offset);
            let count = to.len().min(CHUNK - start);
            let (now, later) = to.split_at_mut(count);
            match self.chunks.get(chunk) {
                Some(chunk) => now.copy_from_slice(&chunk[start..start + count]),
                None => now.fill(0),
            }
            offset = offset.saturating_add(count as u64);
            to = later;
        }
        is_there
    }

    /// Writes bytes, behind the end, too.
    ///
    /// # Errors
    ///
    /// Fails if there is no memory for that.
    pub(crate) fn write(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Full> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Full)?;
        while (self.chunks.len() as u64).saturating_mul(CHUNK as u64) < end {
            self.grow()?;
        }
        self.length = self.length.max(end);
        while !bytes.is_empty() {
            let (chunk, start) = place(offset);
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - start));
            self.chunks[chunk][start..start + now.len()].copy_from_slice(now);
            offset += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Full> {
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).map_err(|_| Full)?;
        self.chunks.try_reserve(1).map_err(|_| Full)?;
        let taken = |quota: &Arc<Quota>| quota.take(CHUNK as u64);
        if !self.quota.as_ref().is_none_or(taken) {
            return Err(Full);
        }
        chunk.resize(CHUNK, 0);
        self.chunks.push(chunk.into());
        Ok(())
    }

    /// Removes what is behind a length.
    pub(crate) fn truncate(&mut self, length: u64) {
        if length >= self.length {
            return;
        }
        self.length = length;
        let (last, start) = place(length);
        self.shrink(if start == 0 { last } else { last + 1 });
        if let Some(chunk) = self.chunks.get_mut(last) {
            chunk[start..].fill(0);
        }
    }

    fn shrink(&mut self, chunks: usize) {
        let removed = self.chunks.len().saturating_sub(chunks);
        self.chunks.truncate(chunks);
        if let Some(quota) = &self.quota {
            quota.give((removed * CHUNK) as u64);
        }
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// The chunk in which a byte is, and where it is there.
fn place(offset: u64) -> (usize, usize) {
    let chunk = usize::try_from(offset / CHUNK as u64).unwrap_or(usize::MAX);
    (chunk, (offset % CHUNK as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Nameless};

    fn read(file: &Nameless, offset: u64, count: usize) -> (bool, Vec<u8>) {
        let mut bytes = vec![7; count];
        (file.read(offset, &mut bytes), bytes)
    }

    #[test]
    fn what_was_written_is_read_and_zeros_elsewhere() {
        let mut file = Nameless::new();
        assert_eq!(read(&file, 0, 2), (false, vec![0, 0]));
        let edge = 2 * CHUNK as u64;
        file.write(edge - 2, &[1, 2, 3, 4]).expect("memory");
        assert_eq!(file.length(), edge + 2);
        assert_eq!(read(&file, edge - 3, 5), (true, vec![0, 1, 2, 3, 4]));
        assert_eq!(read(&file, edge, 4), (false, vec![3, 4, 0, 0]));
        assert_eq!(read(&file, u64::MAX, 1), (false, vec![0]));
        file.write(u64::MAX, &[1])
            .expect_err("an offset that cannot be");
    }

    #[test]
    fn what_was_removed_is_zeros() {
        let mut file = Nameless::new();
        let long = vec![9; 3 * CHUNK];
        file.write(0, &long).expect("memory");
        for length in [2 * CHUNK as u64, 10, 0] {
            file.truncate(length);
            assert_eq!(file.length(), length);
            assert_eq!(file.chunks.len(), (length as usize).div_ceil(CHUNK));
        }
        file.write(5, &[1]).expect("memory");
        assert_eq!(read(&file, 0, 6), (true, vec![0, 0, 0, 0, 0, 1]));
        file.truncate(100);
        assert_eq!(file.length(), 6);
    }
}
