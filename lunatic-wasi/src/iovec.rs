//! The vectors of buffers that reads and writes take.

use lunatic_abi::{Buffers, Guest, ranges};
use lunatic_account::{Charge, Kind};
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::Failure;

/// The longest vector that a call takes.
const MAX_COUNT: usize = 1 << 16;

/// The most bytes that a call reads or writes: as many as one operation on a file does. Who wants
/// more learns how many it were, and goes on from there.
const MAX_BYTES: usize = 1 << 20;

/// Reads a vector of `count` buffers at `ptr`, and cuts it to what one call reads or writes.
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
    let mut buffers = Buffers::read(memory, ptr, count, MAX_COUNT)?;
    if buffers.len() > MAX_BYTES {
        buffers.truncate(MAX_BYTES);
    }
    Ok(buffers)
}

/// What is charged for the bytes of a call while it waits.
pub(crate) type InFlight = Option<Charge>;

/// Reads a vector like [`read`], and charges it with a copy of what is in its buffers. If the account has no
/// memory left for it, the vector is cut to what is not charged: the caller learns how many bytes
/// it were, and goes on from there.
///
/// Ends as [`read`] does.
pub(crate) fn read_charged<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<(Buffers, InFlight), Failure> {
    /// Fewer bytes are not charged: a process that waits takes more than that.
    const FREE_BYTES: usize = 4096;
    let mut buffers = read(caller, ptr, count)?;
    let bytes = buffers.len() + buffers.heap_bytes();
    if bytes <= FREE_BYTES {
        return Ok((buffers, None));
    }
    match Charge::new(caller.data().account(), Kind::Memory, bytes as u64) {
        Ok(charge) => Ok((buffers, Some(charge))),
        Err(_) => {
            buffers.truncate(FREE_BYTES / 2);
            Ok((buffers, None))
        }
    }
}

/// Copies what is in the buffers of a vector, as far as it can be
/// [charged](read_charged).
///
/// Ends as [`read`] does.
pub(crate) fn gather<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<(Vec<u8>, InFlight), Failure> {
    let (buffers, charge) = read_charged(caller, ptr, count)?;
    caller.pay_for(buffers.len() as u64);
    let (memory, _) = caller.memory_and_state()?;
    Ok((buffers.gather(memory)?, charge))
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
