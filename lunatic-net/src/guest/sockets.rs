//! The sockets of a process, and what is done with all kinds of them.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, Resource, Table};
use lunatic_account::Account;
use lunatic_mailbox::{MessageResource, guest as messages};
use wasmtime::{Caller, Result};

use crate::config::NetConfig;
use crate::errors::BindError;
use crate::guest::NetHost;
use crate::guest::addresses::{self, AddressArguments};
use crate::guest::dns::{DnsIterator, tell};
use crate::guest::reports::keep;
use crate::{Action, TcpListener, TcpStream, TlsListener, TlsStream, UdpSocket};

/// The sockets of a process, and what it may do with the network.
///
/// A process that has never had a socket has allocated nothing here.
#[derive(Debug)]
pub struct GuestNet {
    config: Arc<NetConfig>,
    tables: Option<Box<Tables>>,
}

/// The sockets that a process holds ids of, by kind.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) dns_iterators: Table<DnsIterator>,
    tcp_listeners: Table<TcpListener>,
    tcp_streams: Table<TcpStream>,
    tls_listeners: Table<TlsListener>,
    tls_streams: Table<TlsStream>,
    udp_sockets: Table<UdpSocket>,
}

/// The error of a process that has as many sockets as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySockets {
    /// How many it may have.
    pub limit: usize,
}

/// A handle of a socket, of one of the kinds that there are.
pub(super) trait Socket: Resource + Clone + Send + Sync + 'static {
    fn table(tables: &mut Tables) -> &mut Table<Self>;
}

/// A kind of socket that is made from nothing but an address.
pub(super) trait Bind: Socket {
    fn bind(address: SocketAddr) -> impl Future<Output = Result<Self, BindError>> + Send;

    /// The address that it is bound to.
    fn bound_to(&self) -> io::Result<SocketAddr>;
}

impl GuestNet {
    /// Returns the state of a new process, which has no sockets.
    pub fn new(config: Arc<NetConfig>) -> GuestNet {
        GuestNet {
            config,
            tables: None,
        }
    }

    /// Returns what the process may do with the network.
    pub fn config(&self) -> &Arc<NetConfig> {
        &self.config
    }

    /// Returns how many sockets the process holds ids of.
    pub fn socket_count(&self) -> usize {
        self.tables.as_ref().map_or(0, |tables| tables.sockets())
    }

    pub(super) fn tables(&mut self) -> &mut Tables {
        self.tables.get_or_insert_default()
    }

    pub(super) fn table<S: Socket>(&mut self) -> &mut Table<S> {
        S::table(self.tables())
    }

    /// Returns a handle of the socket with this id.
    pub(super) fn socket<S: Socket>(&mut self, id: u64) -> Result<S, Misuse> {
        self.table::<S>().get(id).cloned()
    }

    /// Checks that there is room for one socket more.
    pub(super) fn check_room(&mut self) -> Result<(), TooManySockets> {
        let limit = self.config.max_sockets;
        match self.tables().sockets() < limit {
            true => Ok(()),
            false => Err(TooManySockets { limit }),
        }
    }

    /// Keeps a socket and returns its new id.
    ///
    /// - `account`: that of the process.
    pub(super) fn keep<S: Socket>(&mut self, socket: S, account: &Account) -> Result<u64, Misuse> {
        self.check_room()?;
        Ok(self.table::<S>().insert(socket, account)?)
    }
}

impl Tables {
    fn sockets(&self) -> usize {
        self.tcp_listeners.len()
            + self.tcp_streams.len()
            + self.tls_listeners.len()
            + self.tls_streams.len()
            + self.udp_sockets.len()
    }
}

/// Shared by the `…_bind` functions but that of TLS: returns 0 with an id, or 1
/// with an error id, at `id_ptr`.
///
/// Traps on a bad kind of address, or a bad address in memory.
pub(super) async fn bind<T: NetHost, S: Bind>(
    mut caller: Caller<'_, T>,
    kind: u32,
    address_ptr: u32,
    port: u32,
    flow_info: u32,
    scope_id: u32,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let address = AddressArguments::new(kind, address_ptr, port, flow_info, scope_id);
    let address = match addresses::permitted(&mut caller, Action::Bind, address).await? {
        Ok(address) => address,
        Err(refusal) => return caller.report(id_ptr, &refusal),
    };
    let socket = match caller.wait(S::bind(address)).await {
        Ok(socket) => socket,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let config = caller.data_mut().net().config().clone();
    let checked = addresses::check_bound(&config, address, socket.bound_to());
    match caller.wait(checked).await {
        Ok(()) => keep(&mut caller, socket, id_ptr),
        Err(refusal) => caller.report(id_ptr, &refusal),
    }
}

/// Returns the socket with this id, for an operation with a buffer at `ptr` and a result
/// at `opaque_ptr`.
///
/// Traps on an unknown id, and if one of the two is not in memory.
pub(super) fn with_buffer<T: NetHost, S: Socket>(
    caller: &mut Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
) -> Result<S> {
    let socket: S = caller.data_mut().net().socket(id)?;
    caller.bytes(ptr, len)?;
    caller.check_id_ptr(opaque_ptr)?;
    Ok(socket)
}

/// Shared by every function that tells an address of a socket. Returns 0 with an
/// iterator id, or 1 with an error id, at `id_ptr`.
///
/// Traps on an unknown id, or a bad address.
pub(super) fn tell_address<T: NetHost, S: Socket>(
    mut caller: Caller<'_, T>,
    id: u64,
    id_ptr: u32,
    address: fn(&S) -> io::Result<SocketAddr>,
) -> Result<u32> {
    let address = address(caller.data_mut().net().table::<S>().get(id)?);
    tell(&mut caller, address, id_ptr)
}

/// Shared by every `drop_…` function on sockets.
///
/// Traps on an unknown id.
pub(super) fn drop<T: NetHost, S: Socket>(mut caller: Caller<'_, T>, id: u64) -> Result<()> {
    caller.data_mut().net().table::<S>().remove(id)?;
    Ok(())
}

/// Shared by every `clone_…` function: a new handle of the same socket,
/// returns its id.
///
/// Traps on an unknown id, and if the process has as many sockets as it may.
pub(super) fn clone<T: NetHost, S: Socket>(mut caller: Caller<'_, T>, id: u64) -> Result<u64> {
    let account = caller.data().account().clone();
    let net = caller.data_mut().net();
    let socket: S = net.socket(id)?;
    Ok(net.keep(socket, &account)?)
}

/// Shared by every `lunatic::message::push_…` function on sockets (ABI §4):
/// moves a socket into the message, returns its index.
///
/// Traps on an unknown id, and without a data message; the socket stays then.
pub(super) fn push<T: NetHost, S: Socket + MessageResource>(
    mut caller: Caller<'_, T>,
    id: u64,
) -> Result<u64> {
    let socket: S = caller.data_mut().net().socket(id)?;
    let index = messages::push(&mut caller, socket).map_err(|(misuse, _)| misuse)?;
    caller.data_mut().net().table::<S>().remove(id)?;
    Ok(index)
}

/// Shared by every `lunatic::message::take_…` function on sockets (ABI §4):
/// moves a socket out of the message, returns its new id.
///
/// Traps if there is none at that index, and if the process has as many sockets
/// as it may; the socket stays then.
pub(super) fn take<T: NetHost, S: Socket + MessageResource>(
    mut caller: Caller<'_, T>,
    index: u64,
) -> Result<u64> {
    let net = caller.data_mut().net();
    net.check_room().map_err(Misuse::from)?;
    let socket: S = messages::take(&mut caller, index, S::KIND)?;
    let account = caller.data().account().clone();
    Ok(caller.data_mut().net().keep(socket, &account)?)
}

impl Resource for TcpListener {
    const KIND: &'static str = "TCP listener";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;
}

impl Socket for TcpListener {
    fn table(tables: &mut Tables) -> &mut Table<TcpListener> {
        &mut tables.tcp_listeners
    }
}

impl Bind for TcpListener {
    async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
        TcpListener::bind(address).await
    }

    fn bound_to(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Resource for TcpStream {
    const KIND: &'static str = "TCP stream";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;
}

impl Socket for TcpStream {
    fn table(tables: &mut Tables) -> &mut Table<TcpStream> {
        &mut tables.tcp_streams
    }
}

impl Resource for TlsListener {
    const KIND: &'static str = "TLS listener";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;
}

impl Socket for TlsListener {
    fn table(tables: &mut Tables) -> &mut Table<TlsListener> {
        &mut tables.tls_listeners
    }
}

impl Resource for TlsStream {
    const KIND: &'static str = "TLS stream";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;
}

impl Socket for TlsStream {
    fn table(tables: &mut Tables) -> &mut Table<TlsStream> {
        &mut tables.tls_streams
    }
}

impl Resource for UdpSocket {
    const KIND: &'static str = "UDP socket";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;
}

impl Socket for UdpSocket {
    fn table(tables: &mut Tables) -> &mut Table<UdpSocket> {
        &mut tables.udp_sockets
    }
}

impl Bind for UdpSocket {
    async fn bind(address: SocketAddr) -> Result<UdpSocket, BindError> {
        UdpSocket::bind(address).await
    }

    fn bound_to(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl fmt::Display for TooManySockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this process has {} sockets, as many as it may",
            self.limit
        )
    }
}

impl Error for TooManySockets {}

impl From<TooManySockets> for Misuse {
    fn from(error: TooManySockets) -> Misuse {
        Misuse::refused(error.to_string())
    }
}

/// It belongs to this node, and cannot cross to another.
impl MessageResource for TcpStream {
    fn kind(&self) -> &'static str {
        Self::KIND
    }
}

/// It belongs to this node, and cannot cross to another.
impl MessageResource for TlsStream {
    fn kind(&self) -> &'static str {
        Self::KIND
    }
}

/// It belongs to this node, and cannot cross to another.
impl MessageResource for UdpSocket {
    fn kind(&self) -> &'static str {
        Self::KIND
    }
}
