//! The vectors of buffers that writes take (ABI §6).

use std::io::{self, IoSlice, Write};

use lunatic_abi::Guest;
use lunatic_abi::slice;
use wasmtime::{Caller, Result};

use crate::guest::NetHost;

/// The buffers of one write, all of them inside of the guest's memory.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Address and length; none is empty.
    ranges: Vec<(u32, u32)>,
}

/// So many buffers, and so many bytes, one write looks at; the guest learns how
/// much was written and goes on from there.
const MAX_COUNT: usize = 1024;
const MAX_BYTES: u32 = 1 << 20;

impl Buffers {
    /// Reads a vector of `count` records at `ptr`.
    ///
    /// Traps if the vector, or one of the buffers that are looked at, is not
    /// inside the memory.
    pub(super) fn read<T: NetHost>(
        caller: &mut Caller<'_, T>,
        ptr: u32,
        count: u32,
    ) -> Result<Buffers> {
        const RECORD: u64 = 8;
        let (memory, _) = caller.memory_and_state()?;
        let records = slice(memory, ptr, u64::from(count) * RECORD)?;
        let (records, _) = records.as_chunks();
        let mut ranges = Vec::with_capacity(records.len().min(MAX_COUNT));
        let mut room = MAX_BYTES;
        for [a, b, c, d, e, f, g, h] in records.iter().take(MAX_COUNT) {
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

    /// Writes from the guest's memory.
    pub(super) fn write(&self, memory: &[u8], sink: &mut dyn Write) -> io::Result<usize> {
        let bytes = |&(address, length): &(u32, u32)| {
            // The memory has not become smaller since.
            slice(memory, address, u64::from(length)).map_err(io::Error::other)
        };
        match &*self.ranges {
            [] => Ok(0),
            [range] => sink.write(bytes(range)?),
            ranges => {
                let slices: Vec<IoSlice<'_>> = ranges
                    .iter()
                    .map(|range| bytes(range).map(IoSlice::new))
                    .collect::<io::Result<_>>()?;
                sink.write_vectored(&slices)
            }
        }
    }
}
