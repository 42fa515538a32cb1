//! Reads and writes files inside directories that nothing can leave.
//!
//! A [`Dir`] is an open directory of the host. Every path given to it is
//! resolved inside of it: `..`, absolute paths, symbolic links, links that
//! change during the call, `/proc` and the like lead to an error and never
//! outside. Its [`Access`] says whether files below it can be changed.
//!
//! # Layout
//!
//! - [`Dir`]: operations that take a path.
//! - [`File`]: operations on an open file.
//! - [`OpenOptions`], [`Metadata`], [`Times`], [`Entry`]: their parameters and results.
//! - [`Listing`]: the entries of a directory, in pieces.
//! - [`HeldFile`]: a file that a library of the host opens itself, and what nobody does to it
//!   meanwhile.
//! - `host_dir`: an open directory of the host, and what is reached from it.
//! - `beneath`: how a path is walked.
//! - `freeing`: where the blocks of large files are freed.
//! - `file_systems`, `processes`: which file systems are not reached through a directory
//!   above them, and what is never reached.
//! - [`protect`]: paths below which nothing is changed.
//!
//! # Invariants
//!
//! - Paths are walked in `beneath`, below an open directory, and what a name is in the directory
//!   that is found there is opened or changed by `cap-std`.
//!   [`Dir::open_host`] is the only exception, and guests cannot call it.
//! - What is on a file system of the kernel (`/proc`, `/sys`, `/dev` and others), or is a
//!   device, is reached only through a directory on that file system which was named
//!   itself. In `/proc` files can only be read then, and what is of this program itself
//!   not even that. Links and mounts make no difference: each opened file tells where it is.
//! - While what is held is locked, nothing is done that can take long because of a guest.
//! - A future of this crate never blocks the thread that polls it, and can be
//!   dropped at any point. An operation that has begun then runs to its end.
//!
//! # Why not `async-fs`
//!
//! Its files could be made of the files that `cap-std` opens, but they read
//! ahead and write behind: the position of the file and the errors of a write
//! come later than the guest is told of them, and there is no reading or
//! writing at an offset. So each operation is one call on a thread of
//! `lunatic-blocking`, of the class [`Cache`](lunatic_blocking::Class::Cache), or
//! of [`Disk`](lunatic_blocking::Class::Disk) if it waits for the disk.

mod access;
mod beneath;
mod dir;
mod entry;
mod file;
mod file_systems;
mod freeing;
mod held;
mod holding;
mod host_dir;
mod listing;
mod metadata;
mod open;
mod processes;
mod protected;
mod times;

pub use access::Access;
pub use dir::{Dir, Node};
pub use entry::Entry;
pub use file::{Advice, File};
pub use held::{Companion, HeldFile};
pub use listing::Listing;
pub use metadata::{Kind, Metadata};
pub use open::{Durability, OpenOptions};
pub use protected::protect;
pub use times::{NewTime, Times};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
