//! Names for processes.
//!
//! A [`Registry`] maps names to processes, of this node or another. A name ends
//! with its process: nobody is handed the id of the dead.
//!
//! ```
//! use lunatic_process::{Environment, SpawnOptions};
//! use lunatic_registry::{Address, Registry};
//!
//! let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
//! let environment = Environment::new(1, scheduler);
//! let process = environment.spawn(SpawnOptions::default(), |mut context| async move {
//!     context.mailbox.receive(lunatic_mailbox::Wanted::Any).await;
//!     Ok(())
//! })?;
//!
//! let registry = Registry::new();
//! registry.put_local("logger", &process)?;
//! assert_eq!(registry.get("logger").map(|entry| entry.process), Some(process.id()));
//!
//! process.kill();
//! futures_lite::future::block_on(process.wait());
//! assert_eq!(registry.get("logger"), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! - [`names`]: [`Names`], the map and its way back, pure data.
//! - [`registry`]: [`Registry`], shared, and tied to the life of processes.
//! - `guest`: the namespace `lunatic::registry` and
//!   `lunatic::process::get_or_spawn` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - The names of a local process are gone before its links hear of its death, so
//!   that who restarts it can use the name again.
//! - The lock is never held over a wait.
//!
//! # Limits
//!
//! [`MAX_NAMES`] names of [`MAX_NAME_BYTES`] bytes at most. Names of processes on
//! other nodes stay until they are removed.

#[cfg(feature = "guest")]
pub mod guest;
pub mod names;
pub mod registry;

pub use names::{Address, MAX_NAME_BYTES, MAX_NAMES, NameError, Names};
pub use registry::Registry;
