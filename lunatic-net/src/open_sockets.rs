//! How many sockets are open.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many sockets of each kind are open.
static OPEN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// What a socket is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Tcp,
    Tls,
    /// It listens, or is one of UDP.
    Bound,
}

/// Counts as an open socket until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenSocket(Kind);

impl OpenSocket {
    pub(crate) fn new(kind: Kind) -> OpenSocket {
        OPEN[kind as usize].fetch_add(1, Ordering::Relaxed);
        OpenSocket(kind)
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        OPEN[self.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many sockets the program has open: streams of TCP, streams of TLS, and those that are
/// bound to an address, which are listeners and those of UDP.
///
/// ```
/// use std::net::SocketAddr;
///
/// # futures_lite::future::block_on(async {
/// let address: SocketAddr = "127.0.0.1:0".parse()?;
/// let before = lunatic_net::open_sockets();
/// let listener = lunatic_net::TcpListener::bind(address).await?;
/// let [_, _, (kind, count)] = lunatic_net::open_sockets();
/// assert_eq!((kind, count), ("bound", before[2].1 + 1));
/// drop(listener);
/// assert_eq!(lunatic_net::open_sockets(), before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn open_sockets() -> [(&'static str, u64); 3] {
    [
        ("tcp", Kind::Tcp),
        ("tls", Kind::Tls),
        ("bound", Kind::Bound),
    ]
    .map(|(name, kind)| (name, OPEN[kind as usize].load(Ordering::Relaxed)))
}
