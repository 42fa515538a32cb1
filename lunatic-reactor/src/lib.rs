//! Waits for sockets and times on the thread that has nothing else to do.
//!
//! Tasks wait for a [`Source`], which is a socket for example, and for a [`Timer`]. The threads that
//! run the tasks wait for all of them in turn: one that has nothing to run is the [`Driver`] for a
//! while. What becomes ready then arrives on the thread that runs the task, and no other thread has
//! to be woken. A program without a driver needs nothing of this: a thread of the reactor waits.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! use lunatic_reactor::Source;
//!
//! # futures_lite::future::block_on(async {
//! let listener = Source::new(TcpListener::bind("127.0.0.1:0")?)?;
//! let client = Source::<TcpStream>::connect(listener.get_ref().local_addr()?).await?;
//! let (server, _) = listener.read_with(|listener| listener.accept()).await?;
//! let server = Source::new(server)?;
//!
//! client.write_with(|mut client| client.write(b"hello")).await?;
//! let mut buffer = [0; 16];
//! let count = server.read_with(|mut server| server.read(&mut buffer)).await?;
//! assert_eq!(&buffer[..count], b"hello");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```
//!
//! # Layout
//!
//! - `source`: [`Source`], a descriptor that tasks wait for.
//! - `timer`: [`Timer`], waiting for a time.
//! - `driver`: [`Driver`], how a thread of the program waits for all tasks.
//! - `reactor`: the one reactor of the program, on epoll.
//! - `readiness`: whether a descriptor is ready in one direction, and who waits for it.
//! - `sources`: all descriptors, by their keys.
//! - `due_times`: all times, in their order.
//! - `parking`: whether the thread that waits has to be woken by a system call.
//! - `elsewhere`: the same interface on `async-io`, for systems without epoll.
//!
//! # Invariants
//!
//! - A descriptor is made known to the kernel once, and an operation that succeeds makes no system
//!   call beside its own.
//! - A time costs no system call unless it is earlier than all others while a thread waits.
//! - No wake-up is lost: what two threads decide together is checked by loom (`cargo xtask loom`).
//! - No foreign code runs, and no foreign value is dropped, while a lock is held.
//! - No more than some hundred tasks are woken at once, except all those that wait for one descriptor.

#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod driver;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod due_times;
// Its tests run everywhere.
#[cfg(all(any(not(target_os = "linux"), test), not(lunatic_loom)))]
#[cfg_attr(
    target_os = "linux",
    allow(dead_code, unreachable_pub, reason = "it is for other systems")
)]
mod elsewhere;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod reactor;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod source;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod sources;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
mod timer;

#[cfg(all(target_os = "linux", not(lunatic_loom)))]
#[allow(unreachable_pub, reason = "the model check is outside of the crate")]
mod parking;
#[cfg(lunatic_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "only the model check sees this")]
pub mod parking;
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
#[allow(unreachable_pub, reason = "the model check is outside of the crate")]
mod readiness;
#[cfg(lunatic_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "only the model check sees this")]
pub mod readiness;

#[cfg(all(not(target_os = "linux"), not(lunatic_loom)))]
pub use elsewhere::{Driver, Known, Source, Timer, start};
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
pub use {
    driver::Driver,
    source::{Known, Source},
    timer::Timer,
};

/// Makes sure that there is what the reactor needs, so that a [`Timer`] does not panic later for want
/// of descriptors. A thread is started only when something is awaited while there is no [`Driver`].
///
/// # Errors
///
/// Fails if the system gives no descriptors.
#[cfg(all(target_os = "linux", not(lunatic_loom)))]
pub fn start() -> std::io::Result<()> {
    reactor::Reactor::get().map(|_| ())
}

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
