//! Processes that go on with the new code when their module is reloaded (ABI §27).
//!
//! A reload makes another version of a module the current one. A process that offers
//! itself moves to that version at its next safe point: its state is written, a new
//! instance of the current module reads it, and is the process from then on. Its id, its
//! mailbox, links, monitors, names, timers, sockets and files stay. Nothing else of the
//! old instance is left: what is to be kept has to be in the state.
//!
//! # A server
//!
//! A [`Server`] answers messages, and can move before each. [`reload_entries!`] says of
//! which kind it is, and in which version it writes its state:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use lunatic_guest::reload::{self, ReplyTo, Server};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Counter {
//!     count: u64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! enum Message {
//!     Add(u64),
//!     Get(ReplyTo<u64>),
//! }
//!
//! impl Server for Counter {
//!     type Init = u64;
//!     type Message = Message;
//!
//!     fn init(count: u64) -> Counter {
//!         Counter { count }
//!     }
//!
//!     fn handle(&mut self, message: Message) -> ControlFlow<()> {
//!         match message {
//!             Message::Add(more) => self.count += more,
//!             Message::Get(reply) => reply.send(&self.count),
//!         }
//!         ControlFlow::Continue(())
//!     }
//! }
//!
//! lunatic_guest::reload_entries!("counter", 1 => Counter, reload::serve);
//!
//! fn main() {
//!     reload::start::<Counter>(0);
//! }
//! ```
//!
//! # What may change
//!
//! States and messages are MessagePack with the names of fields. So another version of the
//! code can read them, and needs no new version of the state, if
//!
//! - there is a new field with `#[serde(default)]`, or a new `Option`,
//! - a field is gone, or fields are in another order,
//! - there is another variant of an enum, which nobody has written yet.
//!
//! Whatever else changes is a new version. The newer code has both structs, and says by
//! [`CodeChange`] how one becomes the other, in both directions: so it can take over from
//! the older code, and the older code from it.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! # use std::ops::ControlFlow;
//!
//! use lunatic_guest::reload::{self, CodeChange};
//! use serde::{Deserialize, Serialize};
//!
//! /// What version 1 writes.
//! #[derive(Serialize, Deserialize)]
//! struct CounterV1 {
//!     count: u64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Counter {
//!     counts: BTreeMap<String, u64>,
//! }
//!
//! impl CodeChange<CounterV1> for Counter {
//!     fn code_change(previous: CounterV1) -> Counter {
//!         let counts = [("before".to_owned(), previous.count)];
//!         Counter { counts: counts.into() }
//!     }
//!
//!     fn code_change_back(&self) -> CounterV1 {
//!         let count = self.counts.values().sum();
//!         CounterV1 { count }
//!     }
//! }
//! # impl reload::Server for Counter {
//! #     type Init = ();
//! #     type Message = ();
//! #     fn init(_: ()) -> Counter {
//! #         Counter { counts: BTreeMap::new() }
//! #     }
//! #     fn handle(&mut self, _: ()) -> ControlFlow<()> {
//! #         ControlFlow::Continue(())
//! #     }
//! # }
//!
//! lunatic_guest::reload_entries!("counter", 2 => Counter, 1 => CounterV1, reload::serve);
//! # fn main() {}
//! ```
//!
//! Messages that are queued while a process moves were written by older code: what is said
//! of fields and variants above holds for them too, and there is no [`CodeChange`].
//!
//! # A loop of one's own
//!
//! A process that waits for something else than messages says by [`wait`] where it can
//! move. The function behind the state in [`reload_entries!`] is where the new code goes
//! on.
//!
//! ```no_run
//! # mod lunatic { pub mod net {
//! #     pub struct TcpStream;
//! #     impl serde::Serialize for TcpStream {
//! #         fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_unit() }
//! #     }
//! #     impl<'de> serde::Deserialize<'de> for TcpStream {
//! #         fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> { Ok(TcpStream) }
//! #     }
//! #     impl std::io::Read for TcpStream {
//! #         fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> { Ok(0) }
//! #     }
//! #     impl std::io::Write for TcpStream {
//! #         fn write(&mut self, b: &[u8]) -> std::io::Result<usize> { Ok(b.len()) }
//! #         fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! #     }
//! # }}
//! use std::io::{Read, Write};
//!
//! use lunatic::net::TcpStream;
//! use lunatic_guest::reload;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Echo {
//!     stream: TcpStream,
//!     bytes: u64,
//! }
//!
//! lunatic_guest::reload_entries!("echo", 1 => Echo, echo);
//!
//! fn echo(mut echo: Echo) {
//!     let mut buffer = [0; 1024];
//!     while let Ok(count @ 1..) = reload::wait(&mut echo, |echo| echo.stream.read(&mut buffer)) {
//!         echo.bytes += count as u64;
//!         if echo.stream.write_all(&buffer[..count]).is_err() {
//!             return;
//!         }
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # Sockets
//!
//! `TcpStream` and `TlsStream` of the `lunatic` crate cross as fields of the state, and so do
//! processes. Its listeners and its `UdpSocket` do not; a [`net::TcpListener`] does.
//!
//! A function of the `lunatic` crate that is sent to another process (`FuncRef`) is an index of
//! the table of the module that has sent it. In a state, or in a message that waits while the
//! process moves, it is another function then, or none: name what is to be done instead, by an
//! enum for example.
//!
//! Its tags (`Tag::new`) are numbers that each instance counts from the beginning again. After
//! a move a new tag may be one that the older code has used: a reply that came too late for a
//! request of the older code is taken for that to a newer one, and the death of an older link
//! for that of a newer one. So a request should be answered or given up, with what comes later
//! received, before a process moves; and a link that is to be told from others should be made
//! with a tag of one's own. Requests by [`call`] have tags that are never used again.
//!
//! [`net::TcpListener`]: crate::net::TcpListener
//!
//! # What is refused
//!
//! If the new code panics before it has taken over, in [`CodeChange::code_change`] for
//! example, or cannot read the state, that attempt is over: the reload is told the text of
//! the panic, and the old instance goes on as if nothing had happened. So it does if the
//! state cannot be written, or [`CodeChange::code_change_back`] panics.
//!
//! A stream that is written leaves the old instance. After an attempt that was refused,
//! a state with streams is therefore read again from what was written. Fields that are not
//! written have their default then, as after a move. The same is done with any state if no
//! memory is left to find out whether it has streams.
//!
//! # Supervisors
//!
//! A child that is started again runs the code of the process that has added it; with
//! [`Child::current_version`](crate::supervisor::Child::current_version) the current one.

mod encoding;
mod entry;
mod panics;
mod point;
mod server;
mod state;

#[doc(hidden)]
pub use entry::enter;
pub use point::{is_wanted, point, wait, withdraw};
pub use server::{call, send, serve, start, ReplyTo, Server};
pub use state::{CodeChange, Previous, State};
