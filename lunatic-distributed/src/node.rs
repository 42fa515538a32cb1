//! A node of a cluster, with its socket and its thread.

mod background;
mod driver;
mod gone;
mod joining;
mod late;
mod own_address;
mod seeds;
mod unreached;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_channel::Sender;
use lunatic_account::{Account, Exceeded};
use lunatic_mailbox::{NodeId, NodeNumber, Pid, Tag};
use lunatic_process::Process;
use lunatic_quic::{Endpoint, EndpointConfig, EndpointWaker, Tls};
use lunatic_trust::Credentials;
use parking_lot::Mutex;

use crate::NodeName;
use crate::cluster::Cluster;
use crate::expelled::Expelled;
use crate::frame::{LANES, MAX_UNIT_BYTES};
use crate::global::{MAX_GLOBAL_NAME_BYTES, NameTaken};
use crate::group_changes::GroupChanges;
use crate::groups::GroupChange;
use crate::handshake::Refusal;
use crate::held_names::{HeldNames, OnLoss};
use crate::local::{LocalNode, NodeEvent};
use crate::node::driver::{Command, Driver};
use crate::node::late::Late;
use crate::node::unreached::SeedReason;
use crate::node_info::{MAX_TAG_BYTES, MAX_TAGS, NodeInfo, longest_tag};
use crate::node_monitors::{NodeMonitors, NotMonitored};
use crate::query::Query;
use crate::register_error::RegisterError;
use crate::session::RequestError;
#[cfg(feature = "guest")]
use crate::session::Responder;
use crate::sessions::Sessions;

pub use crate::node::gone::GoneNode;
pub use crate::node::joining::{JoinFailed, join};

/// How long a node waits for others when it starts, before it goes on alone and asks them
/// meanwhile.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked, as a node joins, whether it is connected to all that it has heard of.
const SETTLING_PERIOD: Duration = Duration::from_millis(40);

/// So often that has to be so, one after the other: others are still telling of nodes.
const SETTLED: u32 = 5;

/// How long nothing may come from another node before it counts as lost. It is asked each second;
/// a loss is to be told within six.
const IDLE_LIMIT: Duration = Duration::from_millis(4500);

/// So many numbers are tried before a node gives up.
const MAX_DRAWS: u32 = 16;

/// How a node is to be.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Who it is, and whom it trusts. Its name is in there.
    pub credentials: Credentials,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where others reach it, if that is not where it listens.
    pub advertise: Option<SocketAddr>,
    /// Nodes to ask for others, as `host:port`. A name may have several addresses. They are
    /// asked as long as the node lives.
    pub seeds: Vec<String>,
    /// What lookups find it by.
    pub tags: BTreeMap<String, String>,
    /// A secret of the node, for the ids of its connections: a node that starts again with the
    /// same one tells its peers at once that the connections of before are gone. `None`: that
    /// [of the credentials](Credentials::connection_key), else another one for each start.
    pub key: Option<[u8; 32]>,
}

/// A node of a cluster; clone it freely. It lives until [`stop`](Node::stop).
///
/// ```
/// use std::time::SystemTime;
///
/// use lunatic_distributed::{Node, NodeConfig};
/// use lunatic_trust::{Authority, Credentials};
///
/// # futures_lite::future::block_on(async {
/// let directory = tempfile::tempdir()?;
/// let now = SystemTime::now();
/// let authority = Authority::init(&directory.path().join("shop"), &"shop".parse()?, now)?;
/// let node = |name: &str, seeds| {
///     let credentials = Credentials::from_authority(&authority, &name.parse()?, None, now)?;
///     let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
///     config.seeds = seeds;
///     Ok::<_, Box<dyn std::error::Error>>(config)
/// };
/// let first = Node::start(node("first", Vec::new())?).await?;
/// let seeds = vec![first.info().address.to_string()];
/// let second = Node::start(node("second", seeds)?).await?;
/// assert_eq!(second.nodes()[0].name.as_str(), "first");
/// second.stop().await;
/// first.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    info: NodeInfo,
    sessions: Arc<Sessions>,
    commands: Sender<Command>,
    waker: EndpointWaker,
    late: Arc<Late>,
    group_changes: Arc<Mutex<GroupChanges>>,
    held_names: HeldNames,
    monitors: Arc<NodeMonitors>,
    #[cfg(feature = "guest")]
    uploads: Arc<crate::uploads::Uploads>,
    is_draining: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A node that this one has a session with.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The node.
    pub info: NodeInfo,
    /// The round trip to it.
    pub round_trip: Duration,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: usize,
    /// Bytes that were sent to it in this session.
    pub sent_bytes: u64,
    /// Bytes that have come from it in this session.
    pub received_bytes: u64,
    /// How long there has been the connection.
    pub connected_for: Duration,
}

/// A node that gossip knows to live, and that this one has no session with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconnected {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Where it says that it is reached.
    pub address: SocketAddr,
}

/// Why a node did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeError {
    /// The address to listen at cannot be used.
    Bind {
        /// That address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// It has more tags than [`MAX_TAGS`], or one of more than [`MAX_TAG_BYTES`]: others would not
    /// take it in.
    Tags {
        /// So many it has.
        count: usize,
        /// So many bytes the longest has.
        longest: usize,
    },
    /// Others cannot reach the address that is advertised: it stands for all addresses of a host.
    Advertised(SocketAddr),
    /// TLS cannot be set up.
    Tls(String),
    /// Another node does not want it.
    Refused {
        /// That node.
        address: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
    /// No number is free, as far as could be found out.
    NoNumber,
    /// The system gives no thread, or no random numbers.
    System(io::Error),
}

impl NodeConfig {
    /// A node without seeds and tags.
    ///
    /// - `listen`: where it listens.
    pub fn new(credentials: Credentials, listen: SocketAddr) -> NodeConfig {
        NodeConfig {
            credentials,
            listen,
            advertise: None,
            seeds: Vec::new(),
            tags: BTreeMap::new(),
            key: None,
        }
    }
}

impl Node {
    /// Starts a node: listens, and joins the others if there are seeds, which means to be
    /// connected to each node that they know to live. If none of them
    /// answers within five seconds, it goes on alone and asks them meanwhile.
    ///
    /// # Errors
    ///
    /// [`NodeError`].
    pub async fn start(config: NodeConfig) -> Result<Node, NodeError> {
        let (count, longest) = (config.tags.len(), longest_tag(&config.tags));
        if count > MAX_TAGS || longest > MAX_TAG_BYTES {
            return Err(NodeError::Tags { count, longest });
        }
        if let Some(address) = config.advertise
            && address.ip().is_unspecified()
        {
            return Err(NodeError::Advertised(address));
        }
        let mut draws = 0;
        let mut listen = config.listen;
        let own_ip = match config.advertise.is_none() && listen.ip().is_unspecified() {
            true => Some(own_address::own_ip(&config.seeds, listen.is_ipv4()).await),
            false => None,
        };
        loop {
            draws += 1;
            let advertised = |local| address_of(&config, local, own_ip);
            let node = Node::start_once(&config, listen, advertised)?;
            let joined = node.joined(!config.seeds.is_empty()).await;
            match joined {
                Ok(()) => return Ok(node),
                Err(NodeEvent::NumberTaken) if draws < MAX_DRAWS => {
                    // At the port that is known by now.
                    listen.set_port(node.inner.late.port());
                    node.stop().await;
                }
                Err(NodeEvent::Refused {
                    address, refusal, ..
                }) => {
                    node.stop().await;
                    return Err(NodeError::Refused { address, refusal });
                }
                Err(_) => {
                    node.stop().await;
                    return Err(NodeError::NoNumber);
                }
            }
        }
    }

    /// - `advertised`: where others reach it, by where it listens.
    fn start_once(
        config: &NodeConfig,
        listen: SocketAddr,
        advertised: impl Fn(SocketAddr) -> SocketAddr,
    ) -> Result<Node, NodeError> {
        let tls = config.credentials.tls();
        let (server, client) = tls.map_err(|error| NodeError::Tls(error.to_string()))?;
        let key = match config.key.or_else(|| config.credentials.connection_key()) {
            Some(key) => key,
            None => random()?,
        };
        let mut endpoint = EndpointConfig::new(listen, Tls { server, client }, key);
        endpoint.lanes = LANES;
        endpoint.max_frame = MAX_UNIT_BYTES;
        endpoint.idle_timeout = IDLE_LIMIT;
        let address = listen;
        let endpoint =
            Endpoint::bind(endpoint).map_err(|error| NodeError::Bind { address, error })?;
        let local = endpoint.local_addr();
        let info = NodeInfo {
            id: draw_id()?,
            name: config.credentials.name(),
            address: advertised(local),
            generation: 1,
            tags: config.tags.clone(),
        };
        let waker = endpoint.waker();
        let wake = waker.clone();
        let sessions = Arc::new(Sessions::new(info.id, move || wake.wake()));
        let (commands, received) = async_channel::unbounded();
        let monitors = Arc::new(NodeMonitors::default());
        let late = Late::new(
            local.port(),
            config.credentials.clone(),
            monitors.clone(),
            &config.seeds,
        );
        let late = Arc::new(late);
        let seed = u64::from_le_bytes(random()?);
        let cluster = Cluster::new(
            info.clone(),
            late.clone(),
            sessions.clone(),
            seed,
            Instant::now(),
        );
        let group_changes = Arc::new(Mutex::new(GroupChanges::default()));
        let driver = Driver::new(
            endpoint,
            cluster,
            sessions.clone(),
            config.credentials.clone(),
            received,
            late.clone(),
            group_changes.clone(),
        );
        let background = background::start(
            config.credentials.clone(),
            late.clone(),
            commands.clone(),
            waker.clone(),
        )
        .map_err(NodeError::System)?;
        let seeds = seeds::start(
            config.seeds.clone(),
            late.clone(),
            commands.clone(),
            waker.clone(),
        )
        .map_err(NodeError::System)?;
        let thread = std::thread::Builder::new()
            .name("node".into())
            .spawn(move || {
                driver.run(background);
                drop(seeds);
            })
            .map_err(NodeError::System)?;
        Ok(Node {
            inner: Arc::new(Inner {
                info,
                sessions,
                commands,
                waker,
                group_changes,
                held_names: HeldNames::default(),
                monitors,
                late,
                #[cfg(feature = "guest")]
                uploads: Arc::default(),
                is_draining: AtomicBool::new(false),
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Waits for the first session, if there are nodes to ask.
    async fn joined(&self, has_seeds: bool) -> Result<(), NodeEvent> {
        let events = self.inner.late.events();
        let end = Instant::now() + JOIN_LIMIT;
        if !has_seeds {
            return Ok(());
        }
        let mut refusing = BTreeSet::new();
        loop {
            let next = futures_lite::future::or(async { events.recv().await.ok() }, async {
                async_io::Timer::at(end).await;
                None
            });
            match next.await {
                None => {
                    for seed in self.inner.late.unreached().of_seeds() {
                        seed.log();
                    }
                    return Ok(());
                }
                Some(NodeEvent::Up(_)) => return self.settled(end).await,
                Some(event @ NodeEvent::NumberTaken) => return Err(event),
                Some(NodeEvent::Refused {
                    refusal: Refusal::Itself,
                    ..
                }) => {
                    let seeds = self.inner.late.unreached().of_seeds();
                    if seeds.iter().all(|seed| seed.is_itself) {
                        // Nobody else is to be waited for.
                        seeds.iter().for_each(SeedReason::log);
                        return Ok(());
                    }
                }
                Some(NodeEvent::Refused {
                    refusal: Refusal::Restarted { .. } | Refusal::Crossed | Refusal::Leaving,
                    ..
                }) => {}
                Some(NodeEvent::Refused {
                    refusal: Refusal::Protocol { .. },
                    address,
                    ..
                }) if !self.inner.late.unreached().are_all(&mut refusing, address) => {
                    // Another node may speak the same, and this one will be updated.
                }
                Some(event @ NodeEvent::Refused { .. }) => return Err(event),
                Some(NodeEvent::Down { .. }) => {}
            }
        }
    }

    /// Waits until there is a session with each node that lives, as far as the others have
    /// told, or the time is over.
    async fn settled(&self, end: Instant) -> Result<(), NodeEvent> {
        let events = self.inner.late.events();
        let mut quiet = 0;
        while quiet < SETTLED && Instant::now() < end {
            async_io::Timer::after(SETTLING_PERIOD).await;
            quiet = match self.unconnected().await.is_empty() {
                true => quiet + 1,
                false => 0,
            };
            while let Ok(event) = events.try_recv() {
                if Expelled::by(&event).is_some() {
                    return Err(event);
                }
            }
        }
        Ok(())
    }

    /// This node.
    pub fn info(&self) -> &NodeInfo {
        &self.inner.info
    }

    /// The sessions with other nodes: the [`Peers`](lunatic_process::Peers) of an environment
    /// whose node is [this one](NodeInfo::id).
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.inner.sessions
    }

    /// Sets what the other nodes reach. Until then, there are no processes here for them. Only
    /// the first call counts.
    pub fn attach(&self, local: Arc<dyn LocalNode>) {
        // By the thread of the node, so that nothing is told twice or to nobody.
        self.command(Command::Attach(local));
    }

    /// The nodes with which there is a session, in the order of their names.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let sessions = self.inner.sessions.all();
        let mut nodes: Vec<_> = sessions
            .iter()
            .map(|session| session.node().clone())
            .collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        nodes
    }

    /// The nodes that a query finds, this one among them, without those that are
    /// [about to leave](Node::drain).
    pub fn find(&self, query: &Query) -> Vec<NodeId> {
        let sessions = self.inner.sessions.all();
        let others = sessions.iter().filter(|session| !session.is_draining());
        let all = std::iter::once(&self.inner.info).chain(others.map(|session| session.node()));
        all.filter(|node| query.matches(node))
            .map(|node| node.id)
            .collect()
    }

    /// This node is about to leave: processes of other nodes do not find it any more, by lookups and
    /// among the nodes that there are. All else goes on, so that what runs here can end in order;
    /// [`stop`](Node::stop) is to follow. Whoever starts processes for others is to ask
    /// [`is_draining`](Node::is_draining).
    pub fn drain(&self) {
        self.inner.is_draining.store(true, Ordering::Relaxed);
        self.command(Command::Drain);
    }

    /// Whether it is about to leave.
    pub fn is_draining(&self) -> bool {
        self.inner.is_draining.load(Ordering::Relaxed)
    }

    /// The sessions and how they do.
    pub async fn peers(&self) -> Vec<Peer> {
        let (sender, receiver) = async_channel::bounded(1);
        self.command(Command::Peers(sender));
        receiver.recv().await.unwrap_or_default()
    }

    /// The nodes that live, as others say, and that this one has no session with.
    pub async fn unconnected(&self) -> Vec<Unconnected> {
        let (sender, receiver) = async_channel::bounded(1);
        self.command(Command::Unconnected(sender));
        receiver.recv().await.unwrap_or_default()
    }

    /// The nodes whose sessions have ended within the last hour and that have not come back, in the
    /// order of their names; the last 64 of them.
    pub fn gone(&self) -> Vec<GoneNode> {
        self.inner.late.gone()
    }

    /// How often the other nodes that live were suspected of being gone, as they did not answer the
    /// questions of gossip in time, and have said that they live, or have to.
    pub async fn suspicions(&self) -> u64 {
        let (sender, receiver) = async_channel::bounded(1);
        self.command(Command::Suspicions(sender));
        receiver.recv().await.unwrap_or_default()
    }

    /// How many sessions with other nodes were lost since this one has started.
    pub fn lost_sessions(&self) -> u64 {
        self.inner.late.lost()
    }

    /// Whether a node is known to live, even if there is no session with it now.
    pub async fn is_known(&self, node: NodeId) -> bool {
        if self.inner.sessions.with_node(node).is_some() {
            return true;
        }
        let (sender, receiver) = async_channel::bounded(1);
        self.command(Command::IsKnown(node, sender));
        receiver.recv().await.unwrap_or(false)
    }

    /// Asks another node for something, which its [`LocalNode::request`] answers. It is sent by
    /// the call.
    ///
    /// - `from`: in whose name; the request arrives behind nothing else.
    /// - `payer`: pays for it until it has left this node.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub fn request(
        &self,
        node: NodeId,
        from: Pid,
        payer: Option<&Account>,
        request: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, RequestError>> + Send + use<> {
        let session = self.inner.sessions.with_node(node);
        let asked = session.map(|session| session.ask(from, payer, &late::for_local(request)));
        async move {
            let asked = asked.ok_or(RequestError::NoConnection)?;
            asked.await
        }
    }

    /// The same, with a function that is called with the answer, or at once with an error, in
    /// place of a future.
    #[cfg(feature = "guest")]
    pub(crate) fn request_with(
        &self,
        node: NodeId,
        from: Pid,
        payer: Option<&Account>,
        request: &[u8],
        respond: Responder,
    ) {
        match self.inner.sessions.with_node(node) {
            Some(session) => {
                session.request(from, payer, &late::for_local(request), respond);
            }
            None => respond(Err(RequestError::NoConnection)),
        }
    }

    /// The modules on their way to other nodes.
    #[cfg(feature = "guest")]
    pub(crate) fn uploads(&self) -> &Arc<crate::uploads::Uploads> {
        &self.inner.uploads
    }

    /// Waits until there is a session with a node, or the time is over.
    pub async fn connected(&self, node: NodeId, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            if self.inner.sessions.with_node(node).is_some() {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            async_io::Timer::after(Duration::from_millis(20)).await;
        }
    }

    /// Tells the other nodes that a process of this one has joined or left a group.
    ///
    /// - `times`: how often.
    pub fn group_changed(&self, change: GroupChange, times: u32) {
        self.inner.group_changes.lock().add_times(change, times);
        self.inner.waker.wake();
    }

    /// Gives a process of this node a name that is unique in the cluster, once all nodes that
    /// can be reached agree. The name is given up by
    /// [`unregister_global`](Node::unregister_global), which has to be called when the process ends.
    ///
    /// # Errors
    ///
    /// [`RegisterError`].
    pub async fn register_global(&self, name: &str, process: Pid) -> Result<(), RegisterError> {
        if name.len() > MAX_GLOBAL_NAME_BYTES {
            let length = name.len();
            return Err(RegisterError::TooLong { length });
        }
        let (sender, receiver) = async_channel::bounded(1);
        let decide = move |decision| {
            sender.try_send(decision).ok();
        };
        self.command(Command::Register {
            name: name.into(),
            process,
            decide: Box::new(decide),
        });
        let decision = receiver.recv().await.map_err(|_| RegisterError::Stopped)?;
        decision.map_err(RegisterError::Taken)
    }

    /// Gives a process of this node a name as [`register_global`](Node::register_global) does;
    /// it gives the name up when it ends. Returns how the registration is waited for, which goes
    /// on if that is dropped.
    ///
    /// - `name`: has no more than [`MAX_GLOBAL_NAME_BYTES`].
    /// - `on_loss`: what becomes of the process if an older claim turns up.
    /// - `payer`: to whom the name is charged.
    ///
    /// # Errors
    ///
    /// The payer has no name or no memory left.
    pub fn register_for(
        &self,
        process: &Process,
        name: &str,
        on_loss: OnLoss,
        payer: &Account,
    ) -> Result<impl Future<Output = Result<(), RegisterError>> + Send + use<>, Exceeded> {
        let id = process.id();
        let (sender, receiver) = async_channel::bounded(1);
        let node = Arc::downgrade(&self.inner);
        let wanted = name.to_owned();
        let decide = move |decision: Result<(), NameTaken>| {
            if let Some(node) = node.upgrade() {
                node.held_names.decided(id, &wanted, decision.is_ok());
            }
            // Who has asked may be gone.
            sender.try_send(decision).ok();
        };
        let claim = || {
            self.command(Command::Register {
                name: name.into(),
                process: id,
                decide: Box::new(decide),
            });
        };
        let held = &self.inner.held_names;
        if held.hold(id, name, on_loss, payer, claim)? {
            /// So many names are given up in one step.
            const BATCH: usize = 256;
            let node = Arc::downgrade(&self.inner);
            let mut names = None;
            process.at_exit_in_pieces(move |_| {
                let Some(inner) = node.upgrade() else {
                    return false;
                };
                let node = Node { inner };
                let names = names.get_or_insert_with(|| node.inner.held_names.ended(id));
                let batch = names.take(BATCH);
                batch.map(|name| node.unregister_global(&name, id)).count() == BATCH
            });
        }
        Ok(async move {
            let decision = receiver.recv().await.map_err(|_| RegisterError::Stopped)?;
            decision.map_err(RegisterError::Taken)
        })
    }

    /// The names that processes of this node have by [`register_for`](Node::register_for).
    pub fn held_names(&self) -> &HeldNames {
        &self.inner.held_names
    }

    /// Tells a process from now on which nodes are connected, and which come and go; see
    /// [`NodeMonitors::begin`].
    ///
    /// # Errors
    ///
    /// [`NotMonitored`].
    pub fn monitor_nodes(&self, process: &Process, tag: Option<Tag>) -> Result<(), NotMonitored> {
        let Inner {
            sessions, monitors, ..
        } = &*self.inner;
        if monitors.begin(sessions, process, tag, process.account())? {
            let (id, monitors) = (process.id(), Arc::downgrade(monitors));
            process.at_exit(move |_| {
                if let Some(monitors) = monitors.upgrade() {
                    monitors.end(id);
                }
            });
        }
        Ok(())
    }

    /// Tells a process no longer.
    pub fn stop_monitoring_nodes(&self, process: Pid) {
        self.inner.monitors.end(process);
    }

    /// Gives up a name, if this process has it.
    pub fn unregister_global(&self, name: &str, process: Pid) {
        self.inner.held_names.give_up(process, name, || {
            let name = name.into();
            self.command(Command::Unregister { name, process });
        });
    }

    /// The process that has a name, as far as this node knows.
    pub fn find_global(&self, name: &str) -> Option<Pid> {
        self.inner.late.global(name)
    }

    /// Waits until the node can be part of its cluster no longer, though it has started, and
    /// returns why. Its processes go on, and other nodes do not reach them; its owner is to
    /// [stop](Node::stop) it.
    pub async fn expelled(&self) -> Expelled {
        self.inner.late.expelled().await
    }

    /// Leaves the cluster: tells the others, sends what is queued, for a second at most, and
    /// stops. What processes send or signal from here on reaches no other node: those learn that the
    /// node has left, and not how its processes end then.
    pub async fn stop(&self) {
        self.inner.sessions.close();
        let thread = self.inner.thread.lock().take();
        let Some(thread) = thread else {
            return;
        };
        self.command(Command::Stop);
        // It ends within a second or two.
        let (sender, receiver) = async_channel::bounded::<()>(1);
        let waiting = std::thread::Builder::new()
            .name("node-stop".into())
            .spawn(move || {
                let _ended = sender;
                thread.join().ok();
            });
        if waiting.is_ok() {
            receiver.recv().await.ok();
        }
    }

    fn command(&self, command: Command) {
        // If the thread has ended, nobody waits for it: the senders inside are dropped.
        self.inner.commands.try_send(command).ok();
        self.inner.waker.wake();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.commands.try_send(Command::Stop).ok();
        self.waker.wake();
    }
}

/// A node id that is not that of a node that is alone.
fn draw_id() -> Result<NodeId, NodeError> {
    loop {
        let id = NodeId::from_bits(u64::from_le_bytes(random()?));
        if id.number() != NodeNumber::ALONE {
            return Ok(id);
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NodeError::System(io::Error::other(error)))?;
    Ok(bytes)
}

/// Where others reach the node.
///
/// - `own_ip`: the address of the host, if it listens at all.
fn address_of(config: &NodeConfig, local: SocketAddr, own_ip: Option<IpAddr>) -> SocketAddr {
    match (config.advertise, own_ip) {
        (Some(advertised), _) if advertised.port() != 0 => advertised,
        (Some(advertised), _) => SocketAddr::new(advertised.ip(), local.port()),
        (None, Some(ip)) => SocketAddr::new(ip, local.port()),
        (None, None) => local,
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("info", &self.inner.info)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Bind { address, error } => {
                write!(f, "cannot listen at {address}: {error}")
            }
            NodeError::Tags { count, longest } => write!(
                f,
                "{count} tags, the longest of {longest} bytes, are too much: {MAX_TAGS} of \
                 {MAX_TAG_BYTES} bytes each are the most"
            ),
            NodeError::Advertised(address) => {
                write!(
                    f,
                    "others cannot reach {address}, which stands for all addresses of a host"
                )
            }
            NodeError::Tls(error) => write!(f, "cannot set up TLS: {error}"),
            NodeError::Refused { address, refusal } => {
                write!(f, "the node at {address} refuses this one: {refusal}")
            }
            NodeError::NoNumber => f.write_str("no free node number was found"),
            NodeError::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl Error for NodeError {}
