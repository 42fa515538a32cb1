//! The vectors of buffers that reads and writes take.

use lunatic_abi::Guest;
use lunatic_abi::{slice, slice_mut};
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::Failure;

/// The buffers of one call, all of them inside of the guest's memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Address and length; none is empty, and together they are at most
    /// [`Buffers::MAX_BYTES`] long.
    ranges: Vec<(u32, u32)>,
}

impl Buffers {
    /// The most that one call reads or writes; a guest learns how much it was
    /// and goes on from there.
    pub(crate) const MAX_BYTES: usize = 1 << 20;

    /// The longest vector that a call takes.
    const MAX_COUNT: u32 = 1 << 16;

    /// Reads a vector of `count` buffers at `ptr`.
    ///
    /// `inval` if there are too many; a trap if the vector or one of the
    /// buffers is not inside the memory.
    pub(crate) fn read<T: WasiHost>(
        caller: &mut Caller<'_, T>,
        ptr: u32,
        count: u32,
    ) -> Result<Buffers, Failure> {
        const RECORD: u64 = 8;
        let (memory, _) = caller.memory_and_state()?;
        let records = slice(memory, ptr, u64::from(count) * RECORD)?;
        if count > Buffers::MAX_COUNT {
            return Err(Errno::Invalid.into());
        }
        let mut ranges = Vec::new();
        let mut room = Buffers::MAX_BYTES as u32;
        for [a, b, c, d, e, f, g, h] in records.as_chunks().0 {
            let address = u32::from_le_bytes([*a, *b, *c, *d]);
            let length = u32::from_le_bytes([*e, *f, *g, *h]);
            slice(memory, address, u64::from(length))?;
            let used = length.min(room);
            if used > 0 {
                ranges.push((address, used));
                room -= used;
            }
        }
        Ok(Buffers { ranges })
    }

    /// How many bytes the buffers take together.
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(|(_, length)| *length as usize).sum()
    }

    /// The content of the buffers.
    pub(crate) fn gather<T: WasiHost>(
        &self,
        caller: &mut Caller<'_, T>,
    ) -> Result<Vec<u8>, Failure> {
        let (memory, _) = caller.memory_and_state()?;
        let mut bytes = Vec::with_capacity(self.len());
        for (address, length) in &self.ranges {
            bytes.extend_from_slice(slice(memory, *address, u64::from(*length))?);
        }
        Ok(bytes)
    }

    /// Fills the buffers with `bytes`, as far as these go.
    pub(crate) fn scatter<T: WasiHost>(
        &self,
        caller: &mut Caller<'_, T>,
        mut bytes: &[u8],
    ) -> Result<(), Failure> {
        let (memory, _) = caller.memory_and_state()?;
        for (address, length) in &self.ranges {
            let (part, rest) = bytes.split_at(bytes.len().min(*length as usize));
            slice_mut(memory, *address, part.len() as u64)?.copy_from_slice(part);
            bytes = rest;
        }
        Ok(())
    }
}
