//! DNS, TCP, UDP and TLS for processes.
//!
//! Sockets that many processes may hold at once: a handle is cloned freely, its
//! read side and its write side work at the same time, each operation can be
//! dropped at any moment, and the socket closes with its last handle.
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
//! - [`resolver`]: names to addresses.
//! - [`tcp_listener`], [`tcp_stream`], [`udp_socket`]: the sockets.
//! - [`tls`]: listener, connector and stream on rustls.
//! - [`rules`], [`config`]: what a process may connect to and bind, and how
//!   many sockets it may have.
//! - `accepting`, `connecting`, `time_limit`, `operation_lock`: what the sockets share.
//! - [`errors`]: what goes wrong.
//! - `guest`: the namespace `lunatic::networking` (feature `guest`, on by
//!   default).
//!
//! # Invariants
//!
//! - No worker thread ever blocks: names are looked up, and the certificates of
//!   the system read, on the blocking pool.
//! - A dropped operation holds nothing: neither a lock nor a place in a queue.
//! - Peeking consumes nothing.
//! - A TLS handshake is driven by whoever first reads or writes, never by the
//!   listener.
//! - Nothing here knows what a process is.
//!
//! # Limits
//!
//! Reads and writes go straight between the kernel and the buffer that they are
//! given. Every TCP connection has `TCP_NODELAY` set. TLS is 1.2 and 1.3,
//! without client certificates and without ALPN.

mod accepting;
pub mod config;
mod connecting;
pub mod errors;
#[cfg(feature = "guest")]
pub mod guest;
mod operation_lock;
pub mod resolver;
pub mod rules;
pub mod tcp_listener;
pub mod tcp_stream;
mod time_limit;
pub mod tls;
pub mod udp_socket;

pub use config::NetConfig;
pub use errors::{AcceptError, BindError, ConnectError, ResolveError, StreamError};
pub use resolver::resolve;
pub use rules::{Action, Denied, Rule, Rules};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use tls::{HandshakeError, TlsConnector, TlsIdentity, TlsListener, TlsStream};
pub use udp_socket::UdpSocket;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
