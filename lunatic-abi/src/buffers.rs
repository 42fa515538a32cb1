//! The vectors of buffers that reads and writes take.

use crate::memory::{slice, slice_mut};
use crate::trap::Misuse;

/// The buffers of one call, all of them inside of the guest's memory: that never
/// becomes smaller.
///
/// ```
/// use lunatic_abi::Buffers;
///
/// // At 0 a vector of two records: three bytes at 16, two bytes at 20.
/// let mut memory = [[16, 0, 0, 0], [3, 0, 0, 0], [20, 0, 0, 0], [2, 0, 0, 0]].concat();
/// memory.extend(*b"abc-de");
/// let buffers = Buffers::read(&memory, 0, 2, 1024)?;
/// assert_eq!(buffers.gather(&memory)?, b"abcde");
/// buffers.scatter(&mut memory, b"1234")?;
/// assert_eq!(memory[16..], *b"123-4e");
///
/// let mut buffers = buffers;
/// buffers.truncate(2);
/// assert_eq!(buffers.gather(&memory)?, b"12");
/// # Ok::<(), lunatic_abi::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Buffers {
    /// Address and length; none is empty, and together they are at most
    /// [`Buffers::MAX_BYTES`] long.
    ranges: Vec<(u32, u32)>,
}

impl Buffers {
    /// The highest number of bytes that one call reads or writes. The guest gets the number as
    /// the result of the call, and continues from there.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads a vector of `count` records at `ptr`; see [`ranges`].
    ///
    /// - `max_count`: the highest number of records that are read. Further records are left
    ///   out, and so are the bytes above [`MAX_BYTES`](Buffers::MAX_BYTES).
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the vector, or one of the buffers that are read, is not
    /// inside the memory.
    pub fn read(memory: &[u8], ptr: u32, count: u32, max_count: usize) -> Result<Buffers, Misuse> {
        let records = ranges(memory, ptr, count)?.take(max_count);
        // Most records of a long vector may be empty.
        let mut ranges = Vec::with_capacity(records.len().min(16));
        let mut room = Buffers::MAX_BYTES as u32;
        for (address, length) in records {
            slice(memory, address, u64::from(length))?;
            let used = length.min(room);
            if used > 0 {
                ranges.push((address, used));
                room -= used;
            }
        }
        Ok(Buffers { ranges })
    }

    /// Shortens the vector to its first `max_bytes` bytes, and to at most one buffer for each
    /// 16 of them, so that the list of buffers is small as well.
    pub fn truncate(&mut self, max_bytes: usize) {
        self.ranges.truncate(max_bytes.div_ceil(16));
        let mut room = max_bytes;
        for (_, length) in &mut self.ranges {
            let used = room.min(*length as usize);
            room -= used;
            *length = used as u32;
        }
        self.ranges.retain(|(_, length)| *length > 0);
        self.ranges.shrink_to_fit();
    }

    /// Returns how many bytes the list of buffers takes, without their contents.
    pub fn heap_bytes(&self) -> usize {
        self.ranges.capacity() * size_of::<(u32, u32)>()
    }

    /// Returns how many bytes the buffers take together.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|(_, length)| *length as usize).sum()
    }

    /// Returns whether the buffers take no byte.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns the content of each buffer that is not empty, or
    /// [`Misuse::OutOfBounds`] if this is not the memory that the vector was read from.
    pub fn slices<'m>(
        &'m self,
        memory: &'m [u8],
    ) -> impl ExactSizeIterator<Item = Result<&'m [u8], Misuse>> {
        let ranges = self.ranges.iter();
        ranges.map(|(address, length)| slice(memory, *address, u64::from(*length)))
    }

    /// Returns the content of all buffers in one piece.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] as for [`slices`](Buffers::slices).
    pub fn gather(&self, memory: &[u8]) -> Result<Vec<u8>, Misuse> {
        let mut bytes = Vec::with_capacity(self.len());
        for slice in self.slices(memory) {
            bytes.extend_from_slice(slice?);
        }
        Ok(bytes)
    }

    /// Fills the buffers with `bytes`, as far as these go.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] as for [`slices`](Buffers::slices).
    pub fn scatter(&self, memory: &mut [u8], mut bytes: &[u8]) -> Result<(), Misuse> {
        for (address, length) in &self.ranges {
            let (part, rest) = bytes.split_at(bytes.len().min(*length as usize));
            slice_mut(memory, *address, part.len() as u64)?.copy_from_slice(part);
            bytes = rest;
        }
        Ok(())
    }
}

/// Returns `count` records at `ptr`, each an address and a length, as two `u32`s.
///
/// # Errors
///
/// [`Misuse::OutOfBounds`] if the records are not inside the memory. Where they lead
/// is not checked.
pub fn ranges(
    memory: &[u8],
    ptr: u32,
    count: u32,
) -> Result<impl ExactSizeIterator<Item = (u32, u32)> + '_, Misuse> {
    const RECORD_BYTES: u64 = 8;
    let records = slice(memory, ptr, u64::from(count) * RECORD_BYTES)?;
    let records = records.as_chunks().0.iter();
    Ok(records.map(|[a, b, c, d, e, f, g, h]| {
        let address = u32::from_le_bytes([*a, *b, *c, *d]);
        let length = u32::from_le_bytes([*e, *f, *g, *h]);
        (address, length)
    }))
}
