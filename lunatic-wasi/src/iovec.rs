//! The vectors of buffers that reads and writes take.

use lunatic_abi::{Buffers, Guest, ranges};
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::Failure;

/// The longest vector that a call takes.
const MAX_COUNT: usize = 1 << 16;

/// Reads a vector of `count` buffers at `ptr`.
///
/// `inval` if there are too many; a trap if the vector or one of the buffers is
/// not inside the memory.
pub(crate) fn read<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<Buffers, Failure> {
    let (memory, _) = caller.memory_and_state()?;
    if ranges(memory, ptr, count)?.len() > MAX_COUNT {
        return Err(Errno::Invalid.into());
    }
    Ok(Buffers::read(memory, ptr, count, MAX_COUNT)?)
}

/// Copies what is in the buffers of a vector.
///
/// Ends as [`read`] does.
pub(crate) fn gather<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<Vec<u8>, Failure> {
    let buffers = read(caller, ptr, count)?;
    caller.pay_for(buffers.len() as u64);
    let (memory, _) = caller.memory_and_state()?;
    Ok(buffers.gather(memory)?)
}

/// Writes `bytes` into the buffers, and how many they are to `count_ptr`.
pub(crate) fn scatter<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    buffers: &Buffers,
    bytes: &[u8],
    count_ptr: u32,
) -> Result<(), Failure> {
    caller.pay_for(bytes.len() as u64);
    let (memory, _) = caller.memory_and_state()?;
    buffers.scatter(memory, bytes)?;
    Ok(caller.write_u32(count_ptr, bytes.len() as u32)?)
}
