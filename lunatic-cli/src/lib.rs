//! Composes the Lunatic crates into a runtime that a program can embed.
//!
//! Each feature crate knows one thing and asks, through a small trait, for the
//! part of a process's state that it works on. Here is that state, [`State`],
//! and the [`Runtime`] around it. The program `lunatic` is a thin shell over
//! this library.
//!
//! ```
//! use lunatic_cli::{Root, Runtime};
//! use lunatic_mailbox::{DataMessage, Message, Wanted};
//! use lunatic_process::SpawnOptions;
//!
//! // Receives a message of one byte, which is a process id, and sends the
//! // message back to it.
//! let echo = br#"(module
//!     (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
//!     (import "lunatic::message" "read_data" (func $read (param i32 i32) (result i32)))
//!     (import "lunatic::message" "send" (func $send (param i64) (result i32)))
//!     (memory (export "memory") 1)
//!     (func (export "echo")
//!         (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
//!         (drop (call $read (i32.const 0) (i32.const 1)))
//!         (drop (call $send (i64.load8_u (i32.const 0))))))"#;
//!
//! futures_lite::future::block_on(async {
//!     let runtime = Runtime::builder().start()?;
//!     let module = runtime.load(echo.to_vec()).await?;
//!     let guest = runtime.spawn(&module, Root::new("echo")).await?;
//!
//!     let to_guest = guest.clone();
//!     let host = runtime.environment().spawn(SpawnOptions::default(), |mut own| async move {
//!         let id = own.process.id().0 as u8;
//!         to_guest.send(DataMessage::new(None, [id]).into())?;
//!         let answer = own.mailbox.receive(Wanted::Any).await;
//!         assert!(matches!(answer, Message::Data(data) if data.bytes() == [id]));
//!         Ok(())
//!     })?;
//!
//!     assert!(host.wait().await.is_normal());
//!     assert!(guest.wait().await.is_normal());
//!     runtime.shut_down().await;
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! - [`runtime`]: [`Runtime`], started, given modules, shut down.
//! - [`state`]: [`State`], what a wasm process is made of, and which host
//!   functions it can call.
//! - [`config`]: [`Config`], what a process may do and what it is given.
//!
//! # Invariants
//!
//! - This is the only crate that knows all others; none knows this one.
//! - Nothing is decided here that a feature crate could decide.

pub mod config;
pub mod runtime;
pub mod state;

pub use config::Config;
pub use runtime::{Builder, Root, Runtime, RuntimeError, SpawnFailure};
pub use state::State;
