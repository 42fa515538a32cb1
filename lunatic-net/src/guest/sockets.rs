//! The sockets of a process, and what is done with all kinds of them.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, Resource, Table};
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{MessageResource, guest as messages};
use wasmtime::{Caller, Result};

use crate::config::NetConfig;
use crate::guest::NetHost;
use crate::guest::dns::{DnsIterator, tell};
use crate::guest::tls_sockets::TlsSockets;
use crate::listeners::{Owner, WAITING_BYTES};
use crate::{TcpListener, TcpStream, UdpSocket};

/// The sockets of a process, and what it may do with the network.
///
/// A process that has never had a socket has allocated nothing here.
#[derive(Debug)]
pub struct GuestNet {
    config: Arc<NetConfig>,
    tables: Option<Box<Tables>>,
    /// Whether it belongs to the new code of a process, which the process has not
    /// accepted yet.
    is_attempt: bool,
}

/// The sockets that a process holds ids of, by kind.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) dns_iterators: Table<DnsIterator>,
    tcp_listeners: Table<TcpListener>,
    tcp_streams: Table<TcpStream>,
    pub(super) tls: TlsSockets,
    udp_sockets: Table<UdpSocket>,
    /// Who binds addresses, from the first time on.
    owner: Option<Owner>,
    /// How many sockets the old code of the process has, in an attempt.
    old_sockets: usize,
}

/// What the kernel keeps for a socket at least, in bytes: its state, its file, and a little of what
/// it sends and receives.
pub(super) const KERNEL_BYTES: usize = 8 << 10;

/// The error of a process that has as many sockets as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySockets {
    /// How many it may have.
    pub limit: usize,
}

/// A handle of a socket, of one of the kinds that there are.
pub(super) trait Socket: Resource + Clone + Send + Sync + 'static {
    fn table(tables: &mut Tables) -> &mut Table<Self>;

    /// Charges what is kept for the socket itself, however many handles there are.
    fn charge_to(&self, payer: &Account) -> Result<(), Exceeded> {
        let _ = payer;
        Ok(())
    }
}

impl GuestNet {
    /// Returns the state of a new process, which has no sockets.
    pub fn new(config: Arc<NetConfig>) -> GuestNet {
        GuestNet {
            config,
            tables: None,
            is_attempt: false,
        }
    }

    /// Returns the state of an attempt: the new code of the process that has this state,
    /// until the process accepts it and this state is [joined](GuestNet::join) to the new
    /// one. It has no sockets yet. Its ids go on where those of the process end, and its
    /// sockets and those of the process together are no more than one process may have.
    ///
    /// Where the process has bound an address, the attempt gets the same socket. It can
    /// bind no other address, nor leave the port to the system, as others could notice
    /// that.
    ///
    /// - `account`: that of the process.
    ///
    /// # Errors
    ///
    /// As [`Table::successor`].
    pub fn successor(&self, account: &Account) -> Result<GuestNet, Misuse> {
        let tables = self.tables.as_ref();
        let tables = tables.map(|tables| tables.successor(account).map(Box::new));
        Ok(GuestNet {
            config: self.config.clone(),
            tables: tables.transpose()?,
            is_attempt: true,
        })
    }

    /// Ends an attempt, as the process has accepted it: adds the sockets of the old code,
    /// with the ids that they have.
    ///
    /// - `old`: the state whose [`successor`](GuestNet::successor) this is.
    pub fn join(&mut self, old: GuestNet) {
        self.is_attempt = false;
        match (&mut self.tables, old.tables) {
            (Some(own), Some(old)) => own.join(*old),
            (own @ None, old) => *own = old,
            (Some(_), None) => {}
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

    /// Charges the descriptor of a socket that is to be made, if there is room for one more.
    ///
    /// - `account`: that of the process.
    pub(super) fn reserve(&mut self, account: &Account) -> Result<Charge, Misuse> {
        self.check_room()?;
        Ok(Charge::new(account, Kind::Descriptors, 1)?)
    }

    pub(super) fn is_attempt(&self) -> bool {
        self.is_attempt
    }

    /// Who binds addresses: the process, with whatever code.
    pub(super) fn owner(&mut self) -> Owner {
        *self.tables().owner.get_or_insert_with(Owner::new)
    }

    /// Keeps a socket whose descriptor is [charged](GuestNet::reserve) already, and returns its new
    /// id.
    pub(super) fn keep_reserved<S: Socket>(
        &mut self,
        socket: S,
        descriptor: Charge,
    ) -> Result<u64, Misuse> {
        self.check_room()?;
        let account = descriptor.account().clone();
        socket.charge_to(&account)?;
        let table = self.table::<S>();
        Ok(table.insert_charged(socket, &account, descriptor)?)
    }

    /// Keeps another handle of a socket and returns its new id.
    ///
    /// - `account`: that of the process.
    pub(super) fn keep<S: Socket>(&mut self, socket: S, account: &Account) -> Result<u64, Misuse> {
        self.check_room()?;
        socket.charge_to(account)?;
        Ok(self.table::<S>().insert(socket, account)?)
    }
}

impl Tables {
    fn successor(&self, account: &Account) -> Result<Tables, Misuse> {
        Ok(Tables {
            dns_iterators: self.dns_iterators.successor(account)?,
            tcp_listeners: self.tcp_listeners.successor(account)?,
            tcp_streams: self.tcp_streams.successor(account)?,
            tls: self.tls.successor(account)?,
            udp_sockets: self.udp_sockets.successor(account)?,
            owner: self.owner,
            old_sockets: self.sockets(),
        })
    }

    fn join(&mut self, old: Tables) {
        self.dns_iterators.join(old.dns_iterators);
        self.tcp_listeners.join(old.tcp_listeners);
        self.tcp_streams.join(old.tcp_streams);
        self.tls.join(old.tls);
        self.udp_sockets.join(old.udp_sockets);
        self.old_sockets = 0;
        // The process can have more than one, if the attempt was the first to bind an
        // address. The old one has bound nothing then.
        self.owner = self.owner.or(old.owner);
    }

    fn sockets(&self) -> usize {
        self.old_sockets
            + self.tcp_listeners.len()
            + self.tcp_streams.len()
            + self.tls.len()
            + self.udp_sockets.len()
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
pub(super) fn push<T: NetHost, S: Socket>(mut caller: Caller<'_, T>, id: u64) -> Result<u64> {
    let socket: S = caller.data_mut().net().socket(id)?;
    // For a moment it is charged twice, as it is in the table, too.
    let descriptor = Charge::beyond_limits(caller.data().account(), Kind::Descriptors, 1);
    let sent = SentSocket { socket, descriptor };
    let index = messages::push(&mut caller, sent).map_err(|(misuse, _)| misuse)?;
    caller.data_mut().net().table::<S>().remove(id)?;
    Ok(index)
}

/// Shared by every `lunatic::message::take_…` function on sockets (ABI §4):
/// moves a socket out of the message, returns its new id.
///
/// Traps if there is none at that index, and if the process has as many sockets
/// as it may; the socket stays then.
pub(super) fn take<T: NetHost, S: Socket>(mut caller: Caller<'_, T>, index: u64) -> Result<u64> {
    let net = caller.data_mut().net();
    net.check_room().map_err(Misuse::from)?;
    let SentSocket { socket, .. } =
        messages::take::<_, SentSocket<S>>(&mut caller, index, S::KIND)?;
    let account = caller.data().account().clone();
    Ok(caller.data_mut().net().keep(socket, &account)?)
}

/// A socket in a message. It belongs to this node, and cannot cross to another.
struct SentSocket<S> {
    socket: S,
    /// Charged to who has pushed it, until it is taken out.
    descriptor: Charge,
}

impl<S: Socket> MessageResource for SentSocket<S> {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn share(&self) -> Option<Box<dyn MessageResource>> {
        // One of the two is dropped when the process has moved, or has not.
        let account = self.descriptor.account();
        Some(Box::new(SentSocket {
            socket: self.socket.clone(),
            descriptor: Charge::beyond_limits(account, Kind::Descriptors, 1),
        }))
    }
}

impl Resource for TcpListener {
    const KIND: &'static str = "TCP listener";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        KERNEL_BYTES + WAITING_BYTES
    }
}

impl Socket for TcpListener {
    fn table(tables: &mut Tables) -> &mut Table<TcpListener> {
        &mut tables.tcp_listeners
    }
}

impl Resource for TcpStream {
    const KIND: &'static str = "TCP stream";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        KERNEL_BYTES
    }
}

impl Socket for TcpStream {
    fn table(tables: &mut Tables) -> &mut Table<TcpStream> {
        &mut tables.tcp_streams
    }
}

impl Resource for UdpSocket {
    const KIND: &'static str = "UDP socket";
    const IS_DESCRIPTOR: bool = true;
    const LIMIT: usize = usize::MAX;

    fn size(&self) -> usize {
        KERNEL_BYTES
    }
}

impl Socket for UdpSocket {
    fn table(tables: &mut Tables) -> &mut Table<UdpSocket> {
        &mut tables.udp_sockets
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
