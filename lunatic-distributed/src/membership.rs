//! Which nodes there are, as gossip tells: SWIM, by the crate `foca`.

mod datagram;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use foca::{
    AccumulatingRuntime, Config, Foca, Identity, Member, OwnedNotification, PeriodicParams,
    PostcardCodec, Timer,
};
use lunatic_mailbox::NodeId;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::NodeName;
use crate::node_info::{NodeInfo, is_later};

/// The longest datagram of gossip, in bytes: it fits into the smallest packet of QUIC.
const MAX_DATAGRAM_BYTES: usize = 1100;

/// So many nodes are known by gossip, those that are down among them: each node can tell of any.
const MAX_KNOWN: usize = 4096;

/// A node that is down is forgotten after this time.
const FORGET_AFTER: Duration = Duration::from_secs(48 * 60 * 60);

/// A node as gossip names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberId {
    pub(crate) name: NodeName,
    /// Which start of a node of this name. It counts also how often a start was taken for
    /// down, and has come back: so who lives comes at last before all that are remembered.
    pub(crate) generation: u64,
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Up(MemberId),
    Down(MemberId),
    /// A later start of the node is in its place.
    Replaced(MemberId),
    /// This node was taken for down, and is back under another generation.
    Rejoined,
}

/// The nodes that gossip knows of.
pub(crate) struct Membership {
    foca: Foca<MemberId, PostcardCodec, SmallRng, foca::NoCustomBroadcast>,
    runtime: AccumulatingRuntime<MemberId>,
    timers: BinaryHeap<Due>,
    last_timer: u64,
    changes: Vec<Change>,
    datagrams: Vec<(MemberId, Vec<u8>)>,
    /// How many nodes the settings are made for.
    size: u32,
}

struct Due {
    at: Instant,
    number: u64,
    timer: Timer<MemberId>,
}

impl MemberId {
    pub(crate) fn of(node: &NodeInfo) -> MemberId {
        MemberId {
            name: node.name.clone(),
            generation: node.generation,
            id: node.id,
            address: node.address,
        }
    }
}

impl Identity for MemberId {
    type Addr = NodeName;

    fn renew(&self) -> Option<MemberId> {
        Some(MemberId {
            generation: self.generation.wrapping_add(1),
            ..self.clone()
        })
    }

    fn addr(&self) -> NodeName {
        self.name.clone()
    }

    fn win_addr_conflict(&self, adversary: &MemberId) -> bool {
        is_later(self.generation, adversary.generation)
            || !is_later(adversary.generation, self.generation) && self.id > adversary.id
    }
}

impl Membership {
    /// - `seed`: of the random choices, as whom to ask.
    pub(crate) fn new(own: &NodeInfo, seed: u64) -> Membership {
        let size = 8;
        let rng = SmallRng::seed_from_u64(seed);
        let foca = Foca::new(MemberId::of(own), config(size), rng, PostcardCodec);
        Membership {
            foca,
            runtime: AccumulatingRuntime::new(),
            timers: BinaryHeap::new(),
            last_timer: 0,
            changes: Vec::new(),
            datagrams: Vec::new(),
            size,
        }
    }

    /// There is a session with a node.
    pub(crate) fn connected(&mut self, node: &NodeInfo, now: Instant) {
        let member = MemberId::of(node);
        let is_known = |known: &Member<MemberId>| known.id().id == node.id;
        if !self.foca.iter_members().any(is_known) {
            let alive = Member::alive(member.clone());
            let applied = self
                .foca
                .apply_many(std::iter::once(alive), true, &mut self.runtime);
            log(applied);
        }
        self.announce(member, now);
        self.fit_size();
    }

    /// Asks a node whom it knows. It is heard even by who has another generation meanwhile,
    /// which is not so with anything else.
    pub(crate) fn announce_to(&mut self, node: &NodeInfo, now: Instant) {
        self.announce(MemberId::of(node), now);
    }

    fn announce(&mut self, member: MemberId, now: Instant) {
        let announced = self.foca.announce(member, &mut self.runtime);
        log(announced);
        self.drain(now);
    }

    /// A node has left in good order.
    pub(crate) fn left(&mut self, node: &NodeInfo, now: Instant) {
        let known = self
            .foca
            .iter_members()
            .find(|member| member.id().id == node.id);
        let member = known.map_or_else(|| MemberId::of(node), |known| known.id().clone());
        let down = std::iter::once(Member::down(member));
        let applied = self.foca.apply_many(down, true, &mut self.runtime);
        log(applied);
        self.drain(now);
    }

    /// A datagram of a peer, which speaks for itself. If very many nodes are known, others are not
    /// heard of until there is a session with them.
    pub(crate) fn datagram(&mut self, from: NodeId, bytes: &[u8], now: Instant) {
        if datagram::sender(bytes).is_none_or(|sender| sender.id != from) {
            return;
        }
        let is_full = self.foca.iter_membership_state().len() >= MAX_KNOWN;
        let known = is_full.then(|| self.without_unknown(bytes));
        let bytes = known.as_deref().unwrap_or(bytes);
        let handled = self.foca.handle_data(bytes, &mut self.runtime);
        log(handled);
        self.drain(now);
    }

    /// A datagram without those it tells of that are not known.
    fn without_unknown(&self, bytes: &[u8]) -> Vec<u8> {
        let known = self.foca.iter_membership_state();
        let known: HashSet<_> = known.map(|member| &member.id().name).collect();
        let kept = datagram::about(bytes, |member| known.contains(&member.name));
        kept.unwrap_or_default()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|due| due.at <= now) {
            let Some(due) = self.timers.pop() else {
                return;
            };
            let handled = self.foca.handle_timer(due.timer, &mut self.runtime);
            log(handled);
            self.drain(now);
        }
    }

    /// When the next timer is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|due| due.at)
    }

    /// Which start of its name this node is, as it says now.
    pub(crate) fn own_generation(&self) -> u64 {
        self.foca.identity().generation
    }

    /// This node is a later start of its name than another that is remembered.
    pub(crate) fn set_later_than(&mut self, generation: u64, now: Instant) {
        let own = self.foca.identity();
        if !is_later(own.generation, generation) {
            let later = MemberId {
                generation: generation.wrapping_add(1),
                ..own.clone()
            };
            let changed = self.foca.change_identity(later, &mut self.runtime);
            log(changed);
            self.drain(now);
        }
    }

    /// This node leaves.
    pub(crate) fn leave(&mut self, now: Instant) {
        let left = self.foca.leave_cluster(&mut self.runtime);
        log(left);
        self.drain(now);
    }

    /// What has changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The datagrams to be sent since the last call.
    pub(crate) fn take_datagrams(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        std::mem::take(&mut self.datagrams)
    }

    /// The members that live, as far as gossip knows, without this node.
    pub(crate) fn members(&self) -> impl Iterator<Item = &MemberId> {
        self.foca.iter_members().map(Member::id)
    }

    /// How often those that live were suspected of being gone, and have refuted it, or have to.
    #[cfg(feature = "transport")]
    pub(crate) fn suspicions(&self) -> u64 {
        let of = |member: &Member<MemberId>| {
            // Who refutes a suspicion counts on.
            u64::from(member.incarnation()) + u64::from(member.state() == foca::State::Suspect)
        };
        self.foca.iter_members().map(of).sum()
    }

    /// The latest start of a node of this name that is known, alive or not.
    pub(crate) fn generation_of(&self, name: &NodeName) -> Option<&MemberId> {
        let mut known = self.foca.iter_membership_state().map(Member::id);
        known.find(|member| member.name == *name)
    }

    /// Settings depend on how many nodes there are.
    fn fit_size(&mut self) {
        let members = self.foca.num_members() as u32 + 1;
        if members > self.size {
            self.size = members * 2;
            let set = self.foca.set_config(config(self.size));
            log(set);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some((to, bytes)) = self.runtime.to_send() {
            self.datagrams.push((to, bytes.to_vec()));
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.last_timer += 1;
            self.timers.push(Due {
                at: now + after,
                number: self.last_timer,
                timer,
            });
        }
        while let Some(notification) = self.runtime.to_notify() {
            match notification {
                OwnedNotification::MemberUp(member) => self.changes.push(Change::Up(member)),
                OwnedNotification::MemberDown(member) => self.changes.push(Change::Down(member)),
                OwnedNotification::Rename(before, after) if before.id != after.id => {
                    let is_up = self.members().any(|member| member.id == after.id);
                    self.changes.push(Change::Replaced(before));
                    // Otherwise it is told beside this, if it is up at all.
                    if is_up {
                        self.changes.push(Change::Up(after));
                    }
                }
                OwnedNotification::Rejoin(_) => {
                    tracing::info!("this node was taken for down, and is back");
                    self.changes.push(Change::Rejoined);
                }
                _ => {}
            }
        }
    }
}

fn config(size: u32) -> Config {
    let mut config = Config::new_lan(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN));
    config.probe_period = Duration::from_millis(1500);
    config.probe_rtt = Duration::from_millis(500);
    config.suspect_to_down_after = Duration::from_secs(4);
    config.remove_down_after = Some(FORGET_AFTER);
    config.max_packet_size = NonZeroUsize::new(MAX_DATAGRAM_BYTES).unwrap_or(NonZeroUsize::MIN);
    config.max_transmissions =
        NonZeroU8::new(config.max_transmissions.get().max(6)).unwrap_or(NonZeroU8::MIN);
    let once_in = |seconds| {
        Some(PeriodicParams {
            frequency: Duration::from_secs(seconds),
            num_members: NonZeroUsize::MIN,
        })
    };
    config.periodic_gossip = once_in(1);
    // It also repairs what nodes think of each other's generations.
    config.periodic_announce = once_in(5);
    config.periodic_announce_to_down_members = once_in(60);
    config.notify_down_members = true;
    config
}

/// What gossip complains about is of no further concern: it goes on.
fn log(result: Result<(), foca::Error>) {
    if let Err(error) = result {
        tracing::debug!("gossip: {error}");
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest is due first.
impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        let order = |due: &Due| (due.at, due.number);
        order(other).cmp(&order(self))
    }
}
