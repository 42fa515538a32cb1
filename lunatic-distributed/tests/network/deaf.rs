//! A node that takes part in everything, but does not read what processes send to it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use lunatic_distributed::{
    Action, Answer, Cluster, Connection, GroupChange, Incoming, LANES, LocalNode, MAX_UNIT_BYTES,
    NodeEvent, NodeInfo, NotDelivered, Sessions,
};
use lunatic_mailbox::{NodeId, Pid};
use lunatic_process::{Effect, ExitReason, Signal};
use lunatic_quic::{ConnectionId, Endpoint, EndpointConfig, Event, Tls};
use lunatic_trust::{Credentials, PeerIdentity};

/// A node that reads nothing that comes in a session until it is told to.
pub(crate) struct Deaf {
    pub(crate) address: SocketAddr,
    pub(crate) id: NodeId,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    reads: AtomicBool,
    has_session: AtomicBool,
    lost: AtomicU64,
    received: AtomicU64,
}

impl LocalNode for Shared {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        let bytes = message.bytes.len() as u64;
        self.received.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn signal(&self, _: Pid, _: Pid, _: Signal) -> Result<Effect, ExitReason> {
        Err(ExitReason::NoProcess)
    }

    fn request(&self, _: Pid, _: &[u8], _: Answer) {}

    fn group_changed(&self, _: GroupChange) {}

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, _: &str, _: Pid, _: Pid) {}

    fn node_event(&self, event: NodeEvent) {
        match event {
            NodeEvent::Up(_) => self.has_session.store(true, Ordering::SeqCst),
            NodeEvent::Down { .. } => drop(self.lost.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        }
    }
}

impl Deaf {
    pub(crate) fn start(credentials: Credentials) -> Deaf {
        let (server, client) = credentials.tls().unwrap();
        let any = ([127, 0, 0, 1], 0).into();
        let mut config = EndpointConfig::new(any, Tls { server, client }, [5; 32]);
        config.lanes = LANES;
        config.max_frame = MAX_UNIT_BYTES;
        let endpoint = Endpoint::bind(config).unwrap();
        let address = endpoint.local_addr();
        let id = NodeId::from_bits(0x7_0000_1234);
        let shared = Arc::new(Shared::default());
        let served = shared.clone();
        let thread = std::thread::spawn(move || serve(endpoint, credentials, id, &served));
        Deaf {
            address,
            id,
            shared,
            thread: Some(thread),
        }
    }

    /// It reads from now on.
    pub(crate) fn read(&self) {
        self.shared.reads.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_session(&self) -> bool {
        self.shared.has_session.load(Ordering::SeqCst)
    }

    /// How many sessions it has lost.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// How many bytes of messages have come.
    pub(crate) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What the thread of a node does, but for reading.
fn serve(mut endpoint: Endpoint, credentials: Credentials, id: NodeId, shared: &Arc<Shared>) {
    let own = NodeInfo {
        id,
        name: credentials.name(),
        address: endpoint.local_addr(),
        generation: 1,
        tags: BTreeMap::new(),
    };
    let sessions = Arc::new(Sessions::new(id, || ()));
    let now = Instant::now();
    let mut cluster = Cluster::new(own, shared.clone(), sessions.clone(), 7, now);
    let mut known: HashMap<ConnectionId, Connection> = HashMap::new();
    let mut ids: HashMap<Connection, ConnectionId> = HashMap::new();
    while !shared.is_over.load(Ordering::SeqCst) {
        let now = Instant::now();
        while let Some(event) = endpoint.next_event() {
            match event {
                Event::Connected {
                    id,
                    certificates,
                    alpn,
                    ..
                } => {
                    let now = SystemTime::now();
                    let admitted = credentials.admit(alpn.as_deref(), Some(&certificates), now);
                    let Ok(PeerIdentity::Member(name)) = admitted else {
                        panic!("a stranger");
                    };
                    let number = Connection(1 + known.len() as u64);
                    known.insert(id, number);
                    ids.insert(number, id);
                    cluster.connected(number, name, None, Instant::now());
                }
                Event::Frame { id, lane, bytes } => cluster.unit(known[&id], lane, &bytes, now),
                Event::Datagram { id, bytes } => cluster.datagram(known[&id], &bytes, now),
                Event::Closed { id, .. } => {
                    if let Some(number) = known.get(&id) {
                        cluster.closed(*number, false, now);
                    }
                }
                _ => {}
            }
        }
        cluster.tick(now);
        for action in cluster.take_actions() {
            match action {
                // The other one has dialled, and does again.
                Action::Dial(address) => cluster.dial_failed(address, now),
                Action::Write(to, bytes) => drop(endpoint.send(ids[&to], 0, bytes.into())),
                Action::Datagram(to, bytes) => {
                    endpoint.send_datagram(ids[&to], bytes.into());
                }
                Action::Close(connection, code, reason) => {
                    endpoint.close(ids[&connection], code, reason);
                }
            }
        }
        for session in sessions.all() {
            let id = ids[&session.connection()];
            let mut open = u64::MAX;
            while session.is_ready()
                && let Some((lane, unit)) = session.take_next(&mut open, |_| 1)
            {
                endpoint.send_chunks(id, lane, unit.as_slice());
            }
            endpoint.set_reading(id, shared.reads.load(Ordering::SeqCst));
        }
        endpoint
            .wait(Some(now + Duration::from_millis(10)))
            .unwrap();
    }
}
