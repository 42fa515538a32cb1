//! DNS, TCP, UDP and TLS for processes.
//!
//! A socket can be used through several handles at the same time, by several processes
//! for example. One handle can read while another one writes. Each operation can be
//! dropped at any time. The socket is closed when the last handle is dropped.
//!
//! ```
//! use lunatic_net::{TcpListener, TcpStream};
//!
//! # futures_lite::future::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0".parse()?).await?;
//! let client = TcpStream::connect(listener.local_addr()?).await?;
//! let (server, _peer) = listener.accept().await?;
//!
//! client.write_all(b"hello").await?;
//! let mut buffer = [0; 16];
//! let count = server.read(&mut buffer).await?;
//! assert_eq!(&buffer[..count], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Layout
//!
//! - `resolver`: [`resolve`], the addresses of a name.
//! - `tcp_listener`, `tcp_stream`, `udp_socket`: the sockets.
//! - `tls`: listener, connector and stream of TLS, on rustls (feature `tls`, on by default).
//! - `rules`, `config`: [`Rules`] and [`NetConfig`], what a process may connect to and
//!   bind, and how many sockets it may have.
//! - `listeners`, `active_generation`, `open_streams`: [`Listeners`], what the processes of a program have bound, and
//!   how one program replaces another.
//! - `accepting`, `connecting`, `time_limit`, `operation_lock`: what the sockets share.
//! - `open_sockets`: [`open_sockets()`], how many there are.
//! - `errors`: why operations fail.
//! - `guest`: the namespace `lunatic::networking` (feature `guest`, on by
//!   default).
//!
//! # Invariants
//!
//! - No operation blocks its thread: names are looked up, and the certificates of the
//!   system read, on other threads.
//! - An operation that is dropped holds neither a lock nor a place in a queue.
//! - Peeking consumes nothing.
//! - The first operation on a TLS stream does the handshake, never the listener.
//! - What has arrived at a shared socket is taken by one root, and never lost between two.
//! - Nothing here knows what a process is.
//!
//! # Limits
//!
//! Reads and writes are not buffered. Every TCP connection has `TCP_NODELAY` set. TLS
//! is 1.2 and 1.3, without client certificates and without ALPN.

mod accepting;
mod active_generation;
mod config;
mod connecting;
mod errors;
#[cfg(feature = "guest")]
pub mod guest;
mod listeners;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod open_sockets;
mod open_streams;
mod operation_lock;
mod resolver;
mod rules;
mod tcp_listener;
mod tcp_stream;
mod time_limit;
#[cfg(feature = "tls")]
mod tls;
mod udp_socket;

#[cfg(not(feature = "tls"))]
use no_tls as tls;

pub use config::{DEFAULT_HANDSHAKE_LIMIT, DEFAULT_MAX_SOCKETS, NetConfig};
pub use errors::{AcceptError, BindError, ConnectError, ResolveError, StreamError};
pub use listeners::Listeners;
pub use open_sockets::open_sockets;
pub use resolver::{resolve, resolve_host};
pub use rules::{Action, BadRule, Denied, Rule, Rules};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use tls::HandshakeError;
#[cfg(feature = "tls")]
pub use tls::{IdentityError, RootsError, TlsConnector, TlsIdentity, TlsListener, TlsStream};
pub use udp_socket::UdpSocket;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
