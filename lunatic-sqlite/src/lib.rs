//! SQLite databases for processes.
//!
//! A [`Connection`] is to a database in a file below a directory of `lunatic-fs`, which nothing
//! leads out of, or in memory. SQLite runs on a few threads of `lunatic-blocking`, never on the
//! thread that asks, and a connection always on the same. Whatever is asked of it can be dropped
//! at any time, which interrupts it.
//!
//! # Layout
//!
//! All but [`SqliteLimits`] needs the feature `library`, which `guest` has.
//!
//! - [`Connection`], [`Statement`]: what is used from any thread; `bindings`: what is bound to a
//!   statement.
//! - `life`: a connection on its thread, opened and closed; `job`: what it is asked for; `worker`:
//!   how that is done; `locks`: how others are waited for; `compiled`: the statements that it keeps; `rows`: how it runs one; `blob`:
//!   parts of blobs; `bounds`: how large a database is.
//! - [`initialize`]: how SQLite is set up; `quota`: what it may take for a connection;
//!   `allocator`: its memory; `files`: its files; `nameless`: those that are in memory.
//! - `opening`: how a database is opened; `policy`: what statements may do; `functions`: what
//!   some of SQL's functions are replaced by; `full_text`: what FTS5 is not to compute; `control`: how SQLite is stopped; `cpu_time`: how the
//!   CPU time that it takes is counted.
//! - [`SqliteLimits`]: how much a process may do with databases.
//! - `changes`: [`Watch`] and [`Change`], who is told of changes.
//! - `value`: values, and the bytes in which they cross to guests.
//! - `guest`: the namespace `lunatic::sqlite` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - SQLite opens no file but the database that was found by `lunatic-fs`, and what it makes
//!   beside it. What is temporary is in memory.
//! - What SQLite takes for a connection is counted when it takes it, and charged to whoever opened
//!   it. What a limit refuses fails there, and nowhere else.
//! - The file and what is beside it are held ([`lunatic_fs::HeldFile`]) until the connection is
//!   closed.
//! - No lock is waited for on a thread that others need.
//! - A statement runs for as long as [`SqliteLimits::max_query_time`] at most.

#[cfg(feature = "library")]
mod allocator;
#[cfg(feature = "library")]
mod bindings;
#[cfg(feature = "library")]
mod blob;
#[cfg(feature = "library")]
mod bounds;
#[cfg(feature = "library")]
mod changes;
#[cfg(feature = "library")]
mod compiled;
#[cfg(feature = "library")]
mod connection;
#[cfg(feature = "library")]
mod control;
#[cfg(feature = "library")]
mod cpu_time;
#[cfg(feature = "library")]
mod error;
#[cfg(feature = "library")]
mod files;
#[cfg(feature = "library")]
mod full_text;
#[cfg(feature = "library")]
mod functions;
#[cfg(feature = "guest")]
pub mod guest;
#[cfg(feature = "library")]
mod job;
#[cfg(feature = "library")]
mod library;
#[cfg(feature = "library")]
mod life;
mod limits;
#[cfg(feature = "library")]
mod locks;
#[cfg(feature = "library")]
mod nameless;
#[cfg(feature = "library")]
mod opening;
#[cfg(feature = "library")]
mod policy;
#[cfg(feature = "library")]
mod quota;
#[cfg(feature = "library")]
mod rows;
#[cfg(feature = "library")]
mod statement;
#[cfg(feature = "library")]
mod value;
#[cfg(feature = "library")]
mod worker;

#[cfg(feature = "library")]
pub use changes::{Change, Watch};
#[cfg(feature = "library")]
pub use connection::{Connection, Place};
#[cfg(feature = "library")]
pub use error::SqliteError;
#[cfg(feature = "library")]
pub use job::{BlobPlace, Description, Status};
#[cfg(feature = "library")]
pub use library::initialize;
pub use limits::SqliteLimits;
#[cfg(feature = "library")]
pub use statement::Statement;
#[cfg(feature = "library")]
pub use value::{Key, Malformed, Value, read_bindings, read_row};

/// Runs the example of the README as a test.
#[cfg(all(doctest, feature = "library"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
