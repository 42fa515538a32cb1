//! QUIC connections driven by one thread, without an async runtime.
//!
//! [`Endpoint`] is a UDP socket with connections on it. A connection has a number of lanes, on
//! which frames arrive whole and in order, and datagrams, which may get lost. The owner calls
//! [`Endpoint::wait`] in a loop and takes [`Event`]s; everything else returns at once.
//!
//! # Layout
//!
//! - `config`: [`EndpointConfig`], what an endpoint is made of; `transport` says it in the words
//!   of quinn-proto, and `low_delay` keeps the queues of narrow links short.
//! - `event`, `close_reason`: what an endpoint tells; `event_queue`: what wasn't taken yet.
//! - `endpoint`: [`Endpoint`], as its owner sees it; `driver`: what it does while the owner waits;
//!   `arrival`: what it does with packets; `table`: which connections it keeps.
//! - `connection`: one connection, without sockets; `sending` and `receiving`: its lanes;
//!   `frames`: how bytes become frames; `facts`: what it tells about itself.
//! - `handshakes`: who among strangers may begin one.
//! - `socket`: packets, many by one call of the kernel; `icmp`: those that weren't delivered;
//!   `marks`: how they are recognised; `address`: families of addresses, and by what strangers are
//!   counted; `buffers`: where packets
//!   are until they are read.
//! - `waker`: [`EndpointWaker`], ends a wait from another thread.
//!
//! # Wire
//!
//! A lane is a one-way stream of QUIC that is opened with its first frame. Its first byte is the
//! number of the lane; then come frames, each a length (four bytes, little endian) and its
//! bytes. Such a stream never ends before the connection. A stream that ends, is reset or
//! stopped, says a lane that isn't there or was there already, or announces a frame that is too
//! long, ends the connection with application code 2³².
//!
//! # Invariants
//!
//! - Each connection that was dialled or connected is told closed exactly once, and nothing of it
//!   is told afterwards.
//! - What a peer sends and the owner doesn't take is bounded: by `max_unread`, one frame in each
//!   lane, the windows of flow control (8 MiB), and 64 KiB of datagrams, which do not wait behind
//!   frames.
//! - What the owner sends is bounded if it obeys [`Endpoint::room`].
//! - How long a connection is served is bounded, and every one with something to do is served before
//!   any is served again.
//! - An ICMP message ends a connection only if it quotes a packet that was sent lately.

mod address;
mod arrival;
mod buffers;
mod close_reason;
mod config;
mod connection;
mod driver;
mod endpoint;
mod event;
mod event_queue;
mod facts;
mod frames;
mod handshakes;
mod icmp;
mod low_delay;
mod marks;
mod receiving;
mod sending;
mod socket;
mod table;
mod transport;
mod waker;

pub use address::counted_as;
pub use close_reason::{CloseReason, Unreachable};
pub use config::{EndpointConfig, Tls, UnusableTls};
pub use endpoint::Endpoint;
pub use event::{ConnectionId, DialError, Event, Stats};
pub use waker::EndpointWaker;

/// The example in the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
