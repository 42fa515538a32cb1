//! An endpoint as its owner sees it: one socket, and the connections on it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{ConnectError, ConnectionHandle};
use rustc_hash::FxHashMap;

use crate::address::reachable;
use crate::config::{EndpointConfig, Tls, UnusableTls};
use crate::connection::Connection;
use crate::event::{ConnectionId, DialError, Event, Stats};
use crate::event_queue::EventQueue;
use crate::handshakes::Handshakes;
use crate::socket::{Arrived, Socket};
use crate::transport::{self, Transport, invalid};
use crate::waker::EndpointWaker;

/// One UDP socket, and QUIC connections on it. Its owner drives it from one thread: it does
/// something only in [`wait`](Self::wait) and [`shut_down`](Self::shut_down), and otherwise takes
/// notes.
///
/// An endpoint that is dropped tells nobody, as if the process were killed.
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    transport: Transport,
    pub(crate) client: quinn_proto::ClientConfig,
    pub(crate) quinn: quinn_proto::Endpoint,
    pub(crate) socket: Socket,
    pub(crate) waker: EndpointWaker,
    /// By the number of quinn's handle.
    pub(crate) connections: Vec<Option<Box<Connection>>>,
    /// How many of them are there, those included that have ended and wait for late packets.
    pub(crate) kept: usize,
    /// Those that have not ended.
    pub(crate) ids: FxHashMap<ConnectionId, ConnectionHandle>,
    pub(crate) next_id: u64,
    /// Those with something to do.
    pub(crate) ready: VecDeque<ConnectionHandle>,
    pub(crate) timers: BTreeSet<(Instant, usize)>,
    pub(crate) events: EventQueue,
    pub(crate) handshakes: Handshakes,
    pub(crate) shut: bool,
    /// Buffers that are used again.
    pub(crate) packets: Vec<u8>,
    pub(crate) arrived: Vec<Arrived>,
}

impl Endpoint {
    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// If the address can't be bound, the TLS settings are [`UnusableTls`], there is no lane, or
    /// a time or the packet size is beyond what QUIC knows.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        if config.lanes == 0 {
            return Err(invalid("an endpoint has at least one lane"));
        }
        let transport = Transport::new(&config)?;
        let client = transport.client(&config.tls).map_err(invalid)?;
        let server = transport.server(&config.tls).map_err(invalid)?;
        let settings = transport::endpoint(&config)?;
        let socket = Socket::bind(config.bind)?;
        let find_size = !socket.may_fragment();
        Ok(Self {
            quinn: quinn_proto::Endpoint::new(settings, Some(server), find_size, None),
            handshakes: Handshakes::new(config.max_handshakes),
            config,
            transport,
            client,
            socket,
            waker: EndpointWaker::new()?,
            connections: Vec::new(),
            kept: 0,
            ids: FxHashMap::default(),
            next_id: 1,
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            events: EventQueue::default(),
            shut: false,
            packets: Vec::new(),
            arrived: Vec::new(),
        })
    }

    /// The address of the socket, with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Sets the TLS settings of later connections; those that are there keep theirs.
    ///
    /// # Errors
    ///
    /// If QUIC can't work with them. Then the old ones stay.
    pub fn set_tls(&mut self, tls: Tls) -> Result<(), UnusableTls> {
        let client = self.transport.client(&tls)?;
        let server = self.transport.server(&tls)?;
        self.client = client;
        if !self.shut {
            self.quinn.set_server_config(Some(server));
        }
        self.config.tls = tls;
        Ok(())
    }

    /// What ends [`wait`](Self::wait) from other threads.
    #[must_use]
    pub fn waker(&self) -> EndpointWaker {
        self.waker.clone()
    }

    /// The next event, in the order in which they happened.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop()?;
        if let Event::Connected { id, .. } | Event::Frame { id, .. } | Event::Datagram { id, .. } =
            &event
            && let Some(&handle) = self.ids.get(id)
            && let Some(connection) = self.connection(handle)
            && connection.took(&event)
        {
            self.enqueue(handle);
        }
        Some(event)
    }

    /// Begins a connection. Its end is told by [`Event::Connected`] or [`Event::Closed`]. Frames
    /// can be sent at once; they leave when the connection is established.
    ///
    /// `server_name` is what the peer's certificate is checked against: a DNS name or an IP
    /// address.
    ///
    /// # Errors
    ///
    /// If nothing can be sent to this address, or there are too many connections.
    pub fn dial(&mut self, addr: SocketAddr, server_name: &str) -> Result<ConnectionId, DialError> {
        if self.shut {
            return Err(DialError::ShutDown);
        }
        if self.ids.len() >= self.config.max_connections || self.is_full() {
            return Err(DialError::TooManyConnections);
        }
        let to = reachable(self.local_addr(), addr).ok_or(DialError::InvalidAddress(addr))?;
        let now = Instant::now();
        let (handle, quinn) = self
            .quinn
            .connect(now, self.client.clone(), to, server_name)
            .map_err(|error| match error {
                ConnectError::InvalidServerName(name) => DialError::InvalidName(name),
                ConnectError::EndpointStopping => DialError::ShutDown,
                ConnectError::CidsExhausted => DialError::TooManyConnections,
                ConnectError::InvalidRemoteAddress(_)
                | ConnectError::NoDefaultClientConfig
                | ConnectError::UnsupportedVersion => DialError::InvalidAddress(addr),
            })?;
        Ok(self.insert(handle, quinn, true, now))
    }

    /// Queues a frame on a lane. Frames of one lane arrive whole and in order; between lanes there
    /// is no order. False if there is no such connection or lane.
    ///
    /// A frame is always taken: see [`room`](Self::room) for when to stop. The peer disconnects
    /// if it is longer than the peer's `max_frame`.
    pub fn send(&mut self, id: ConnectionId, lane: u8, frame: Bytes) -> bool {
        let Some((handle, connection)) = self.find(id) else {
            return false;
        };
        let taken = connection.send(lane, &[frame]);
        self.enqueue(handle);
        taken
    }

    /// Queues a frame as [`send`](Self::send) does, whose bytes lie apart. Long ones are not copied
    /// together.
    pub fn send_chunks(&mut self, id: ConnectionId, lane: u8, frame: &[Bytes]) -> bool {
        let Some((handle, connection)) = self.find(id) else {
            return false;
        };
        let taken = connection.send(lane, frame);
        self.enqueue(handle);
        taken
    }

    /// Bytes that a lane takes now before it buffers more than 256 KiB, or the lanes of a
    /// connection together more than 1 MiB; the first lane doesn't count there. Once it was 0, an
    /// [`Event::Writable`] says when there is room again. 0 if there is no such connection or
    /// lane.
    #[must_use]
    pub fn room(&self, id: ConnectionId, lane: u8) -> usize {
        self.get(id).map_or(0, |connection| connection.room(lane))
    }

    /// Sends a datagram, which may get lost. If too many wait, the oldest is dropped. False if
    /// the connection isn't established, or the datagram is longer than
    /// [`max_datagram`](Self::max_datagram).
    pub fn send_datagram(&mut self, id: ConnectionId, bytes: Bytes) -> bool {
        let Some((handle, connection)) = self.find(id) else {
            return false;
        };
        let taken = connection.send_datagram(bytes);
        self.enqueue(handle);
        taken
    }

    /// Bytes of the longest datagram that can be sent at present. `None` if the connection isn't
    /// established.
    #[must_use]
    pub fn max_datagram(&self, id: ConnectionId) -> Option<usize> {
        self.get(id)?.max_datagram()
    }

    /// Says whether frames of a connection are read. While they are not, flow control holds the
    /// peer: a lane takes at most 4 MiB, all of them 8 MiB. Datagrams still come.
    pub fn set_reading(&mut self, id: ConnectionId, reading: bool) {
        if let Some((handle, connection)) = self.find(id)
            && connection.set_reading(reading)
        {
            self.enqueue(handle);
        }
    }

    /// Ends a connection: frames that wait are dropped, and the peer is told the code and the
    /// reason. [`Event::Closed`] follows.
    pub fn close(&mut self, id: ConnectionId, code: u32, reason: &str) {
        let Some(handle) = self.ids.remove(&id) else {
            return;
        };
        if let Some(Some(connection)) = self.connections.get_mut(handle.0) {
            connection.close(Instant::now(), code, reason, &mut self.events);
        }
        self.enqueue(handle);
    }

    /// Ends all connections with this code and reason, takes no more, and sends to the peers
    /// until all of them know it as far as can be told, at most for `limit`. Events can be taken
    /// afterwards.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to wait.
    pub fn shut_down(&mut self, code: u32, reason: &str, limit: Duration) -> io::Result<()> {
        self.shut = true;
        self.quinn.set_server_config(None);
        let now = Instant::now();
        for slot in 0..self.connections.len() {
            if let Some(Some(connection)) = self.connections.get_mut(slot) {
                if !connection.is_closed() {
                    self.ids.remove(&connection.id);
                    connection.close(now, code, reason, &mut self.events);
                }
                self.enqueue(ConnectionHandle(slot));
            }
        }
        self.linger(now + limit)
    }

    /// Figures of a connection.
    #[must_use]
    pub fn stats(&self, id: ConnectionId) -> Option<Stats> {
        Some(self.get(id)?.stats())
    }

    /// How many connections there are; those that are being established count.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.ids.len()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("local_addr", &self.local_addr())
            .field("connections", &self.ids.len())
            .finish_non_exhaustive()
    }
}
