//! The bounds-checked view a host function has of its caller.

use std::error::Error;
use std::future::Future;
use std::ops::Range;
use std::sync::LazyLock;

use lunatic_account::Account;
use lunatic_error::with_causes;
use wasmtime::{AsContextMut, Caller, Extern, Memory, Result, StoreContextMut, Val};

use crate::answering::Answering;
use crate::call_end::CallEnd;
use crate::errors::{ErrorTable, GuestError};
use crate::shared_caller::SharedCaller;
use crate::trap::Misuse;

/// The state of a process that can call host functions.
pub trait AbiHost: Send + Sized + 'static {
    /// Returns the memory that the instance exports, if the state keeps it.
    ///
    /// If it returns `None`, as it must while the instance is being made, the memory
    /// is looked up by its name each time. That costs more than many host functions
    /// do.
    fn memory(&self) -> Option<Memory>;

    /// The name of the exported global with what is left until the guest looks at the clock, an
    /// `i32` in nanoseconds, roughly; `None` if there is none.
    const PREEMPTION_BUDGET: Option<&'static str> = None;

    /// Returns the account of the process, to which its tables and what is in them are
    /// charged. By default it is one without limits.
    fn account(&self) -> &Account {
        static UNLIMITED: LazyLock<Account> = LazyLock::new(Account::default);
        &UNLIMITED
    }

    /// Returns the errors that were reported to this process.
    fn errors(&mut self) -> &mut ErrorTable;

    /// Keeps the name of a host function that the guest has called and that may wait.
    /// [`host_functions!`](crate::host_functions) calls it for every `async fn`.
    ///
    /// - `function`: the name with its namespace, `lunatic::message::receive` for
    ///   example.
    fn enter(&mut self, function: &'static str) {
        let _ = function;
    }

    /// Called when the guest calls a host function that may wait. The returned value is dropped
    /// when the call is over. By default there is none.
    ///
    /// - `function`: as for [`enter`](AbiHost::enter).
    #[inline]
    fn begin_call(&self, function: &'static str) -> Option<CallEnd> {
        let _ = function;
        None
    }

    /// Returns whether the runtime asks something of the process; see
    /// [`answer_requests`](AbiHost::answer_requests).
    fn has_requests(&self) -> bool {
        false
    }

    /// Answers what the runtime asks of the process, which waits in the host function
    /// that it has [entered](AbiHost::enter) last.
    fn answer_requests(store: StoreContextMut<'_, Self>) {
        let _ = store;
    }

    /// Returns whether the guest may call a host function now.
    /// [`host_functions!`](crate::host_functions) asks it before every call.
    ///
    /// - `function`: the name with its namespace.
    ///
    /// # Errors
    ///
    /// Why not; the guest traps with this.
    #[inline]
    fn admit(&self, function: &'static str) -> Result<(), Misuse> {
        let _ = function;
        Ok(())
    }

    /// Returns whether the guest has run for as long as it may until others run. Before every call
    /// [`host_functions!`](crate::host_functions) asks it, as the guest does not know what host
    /// functions take: code that counts fuel yields first then, and other code at its next
    /// point of preemption. By default it never has.
    #[inline]
    fn is_time_slice_over(&self) -> bool {
        false
    }

    /// Called before code that counts fuel yields to call a host function.
    fn on_preemption(store: StoreContextMut<'_, Self>) {
        let _ = store;
    }

    /// Returns what calls of host functions cost that was not taken from the fuel of the guest
    /// yet, to change; `None` if its fuel is not limited, as by default.
    /// [`host_functions!`](crate::host_functions) asks it before every call by code that counts
    /// fuel.
    #[inline]
    fn owed_fuel(&mut self) -> Option<&mut u64> {
        None
    }

    /// Returns whether the wait that the guest is in has to end early; see
    /// [`Guest::wait_interruptible`].
    #[inline]
    fn is_interrupted(&self) -> bool {
        false
    }

    /// Called when a wait is over that could have been interrupted.
    #[inline]
    fn end_interruptible(&mut self) {}
}

/// The operations of a host function on its caller: it reads and writes its memory, reports errors,
/// waits.
///
/// Every range is checked before it is accessed; a range that is not fully inside of the memory is
/// a trap. Address 0 is an ordinary address, nothing needs to be aligned, numbers are little-endian
/// (ABI §0).
pub trait Guest<T: 'static> {
    /// Returns the guest's memory and the state of the process.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoMemory`] if the module exports no memory.
    fn memory_and_state(&mut self) -> Result<(&mut [u8], &mut T)>;

    /// Charges a guest whose fuel is limited for bytes that are copied or read: a unit for each
    /// eight (ABI §26); less than 64 are part of the price of a call. The units are taken from its
    /// fuel at one of the next calls. If they are many, the guest checks the clock sooner, too. The
    /// methods here that take a range do this by themselves.
    fn pay_for(&mut self, bytes: u64);

    /// Waits for `future`, and answers requests of the runtime to the process while it waits. Every
    /// host function waits by this, or by [`SharedCaller`](crate::SharedCaller) if `future` needs
    /// the caller.
    fn wait<F: Future + Send>(&mut self, future: F) -> impl Future<Output = F::Output> + Send;

    /// Waits for `future` as [`wait`](Guest::wait) does. Returns `None` if the wait is
    /// [interrupted](AbiHost::is_interrupted) first, with the future dropped.
    ///
    /// A future that is ready when it is first polled is never interrupted.
    fn wait_interruptible<F: Future + Send>(
        &mut self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Returns whether the wait has to end early. A future that waits and cannot be
    /// given to [`wait_interruptible`](Guest::wait_interruptible) asks whenever it is
    /// pending, after [`answer_requests`](Guest::answer_requests), and calls
    /// [`AbiHost::end_interruptible`] when the wait is over.
    fn is_interrupted(&self) -> bool;

    /// Answers what the runtime asks of the process, if it asks anything. A future
    /// that waits and cannot be given to [`wait`](Guest::wait) calls it whenever it
    /// is pending.
    fn answer_requests(&mut self);

    /// Reports an error to the guest: keeps its text, with all its causes, in the
    /// caller's error table, writes its id to `id_ptr`, and returns `1`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if there are not 8 bytes at `id_ptr`,
    /// [`Misuse::TableFull`] or [`Misuse::Exceeded`] if the guest never drops its errors.
    fn report(&mut self, id_ptr: u32, error: &(dyn Error + 'static)) -> Result<u32>;

    /// Writes the id, or the id of the error, to `id_ptr`. Returns `0` if there is an
    /// id, and `1` if there is an error.
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

    /// Returns `0`, or reports the error at `id_ptr` and returns `1`.
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

    /// Returns the bytes at `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn bytes(&mut self, ptr: u32, len: u32) -> Result<&[u8]> {
        self.pay_for(u64::from(len));
        let (memory, _) = self.memory_and_state()?;
        Ok(slice(memory, ptr, u64::from(len))?)
    }

    /// Returns the bytes at `ptr`, to write.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn bytes_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8]> {
        self.pay_for(u64::from(len));
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
    /// [`Misuse::OutOfBounds`] if it is not fully inside the memory, or
    /// [`Misuse::NotUtf8`].
    fn text(&mut self, ptr: u32, len: u32) -> Result<&str> {
        let bytes = self.bytes(ptr, len)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Misuse::NotUtf8 {
            address: ptr,
            length: len,
        })?)
    }

    /// Returns `count` records of `N` bytes at `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn records<const N: usize>(&mut self, ptr: u32, count: u32) -> Result<&[[u8; N]]> {
        let length = u64::from(count) * N as u64;
        self.pay_for(length);
        let (memory, _) = self.memory_and_state()?;
        let bytes = slice(memory, ptr, length)?;
        Ok(bytes.as_chunks::<N>().0)
    }

    /// Writes `bytes` to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<()> {
        self.pay_for(bytes.len() as u64);
        let (memory, _) = self.memory_and_state()?;
        slice_mut(memory, ptr, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a `u64`, the width of every id, to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn write_u64(&mut self, ptr: u32, value: u64) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Writes a `u32` to `ptr`.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
    fn write_u32(&mut self, ptr: u32, value: u32) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Checks that an id can be written to `ptr`. A host function calls it before it
    /// does anything, so that it traps before, and not after, something was done.
    ///
    /// # Errors
    ///
    /// [`Misuse::OutOfBounds`] if the range is not fully inside the memory.
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

    #[inline]
    fn pay_for(&mut self, bytes: u64) {
        const BYTES_OF_A_CALL: u64 = 64;
        const BYTES_FOR_A_UNIT: u64 = 8;
        /// The number of bytes from which copying takes some microseconds.
        const MANY_BYTES: u64 = 16 << 10;
        if bytes < BYTES_OF_A_CALL {
            return;
        }
        if let Some(owed) = self.data_mut().owed_fuel() {
            *owed = owed.saturating_add(bytes / BYTES_FOR_A_UNIT);
        } else if bytes >= MANY_BYTES {
            look_at_clock_sooner(self, bytes);
        }
    }

    fn wait<F: Future + Send>(&mut self, future: F) -> impl Future<Output = F::Output> + Send {
        Answering::new(future, || self.answer_requests())
    }

    fn wait_interruptible<F: Future + Send>(
        &mut self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send {
        let shared = SharedCaller::new(self);
        async move { shared.wait_interruptible(future).await }
    }

    #[inline]
    fn is_interrupted(&self) -> bool {
        self.data().is_interrupted()
    }

    #[inline]
    fn answer_requests(&mut self) {
        if self.data().has_requests() {
            T::answer_requests(self.as_context_mut());
        }
    }

    fn report(&mut self, id_ptr: u32, error: &(dyn Error + 'static)) -> Result<u32> {
        self.check_id_ptr(id_ptr)?;
        let error = GuestError(with_causes(error).to_string());
        let account = self.data().account().clone();
        let errors = self.data_mut().errors();
        let id = errors.insert(error, &account).map_err(Misuse::from)?;
        self.write_u64(id_ptr, id)?;
        Ok(1)
    }
}

/// Makes the guest check the clock at its next point of preemption.
#[cold]
pub(crate) fn look_at_clock_next<T: AbiHost>(caller: &mut Caller<'_, T>) {
    look_at_clock_sooner(caller, u64::MAX);
}

/// Takes off what is left until the guest looks at the clock what it takes to copy so many bytes.
#[cold]
fn look_at_clock_sooner<T: AbiHost>(caller: &mut Caller<'_, T>, bytes: u64) {
    const BYTES_IN_A_NANOSECOND: u64 = 8;
    let export = T::PREEMPTION_BUDGET.and_then(|name| caller.get_export(name));
    let Some(Extern::Global(budget)) = export else {
        return;
    };
    let Val::I32(left) = budget.get(&mut *caller) else {
        return;
    };
    let taken = i32::try_from(bytes / BYTES_IN_A_NANOSECOND).unwrap_or(i32::MAX);
    // Less than nothing is over, however much less. Guest code takes off what wraps.
    let left = left.saturating_sub(taken).max(-1);
    // It is mutable, and of this type.
    budget.set(caller, Val::I32(left)).ok();
}

fn exported_memory<T>(caller: &mut Caller<'_, T>) -> Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Misuse::NoMemory.into())
}

/// Returns `len` bytes of `memory` from `ptr` on.
///
/// # Errors
///
/// [`Misuse::OutOfBounds`] if they are not all inside.
pub fn slice(memory: &[u8], ptr: u32, len: u64) -> Result<&[u8], Misuse> {
    let range = range(memory, ptr, len)?;
    Ok(&memory[range])
}

/// Returns `len` bytes of `memory` from `ptr` on, to write.
///
/// # Errors
///
/// [`Misuse::OutOfBounds`] if they are not all inside.
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
