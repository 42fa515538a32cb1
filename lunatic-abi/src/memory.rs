//! The bounds-checked view a host function has of its caller.

use std::error::Error;
use std::ops::Range;

use lunatic_error::with_causes;
use wasmtime::{AsContextMut, Caller, Extern, Memory, Result, StoreContextMut};

use crate::errors::{ErrorTable, GuestError};
use crate::trap::Misuse;

/// What the state of a process must offer to every host function.
pub trait AbiHost: Send + Sized + 'static {
    /// The memory that was exported when the instance was made, if it is known.
    ///
    /// Looking an export up by name costs more than many host functions do, so
    /// the state keeps it. While the instance is being made there is none yet.
    fn memory(&self) -> Option<Memory>;

    /// The errors that were reported to this process.
    fn errors(&mut self) -> &mut ErrorTable;

    /// Whether the runtime asks something of the process; see
    /// [`answer_requests`](AbiHost::answer_requests).
    fn has_requests(&self) -> bool {
        false
    }

    /// Answers what the runtime asks of the process. It is called where a host
    /// function waits, whenever it is woken.
    ///
    /// - `function`: the name of the host function.
    fn answer_requests(store: StoreContextMut<'_, Self>, function: &'static str) {
        let _ = (store, function);
    }
}

/// Reading and writing the memory of the guest that called.
///
/// Every range is checked before it is touched; one that is not fully inside
/// the memory is a trap. Address 0 is an ordinary address, nothing needs to be
/// aligned, numbers are little-endian (ABI §0).
pub trait Guest<T: 'static> {
    /// The guest's memory beside the state of the process.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoMemory`].
    fn memory_and_state(&mut self) -> Result<(&mut [u8], &mut T)>;

    /// Answers what the runtime asks of the process, if it asks anything. A host
    /// function that waits calls it each time it is polled.
    ///
    /// - `function`: the name of the host function.
    fn answer_requests(&mut self, function: &'static str);

    /// Reports a failure the ABI's way: keeps `error` with all its causes in the
    /// caller's error table, writes its id to `id_ptr`, and returns `1`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if there are not 8 bytes at `id_ptr`,
    /// [`Misuse::TableFull`] if the guest never drops its errors.
    fn report(&mut self, id_ptr: u32, error: &(dyn Error + 'static)) -> Result<u32>;

    /// Ends a host function that returns `0` with an id at `id_ptr`, or `1` with
    /// an error id there.
    ///
    /// # Errors
    ///
    /// As [`report`](Guest::report).
    fn answer_id<E: Error + 'static>(
        &mut self,
        id_ptr: u32,
        outcome: Result<u64, E>,
    ) -> Result<u32> {
        match outcome {
            Ok(id) => {
                self.write_u64(id_ptr, id)?;
                Ok(0)
            }
            Err(error) => self.report(id_ptr, &error),
        }
    }

    /// Ends a host function that returns `0` and writes nothing, or `1` with an
    /// error id at `id_ptr`.
    ///
    /// # Errors
    ///
    /// As [`report`](Guest::report).
    fn answer<E: Error + 'static>(&mut self, id_ptr: u32, outcome: Result<(), E>) -> Result<u32> {
        match outcome {
            Ok(()) => Ok(0),
            Err(error) => self.report(id_ptr, &error),
        }
    }

    /// The bytes at `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn bytes(&mut self, ptr: u32, len: u32) -> Result<&[u8]> {
        let (memory, _) = self.memory_and_state()?;
        Ok(slice(memory, ptr, u64::from(len))?)
    }

    /// The bytes at `ptr`, to write.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn bytes_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8]> {
        let (memory, _) = self.memory_and_state()?;
        Ok(slice_mut(memory, ptr, u64::from(len))?)
    }

    /// The text at `ptr`, which has at most `max` bytes. One that is longer is not looked
    /// at, so a guest cannot make this take long.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`], [`Misuse::TooLong`] or [`Misuse::NotUtf8`].
    fn text_within(&mut self, ptr: u32, len: u32, max: usize) -> Result<&str> {
        self.bytes(ptr, len)?;
        if len as usize > max {
            return Err(Misuse::TooLong { length: len, max }.into());
        }
        self.text(ptr, len)
    }

    /// The text at `ptr`, however long it is: to check it takes a second for each few
    /// GiB. See [`text_within`](Guest::text_within).
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] or [`Misuse::NotUtf8`].
    fn text(&mut self, ptr: u32, len: u32) -> Result<&str> {
        let bytes = self.bytes(ptr, len)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Misuse::NotUtf8 {
            address: ptr,
            length: len,
        })?)
    }

    /// `count` records of `N` bytes at `ptr`; the product is taken in 64 bits.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn records<const N: usize>(&mut self, ptr: u32, count: u32) -> Result<&[[u8; N]]> {
        let (memory, _) = self.memory_and_state()?;
        let bytes = slice(memory, ptr, u64::from(count) * N as u64)?;
        Ok(bytes.as_chunks::<N>().0)
    }

    /// Writes `bytes` to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<()> {
        let (memory, _) = self.memory_and_state()?;
        slice_mut(memory, ptr, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a `u64`, the width of every id, to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn write_u64(&mut self, ptr: u32, value: u64) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Writes a `u32` to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn write_u32(&mut self, ptr: u32, value: u32) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Checks that an id can be written to `ptr` later, so that a host function
    /// traps before it has done anything that would then be lost.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`].
    fn check_id_ptr(&mut self, ptr: u32) -> Result<()> {
        self.bytes(ptr, size_of::<u64>() as u32).map(|_| ())
    }
}

impl<T: AbiHost> Guest<T> for Caller<'_, T> {
    fn memory_and_state(&mut self) -> Result<(&mut [u8], &mut T)> {
        let memory = match self.data().memory() {
            Some(memory) => memory,
            None => exported_memory(self)?,
        };
        Ok(memory.data_and_store_mut(self))
    }

    fn answer_requests(&mut self, function: &'static str) {
        if self.data().has_requests() {
            T::answer_requests(self.as_context_mut(), function);
        }
    }

    fn report(&mut self, id_ptr: u32, error: &(dyn Error + 'static)) -> Result<u32> {
        self.check_id_ptr(id_ptr)?;
        let error = GuestError(with_causes(error).to_string());
        let id = self
            .data_mut()
            .errors()
            .insert(error)
            .map_err(Misuse::from)?;
        self.write_u64(id_ptr, id)?;
        Ok(1)
    }
}

fn exported_memory<T>(caller: &mut Caller<'_, T>) -> Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Misuse::NoMemory.into())
}

/// The part of `memory` from `ptr` on.
///
/// # Errors
///
/// [`Misuse::OutOfBounds`].
pub fn slice(memory: &[u8], ptr: u32, len: u64) -> Result<&[u8], Misuse> {
    let range = range(memory, ptr, len)?;
    Ok(&memory[range])
}

/// The part of `memory` from `ptr` on, to write.
///
/// # Errors
///
/// [`Misuse::OutOfBounds`].
pub fn slice_mut(memory: &mut [u8], ptr: u32, len: u64) -> Result<&mut [u8], Misuse> {
    let range = range(memory, ptr, len)?;
    Ok(&mut memory[range])
}

fn range(memory: &[u8], ptr: u32, len: u64) -> Result<Range<usize>, Misuse> {
    let end = u64::from(ptr) + len;
    if end > memory.len() as u64 {
        return Err(Misuse::OutOfBounds {
            address: u64::from(ptr),
            length: len,
            memory: memory.len() as u64,
        });
    }
    Ok(ptr as usize..end as usize)
}
