//! Reads and writes guest memory for host functions.
//!
//! Every host function of Lunatic does the same few things: it reads its
//! arguments out of the guest's memory, does its work, and writes results back.
//! This crate is the one place that knows how, so that no other crate computes
//! an address. A host function is declared once, by [`host_functions!`], with the
//! types that guests see.
//!
//! # Layout
//!
//! - [`host_functions!`]: the macro that declares host functions.
//! - `host_function`: [`HostFunction`], what is known of one without calling it.
//! - `memory`: [`Guest`], the bounds-checked view a host function has of its caller.
//! - `buffers`: [`Buffers`], the vectors that reads and writes take.
//! - `calling`: [`call_guest`], how a host function calls its caller.
//! - `call_end`: tells that a call of a host function is over.
//! - `answering`, `shared_caller`: [`SharedCaller`], how a host function waits.
//! - `table`: [`Table`], the ids a guest holds for host resources.
//! - `errors`: the error table and the namespace `lunatic::error`.
//! - [`params`]: the 17-byte argument records of `spawn`.
//! - `timeout`: the timeout argument and what `9027` means.
//! - `trap`: [`Misuse`], why a host function refused its arguments.
//! - [`version`]: the namespace `lunatic::version`.
//!
//! # Invariants
//!
//! - An address computed from guest values is checked before anything is
//!   allocated, read or written for it.
//! - Nothing here knows what a resource means.

mod answering;
mod buffers;
mod call_end;
mod calling;
mod errors;
mod host_function;
mod host_functions;
mod memory;
pub mod params;
mod shared_caller;
mod table;
mod timeout;
mod trap;
pub mod version;

pub use buffers::{Buffers, ranges};
pub use call_end::CallEnd;
pub use calling::{UncaughtException, call_guest};
pub use errors::{ErrorTable, GuestError};
pub use host_function::{HostFunction, HostResult, HostValue, Param, ValueType};
#[doc(hidden)]
pub use host_functions::expansion;
use memory::look_at_clock_next;
pub use memory::{AbiHost, Guest, slice, slice_mut};
pub use shared_caller::SharedCaller;
pub use table::{NotInserted, Resource, Table};
pub use timeout::{Deadline, TIMED_OUT, Timeout};
pub use trap::{Misuse, TableLimit};

host_functions! {
    /// Registers `lunatic::error` and `lunatic::version`.
    pub fn add_to_linker<T: AbiHost>(Linker<T>);
    /// The functions of `lunatic::error` and `lunatic::version`.
    pub const HOST_FUNCTIONS;

    use errors, version;
}
