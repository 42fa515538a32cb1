//! Reads and writes guest memory for host functions.
//!
//! Every host function of Lunatic does the same few things: it reads its arguments out of the
//! guest's memory, does its work, and writes results back. Only this crate computes addresses in
//! guest memory. A host function is declared once, by [`host_functions!`], with the types that
//! guests see.
//!
//! # Layout
//!
//! - [`host_functions!`]: the macro that declares host functions.
//! - `host_function`: [`HostFunction`], the description of a host function.
//! - `memory`: [`Guest`], bounds-checked access to the caller of a host function.
//! - `buffers`: [`Buffers`], the vectors that reads and writes take.
//! - `calling`: [`call_guest`], a call of the guest by a host function.
//! - `call_end`: a value that is dropped when a call of a host function is over.
//! - `answering`, `shared_caller`: [`SharedCaller`], how a host function waits.
//! - `table`: [`Table`], host resources by the ids that guests use.
//! - `errors`: the error table and the namespace `lunatic::error`.
//! - [`params`]: the 17-byte argument records of `spawn`.
//! - `timeout`: the timeout argument, and the result 9027.
//! - `trap`: [`Misuse`], the errors of arguments.
//! - [`version`]: the namespace `lunatic::version`.
//!
//! # Invariants
//!
//! - An address computed from guest values is checked before anything is
//!   allocated, read or written for it.
//! - Nothing here depends on a kind of resource.

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
