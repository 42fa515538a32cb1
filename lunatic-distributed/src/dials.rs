//! Whom to dial, and when.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lunatic_mailbox::NodeId;

/// So many dials are under way at once.
const MAX_DIALS: usize = 32;

/// How long a node that is known to live, or asked for, is left alone after each failure.
const PAUSES: [u64; 5] = [100, 300, 700, 1500, 2000];

/// How long a node that is down is left alone, in milliseconds; the time between grows. It may be
/// cut off only, and names and groups are to be equal soon after that is over.
const PAUSES_WHEN_DOWN: [u64; 3] = [1000, 1500, 2000];

/// After so many failures a node that is down is asked rarely: it takes four hours.
const OFTEN: u32 = 4 * 60 * 60 / 2;

/// How long it is left alone then.
const RARELY: Duration = Duration::from_secs(30);

/// After so many failures a node that is down is forgotten, unless it is a seed: 48 hours after it was
/// reached last, if each failure is told at once.
const FORGOTTEN: u32 = OFTEN + 44 * 60 * 60 / RARELY.as_secs() as u32;

/// So many of the dials under way may be to addresses that others have told of and where no node
/// has ever answered: whoever is in the cluster can tell of any.
const MAX_STRANGERS: usize = 16;

/// After so many failures such an address is asked rarely, after some minutes.
const STRANGE: u32 = 120;

/// After so many failures such an address is forgotten, if its node is down: it takes an hour more.
const STRANGER_FORGOTTEN: u32 = STRANGE + 60 * 60 / RARELY.as_secs() as u32;

/// What is known of an address.
#[derive(Debug)]
struct Target {
    /// The node there, if one is known.
    node: Option<NodeId>,
    /// It is to be asked as long as this node lives.
    is_seed: bool,
    /// Gossip says that the node lives.
    is_up: bool,
    failures: u32,
    next: Instant,
    is_dialling: bool,
    /// The node there was this one.
    is_itself: bool,
    /// There has been a session with a node there.
    has_answered: bool,
    /// The node there with which there is a session.
    session: Option<NodeId>,
}

/// The addresses of other nodes.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    targets: BTreeMap<SocketAddr, Target>,
}

impl Dials {
    /// These addresses are asked for as long as the node lives, instead of those before.
    pub(crate) fn set_seeds(&mut self, seeds: &[SocketAddr], now: Instant) {
        for target in self.targets.values_mut() {
            target.is_seed = false;
        }
        for seed in seeds {
            self.target(*seed, now).is_seed = true;
        }
        self.targets.retain(|_, target| target.is_of_use());
    }

    /// Gossip knows a node.
    ///
    /// - `after`: the other one may dial as well, and does so first.
    pub(crate) fn learn(
        &mut self,
        address: SocketAddr,
        node: NodeId,
        now: Instant,
        after: Duration,
    ) {
        let target = self.target(address, now);
        if target.node == Some(node) && target.is_up {
            return;
        }
        if target.session != Some(node) {
            // With the one that was there before, which is over or will be.
            target.session = None;
        }
        target.node = Some(node);
        target.is_up = true;
        target.is_itself = false;
        target.failures = 0;
        target.next = now + after;
    }

    /// Gossip says that a node is down. It is still asked, as it may be cut off only.
    pub(crate) fn is_down(&mut self, address: SocketAddr, node: NodeId) {
        if let Some(target) = self.targets.get_mut(&address)
            && target.node == Some(node)
        {
            target.is_up = false;
        }
    }

    /// A node has left, or another is in its place: it need not be asked.
    pub(crate) fn forget(&mut self, node: NodeId) {
        for target in self.targets.values_mut() {
            if target.node == Some(node) {
                target.node = None;
                target.is_up = false;
            }
        }
        self.targets
            .retain(|_, target| target.is_of_use() || target.session.is_some());
    }

    /// The node at this address is this one. If it is that of a seed, it may be another one later,
    /// as that of a service that stands for several nodes.
    pub(crate) fn is_itself(&mut self, address: SocketAddr) {
        match self.targets.get_mut(&address) {
            Some(target) if target.is_seed => target.is_itself = true,
            _ => drop(self.targets.remove(&address)),
        }
    }

    /// There is a session with the node at an address.
    pub(crate) fn session_begun(&mut self, address: SocketAddr, node: NodeId, now: Instant) {
        let target = self.target(address, now);
        target.node = Some(node);
        target.is_up = true;
        target.session = Some(node);
        target.is_itself = false;
        target.has_answered = true;
        target.failures = 0;
    }

    /// The session with a node has ended.
    ///
    /// - `after`: when it is dialled again.
    pub(crate) fn session_ended(&mut self, node: NodeId, now: Instant, after: Duration) {
        for target in self.targets.values_mut() {
            if target.session == Some(node) {
                target.session = None;
                target.next = now + after;
            }
        }
    }

    /// A dial has failed, or was refused.
    pub(crate) fn failed(&mut self, address: SocketAddr, now: Instant, jitter: f64) {
        if let Some(target) = self.targets.get_mut(&address) {
            target.is_dialling = false;
            target.failures = target.failures.saturating_add(1);
            target.next = now + target.pause().mul_f64(0.75 + jitter / 2.0);
            let limit = match target.is_stranger() {
                true => STRANGER_FORGOTTEN,
                false => FORGOTTEN,
            };
            if target.failures >= limit && !target.is_up && !target.is_seed {
                self.targets.remove(&address);
            }
        }
    }

    /// A dial has become a connection that is used, or is not needed.
    pub(crate) fn done(&mut self, address: SocketAddr) {
        if let Some(target) = self.targets.get_mut(&address) {
            target.is_dialling = false;
        }
    }

    /// The addresses that are to be dialled now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<SocketAddr> {
        let (room, mut strangers) = (self.room(), self.room_for_strangers());
        let due = self
            .targets
            .iter_mut()
            .filter(|(_, target)| target.waits() && target.next <= now);
        // Those that are down may be many, and are not to hold up the others.
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, target)| (!target.is_asked_for(), target.next));
        due.retain(|(_, target)| {
            let is_admitted = !target.is_stranger() || strangers > 0;
            strangers -= usize::from(target.is_stranger() && is_admitted);
            is_admitted
        });
        due.truncate(room);
        let begin = |(address, target): (&SocketAddr, &mut Target)| {
            target.is_dialling = true;
            *address
        };
        due.into_iter().map(begin).collect()
    }

    /// How many more may be dialled at once.
    fn room(&self) -> usize {
        let under_way = self.targets.values().filter(|target| target.is_dialling);
        MAX_DIALS.saturating_sub(under_way.count())
    }

    /// How many more of them at addresses where no node has ever answered.
    fn room_for_strangers(&self) -> usize {
        let under_way = self.targets.values().filter(|target| target.is_dialling);
        let strangers = under_way.filter(|target| target.is_stranger());
        MAX_STRANGERS.saturating_sub(strangers.count())
    }

    /// When the next is to be dialled; `None` also if none may be until a dial is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.room() == 0 {
            return None;
        }
        let admits_strangers = self.room_for_strangers() > 0;
        let waiting = self.targets.values().filter(|target| target.waits());
        let admitted = waiting.filter(|target| admits_strangers || !target.is_stranger());
        admitted.map(|target| target.next).min()
    }

    fn target(&mut self, address: SocketAddr, now: Instant) -> &mut Target {
        self.targets.entry(address).or_insert(Target {
            node: None,
            is_seed: false,
            is_up: false,
            failures: 0,
            next: now,
            is_dialling: false,
            is_itself: false,
            has_answered: false,
            session: None,
        })
    }
}

impl Target {
    fn is_of_use(&self) -> bool {
        self.is_seed || self.node.is_some()
    }

    fn waits(&self) -> bool {
        !self.is_dialling && self.session.is_none() && self.is_of_use()
    }

    /// Others have told of it, and no node has ever answered there.
    fn is_stranger(&self) -> bool {
        !self.has_answered && !self.is_seed
    }

    /// It is known to live, or to be asked for as long as this node lives.
    fn is_asked_for(&self) -> bool {
        self.is_up || self.is_seed
    }

    fn pause(&self) -> Duration {
        let failures = self.failures.saturating_sub(1) as usize;
        let pauses: &[u64] = match self.is_asked_for() {
            _ if self.is_itself => return RARELY,
            _ if self.is_stranger() && self.failures > STRANGE => return RARELY,
            true => &PAUSES,
            false if self.failures > OFTEN => return RARELY,
            false => &PAUSES_WHEN_DOWN,
        };
        let milliseconds = pauses.get(failures).or(pauses.last());
        Duration::from_millis(milliseconds.copied().unwrap_or_default())
    }
}
