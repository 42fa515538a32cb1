//! The vectors of buffers that writes take (ABI §6).

use std::io::{self, IoSlice, Write};
use std::iter;

use lunatic_abi::{Buffers, Guest};
use wasmtime::{Caller, Result};

use crate::guest::NetHost;

/// So many buffers one write looks at; the guest learns how much was written and
/// goes on from there.
const MAX_COUNT: usize = 1024;

/// Reads a vector of `count` records at `ptr`.
///
/// Traps if the vector, or one of the buffers that are looked at, is not inside the
/// memory.
pub(super) fn read<T: NetHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<Buffers> {
    let (memory, _) = caller.memory_and_state()?;
    let buffers = Buffers::read(memory, ptr, count, MAX_COUNT)?;
    caller.pay_for(buffers.len() as u64);
    Ok(buffers)
}

/// Writes some of what is in the buffers, by one call of the sink.
pub(super) fn write(buffers: &Buffers, memory: &[u8], sink: &mut dyn Write) -> io::Result<usize> {
    let mut slices = buffers
        .slices(memory)
        .map(|slice| slice.map_err(io::Error::other));
    let Some(first) = slices.next() else {
        return Ok(0);
    };
    // Most vectors have one buffer, so that allocates nothing.
    if slices.len() == 0 {
        return sink.write(first?);
    }
    let all = iter::once(first).chain(slices);
    let all: Vec<_> = all
        .map(|slice| slice.map(IoSlice::new))
        .collect::<io::Result<_>>()?;
    sink.write_vectored(&all)
}
