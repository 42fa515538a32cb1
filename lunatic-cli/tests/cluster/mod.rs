//! Several runtimes of one program that are nodes of a cluster.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses some of it; a failed expectation fails the test"
)]

use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::{block_on, or};
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, RemoteRights, Root, Runtime};
use lunatic_distributed::{Node, NodeConfig};
use lunatic_process::{ExitReason, Process};
use lunatic_testkit::{Plug, Wire};
use lunatic_trust::{Authority, Credentials};
use tempfile::TempDir;

/// What a test waits for at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for something.
pub(crate) fn within<T>(awaited: impl Future<Output = T>) -> T {
    block_on(or(awaited, async {
        async_io::Timer::after(LIMIT).await;
        panic!("it takes too long")
    }))
}

pub(crate) struct Cluster {
    directory: TempDir,
    pub(crate) runtimes: Vec<(Runtime, Node)>,
    /// The network between them, if it is not loopback itself.
    pub(crate) wire: Option<(Wire, Vec<Plug>)>,
}

impl Cluster {
    pub(crate) fn of_two() -> Cluster {
        Cluster::of(&["one", "two"], &RemoteRights::default())
    }

    /// Two nodes, of which each makes the other keep no more than this.
    pub(crate) fn of_two_with_limits(limits: AccountLimits) -> Cluster {
        let mut rights = RemoteRights::default();
        for rule in &mut rights.rules {
            rule.limits = limits;
        }
        Cluster::of(&["one", "two"], &rights)
    }

    pub(crate) fn of(names: &[&str], rights: &RemoteRights) -> Cluster {
        Cluster::start(names, rights, None)
    }

    /// Nodes on a network that can be cut.
    pub(crate) fn on_a_wire(names: &[&str]) -> Cluster {
        Cluster::start(names, &RemoteRights::default(), Some(Wire::new()))
    }

    fn start(names: &[&str], rights: &RemoteRights, wire: Option<Wire>) -> Cluster {
        let directory = TempDir::new().unwrap();
        let now = SystemTime::now();
        let path = directory.path().join("test");
        let authority = Authority::init(&path, &"test".parse().unwrap(), now).unwrap();
        let mut runtimes: Vec<(Runtime, Node)> = Vec::new();
        let mut plugs = Vec::new();
        for name in names {
            let name = name.parse().unwrap();
            let credentials = Credentials::from_authority(&authority, &name, None, now).unwrap();
            let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
            if let Some(wire) = &wire {
                let plug = wire.plug();
                config.listen = plug.listen;
                config.advertise = Some(plug.advertise);
                plugs.push(plug);
            }
            let address = |(_, node): &(Runtime, Node)| node.info().address.to_string();
            config.seeds = runtimes.iter().map(address).collect();
            let node = block_on(Node::start(config)).unwrap();
            let builder = Runtime::builder().node(node.clone(), rights.clone());
            runtimes.push((builder.start().unwrap(), node));
        }
        let others = names.len() - 1;
        until(|| {
            runtimes
                .iter()
                .all(|(_, node)| node.nodes().len() == others)
        });
        Cluster {
            directory,
            runtimes,
            wire: wire.map(|wire| (wire, plugs)),
        }
    }

    /// Another node.
    pub(crate) fn join(&self, name: &str) -> (Runtime, Node) {
        self.join_with_tags(name, &[])
    }

    /// Another node, which lookups find by these tags.
    pub(crate) fn join_with_tags(&self, name: &str, tags: &[(&str, &str)]) -> (Runtime, Node) {
        let authority = Authority::open(&self.directory.path().join("test")).unwrap();
        let (name, now) = (name.parse().unwrap(), SystemTime::now());
        let credentials = Credentials::from_authority(&authority, &name, None, now).unwrap();
        let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
        config.seeds = vec![self.runtimes[0].1.info().address.to_string()];
        let tags = tags.iter();
        config.tags = tags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let node = within(Node::start(config)).unwrap();
        // The others have told what they have by now.
        std::thread::sleep(Duration::from_millis(200));
        let builder = Runtime::builder().node(node.clone(), RemoteRights::default());
        (builder.start().unwrap(), node)
    }

    /// Cuts the first two nodes off from each other, or connects them again.
    pub(crate) fn cut(&self, is_cut: bool) {
        let (wire, plugs) = self.wire.as_ref().unwrap();
        wire.cut_both(plugs[0], plugs[1], is_cut);
    }

    /// Starts `main` of a guest on a node.
    pub(crate) fn begin(&self, node: usize, guest: Vec<u8>, config: Config) -> Process {
        let (runtime, _) = &self.runtimes[node];
        within(async {
            let module = runtime.load(guest).await.unwrap();
            let main = runtime
                .spawn(&module, Root::new("main").config(config))
                .await;
            main.unwrap()
        })
    }

    /// Runs `main` of a guest on the second node, and returns how it ended.
    pub(crate) fn run_guest(&self, guest: Vec<u8>, config: Config) -> ExitReason {
        within(self.begin(1, guest, config).wait())
    }

    /// How much is charged on the first node.
    pub(crate) fn used(&self, kind: Kind) -> u64 {
        self.runtimes[0].0.environment().account().used(kind)
    }

    pub(crate) fn stop(self) {
        for (runtime, node) in &self.runtimes {
            block_on(node.stop());
            block_on(runtime.shut_down());
        }
    }
}
