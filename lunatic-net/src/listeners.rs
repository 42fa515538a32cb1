//! What the processes of one root process have bound, and what a root that replaces
//! another one shares with it.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use lunatic_reactor::Source;
use parking_lot::Mutex;

use crate::active_generation::ActiveGeneration;
use crate::errors::BindError;
use crate::open_sockets::{self, OpenSocket};
use crate::open_streams::{OpenStream, OpenStreams};

/// How many connections may wait to be accepted, if the system allows that many. With
/// the 128 of the standard library the queue is full sooner, and a client that finds it
/// full tries again only after a second.
const BACKLOG: i32 = 4096;

/// How many may wait of a listener that a guest with limits has: the kernel keeps what arrives for
/// each. It is charged for them; see [`WAITING_BYTES`].
const BACKLOG_OF_BRANCH: i32 = 512;

/// What is charged for a listener besides, for the connections that may wait, in bytes.
#[cfg(feature = "guest")]
pub(crate) const WAITING_BYTES: usize = BACKLOG_OF_BRANCH as usize * 512;

/// What the processes of one root process have bound, and how many connections they
/// have accepted and not closed. All clones are the same.
///
/// A program that offers no state can be replaced as a whole: a new root process runs
/// beside the old one, with the [`successor`](Listeners::successor) of its listeners.
/// Where the new one binds an address that the old one has bound, it gets the same
/// socket. From its first `accept` there, or `receive`, those of the old one wait, while
/// the connections that the old one has accepted stay with it. No client is refused
/// meanwhile, as the socket is never closed. If the new one ends before, nothing has
/// changed for the old one.
///
/// # Examples
///
/// ```
/// use lunatic_net::{Listeners, TcpListener, TcpStream};
///
/// # futures_lite::future::block_on(async {
/// let old = Listeners::new();
/// let server = TcpListener::bind_in(&old, "127.0.0.1:0".parse()?)?;
/// let address = server.local_addr()?;
/// let _client = TcpStream::connect(address).await?;
/// let (connection, _) = server.accept().await?;
///
/// let new = old.successor();
/// let replacement = TcpListener::bind_in(&new, address)?;
/// let _client = TcpStream::connect(address).await?;
/// replacement.accept().await?;
///
/// assert_eq!(old.open_streams(), 1);
/// drop(connection);
/// old.drained().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Listeners(Arc<Root>);

#[derive(Debug)]
struct Root {
    /// Higher than that of all roots which this one replaces.
    generation: u64,
    lineage: Arc<Lineage>,
    streams: OpenStreams,
}

/// What a root and all that have replaced each other before it have bound.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    generations: AtomicU64,
    pub(crate) tcp: Mutex<Table<net::TcpListener>>,
    pub(crate) udp: Mutex<Table<net::UdpSocket>>,
}

/// Sockets by the address that they are bound to. Each [`Bound`] has one entry, for as
/// long as it lives, so each address has no more entries than there are roots.
pub(crate) type Table<S> = HashMap<SocketAddr, Vec<Entry<S>>>;

#[derive(Debug)]
pub(crate) struct Entry<S: Kind> {
    generation: u64,
    #[cfg_attr(not(feature = "guest"), allow(dead_code, reason = "only guests own"))]
    owner: Owner,
    standing: Standing,
    bound: Weak<Bound<S>>,
    /// It lives until the entry is removed, which `bound` may not.
    shared: Weak<Shared<S>>,
}

/// A kind of socket that is bound to an address.
pub(crate) trait Kind: AsFd + Sized + fmt::Debug + Send + Sync + 'static {
    /// Whether what is taken from it is a stream that counts.
    const GIVES_STREAMS: bool;

    /// - `standing`: for whom, which says how many connections may wait to be accepted.
    fn bind(address: SocketAddr, standing: Standing) -> Result<Source<Self>, BindError>;

    fn local_addr(&self) -> io::Result<SocketAddr>;

    fn table(lineage: &Lineage) -> &Mutex<Table<Self>>;
}

/// Who has bound an address: one process with all its versions, or nobody in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Owner(u64);

/// Among whom a socket is shared, if a root replaces another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The processes that have the account of their root.
    Root,
    /// Guests with limits of their own.
    #[cfg_attr(
        not(feature = "guest"),
        allow(dead_code, reason = "only guests have limits")
    )]
    Branch,
}

/// A socket that is bound, as one root has it.
#[derive(Debug)]
pub(crate) struct Bound<S: Kind> {
    shared: Arc<Shared<S>>,
    member: Option<Member>,
}

/// A socket that is bound, as all roots have it.
#[derive(Debug)]
struct Shared<S: AsFd> {
    socket: Source<S>,
    active: ActiveGeneration,
    _counted: OpenSocket,
}

impl<S: AsFd> Shared<S> {
    fn new(socket: Source<S>) -> Shared<S> {
        Shared {
            socket,
            active: ActiveGeneration::default(),
            _counted: OpenSocket::new(open_sockets::Kind::Bound),
        }
    }
}

/// Where the entry of a bound socket is.
#[derive(Debug)]
struct Member {
    root: Listeners,
    address: SocketAddr,
}

impl Listeners {
    /// Those of a root process that replaces no other.
    pub fn new() -> Listeners {
        Listeners::of(Arc::default())
    }

    /// Those of a root process that replaces the one with these.
    pub fn successor(&self) -> Listeners {
        Listeners::of(self.0.lineage.clone())
    }

    fn of(lineage: Arc<Lineage>) -> Listeners {
        let generation = 1 + lineage.generations.fetch_add(1, Ordering::Relaxed);
        Listeners(Arc::new(Root {
            generation,
            lineage,
            streams: OpenStreams::default(),
        }))
    }

    /// Returns how many connections the processes of this root have accepted and not
    /// closed.
    pub fn open_streams(&self) -> usize {
        self.0.streams.count()
    }

    /// Waits until the processes of this root have closed all connections that they have
    /// accepted. It looks every few milliseconds, so that closing one costs nothing.
    ///
    /// At an address where the successor has accepted none are added meanwhile.
    pub async fn drained(&self) {
        self.0.streams.drained().await;
    }

    /// Whether processes of this root have something bound at which connections or
    /// datagrams arrive.
    pub fn has_bound(&self) -> bool {
        let tcp = self.has_entry::<net::TcpListener>(|_| true);
        tcp || self.has_entry::<net::UdpSocket>(|_| true)
    }

    /// Whether processes of this root have begun to take what arrives at an address that
    /// they have bound.
    pub fn has_begun(&self) -> bool {
        let generation = self.0.generation;
        self.has_entry::<net::TcpListener>(|active| active.has_begun(generation))
            || self.has_entry::<net::UdpSocket>(|active| active.has_begun(generation))
    }

    /// Whether roots that replace this one have bound every address that it has bound.
    pub fn are_passed_on(&self) -> bool {
        self.is_passed_on::<net::TcpListener>() && self.is_passed_on::<net::UdpSocket>()
    }

    fn is_passed_on<S: Kind>(&self) -> bool {
        let own = self.0.generation;
        let table = S::table(&self.0.lineage).lock();
        table.values().all(|entries| {
            let is_own = entries.iter().any(|entry| entry.generation == own);
            !is_own || entries.iter().any(|entry| entry.generation > own)
        })
    }

    fn has_entry<S: Kind>(&self, is_wanted: impl Fn(&ActiveGeneration) -> bool) -> bool {
        let table = S::table(&self.0.lineage).lock();
        let entries = table.values().flatten();
        let mut own = entries.filter(|entry| entry.generation == self.0.generation);
        own.any(|entry| {
            let shared = entry.shared.upgrade();
            shared.is_some_and(|shared| is_wanted(&shared.active))
        })
    }

    /// Leaves what arrives to the other roots again: to be called when all processes of
    /// this root have ended while those of the root that it has replaced still live.
    pub fn give_back(&self) {
        self.give_back_of::<net::TcpListener>();
        self.give_back_of::<net::UdpSocket>();
    }

    fn give_back_of<S: Kind>(&self) {
        let table = S::table(&self.0.lineage).lock();
        let sockets: Vec<_> = table
            .values()
            .flatten()
            .filter_map(|entry| entry.shared.upgrade())
            .collect();
        drop(table);
        for socket in sockets {
            socket.active.give_back(self.0.generation);
        }
    }

    /// Binds an address for a process of this root. If other roots of the lineage have
    /// bound it for the same standing, and this one has not, it is the same socket.
    pub(crate) fn bind<S: Kind>(
        &self,
        owner: Owner,
        standing: Standing,
        address: SocketAddr,
    ) -> Result<Arc<Bound<S>>, BindError> {
        if let Some(bound) = self.join(owner, standing, address) {
            return Ok(bound);
        }
        let socket = match S::bind(address, standing) {
            // Another root may have bound it in between.
            Err(error) if error.source.kind() == ErrorKind::AddrInUse => {
                return self.join(owner, standing, address).ok_or(error);
            }
            socket => socket?,
        };
        let bound_to = socket.get_ref().local_addr();
        let bound_to = bound_to.map_err(|source| BindError { address, source })?;
        let mut table = S::table(&self.0.lineage).lock();
        let shared = Shared::new(socket).into();
        Ok(self.enter(&mut table, owner, standing, bound_to, shared))
    }

    /// Returns a handle of the socket that other roots of the lineage have bound to an
    /// address, unless this root has one. What a root has is not taken by guests with limits, whoever
    /// of the new ones is first, nor the other way round.
    fn join<S: Kind>(
        &self,
        owner: Owner,
        standing: Standing,
        address: SocketAddr,
    ) -> Option<Arc<Bound<S>>> {
        let mut table = S::table(&self.0.lineage).lock();
        let entries = table.get(&key(address))?;
        let is_own = |entry: &Entry<S>| entry.generation == self.0.generation;
        if entries.iter().any(is_own) {
            return None;
        }
        let mut same = entries.iter().filter(|entry| entry.standing == standing);
        let shared = same.find_map(|entry| entry.shared.upgrade())?;
        Some(self.enter(&mut table, owner, standing, address, shared))
    }

    fn enter<S: Kind>(
        &self,
        table: &mut Table<S>,
        owner: Owner,
        standing: Standing,
        address: SocketAddr,
        shared: Arc<Shared<S>>,
    ) -> Arc<Bound<S>> {
        let address = key(address);
        let member = Some(Member {
            root: self.clone(),
            address,
        });
        let bound = Arc::new(Bound { shared, member });
        table.entry(address).or_default().push(Entry {
            generation: self.0.generation,
            owner,
            standing,
            bound: Arc::downgrade(&bound),
            shared: Arc::downgrade(&bound.shared),
        });
        bound
    }

    /// Returns the socket that a process of this root has bound to an address.
    #[cfg(feature = "guest")]
    pub(crate) fn bound_by<S: Kind>(
        &self,
        owner: Owner,
        address: SocketAddr,
    ) -> Option<Arc<Bound<S>>> {
        let table = S::table(&self.0.lineage).lock();
        let is_own =
            |entry: &&Entry<S>| entry.generation == self.0.generation && entry.owner == owner;
        let entries = table.get(&key(address))?;
        entries.iter().find(is_own)?.bound.upgrade()
    }
}

/// What addresses are compared by. The flow of IPv6 is no part of where a socket is.
fn key(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(address) = &mut address {
        address.set_flowinfo(0);
    }
    address
}

impl<S: Kind> Bound<S> {
    /// Binds an address for nobody whose sockets could be shared.
    pub(crate) fn alone(address: SocketAddr) -> Result<Arc<Bound<S>>, BindError> {
        Ok(Arc::new(Bound {
            shared: Arc::new(Shared::new(S::bind(address, Standing::Root)?)),
            member: None,
        }))
    }

    pub(crate) fn socket(&self) -> &Source<S> {
        &self.shared.socket
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().get_ref().local_addr()
    }

    /// Waits for something to arrive and has `take` take it, as [`Source::read_with`]
    /// does. While a later root takes what arrives, it only waits.
    ///
    /// - `take`: is also given what counts as a stream of this root. It counts before it
    ///   is looked which root is active: if that is a later one and there are no
    ///   streams of this one, none will come from here.
    pub(crate) async fn take_with<R>(
        &self,
        mut take: impl FnMut(&S, Option<OpenStream>) -> io::Result<R>,
    ) -> io::Result<R> {
        let Shared { socket, active, .. } = &*self.shared;
        let Some(Member { root, .. }) = &self.member else {
            return socket.read_with(|socket| take(socket, None)).await;
        };
        let generation = root.0.generation;
        active.begin(generation);
        loop {
            let attempt = |socket: &S| {
                let open = S::GIVES_STREAMS.then(|| root.0.streams.open());
                match active.may_take(generation) {
                    true => take(socket, open).map(Some),
                    false => Ok(None),
                }
            };
            if let Some(taken) = socket.read_with(attempt).await? {
                return Ok(taken);
            }
            active.wait(generation).await;
        }
    }
}

impl<S: Kind> Drop for Bound<S> {
    fn drop(&mut self) {
        let Some(member) = &self.member else { return };
        let mut table = S::table(&member.root.0.lineage).lock();
        let Some(entries) = table.get_mut(&member.address) else {
            return;
        };
        entries.retain(|entry| !ptr::eq(entry.bound.as_ptr(), self));
        if entries.is_empty() {
            table.remove(&member.address);
        }
    }
}

impl Standing {
    /// How many connections may wait to be accepted.
    pub(crate) fn backlog(self) -> i32 {
        match self {
            Standing::Root => BACKLOG,
            Standing::Branch => BACKLOG_OF_BRANCH,
        }
    }
}

impl Owner {
    /// Somebody who has bound nothing yet.
    #[cfg(feature = "guest")]
    pub(crate) fn new() -> Owner {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Owner(1 + LAST.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Listeners {
    fn default() -> Listeners {
        Listeners::new()
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("generation", &self.0.generation)
            .field("open_streams", &self.open_streams())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn what_a_root_has_bound_is_not_taken_by_guests_of_the_next_one_nor_the_other_way_round() {
        let any = "127.0.0.1:0".parse().unwrap();
        for (first, second) in [
            (Standing::Root, Standing::Branch),
            (Standing::Branch, Standing::Root),
        ] {
            let old = Listeners::new();
            let bind = |root: &Listeners, standing, address| {
                root.bind::<net::TcpListener>(Owner::default(), standing, address)
            };
            let bound = bind(&old, first, any).unwrap();
            let address = bound.local_addr().unwrap();
            let new = old.successor();
            let refused = bind(&new, second, address).unwrap_err();
            assert_eq!(refused.source.kind(), ErrorKind::AddrInUse);
            // It does not keep those from it to whom it belongs.
            let joined = bind(&new, first, address).unwrap();
            assert!(Arc::ptr_eq(&joined.shared, &bound.shared));
        }
    }
}
