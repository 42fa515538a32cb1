//! Names that are unique in the cluster, as OTP's `global` has them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lunatic_mailbox::{NodeId, NodeNumber, Pid};
use serde::{Deserialize, Serialize};

#[cfg(test)]
use crate::planted::{self, Fault};

/// The longest name, in bytes.
pub const MAX_GLOBAL_NAME_BYTES: usize = 1024;

/// So many names one node may have.
pub const MAX_GLOBAL_NAMES: usize = 1 << 16;

/// How long a node may take to answer a claim: it does so at once, or when another claim is decided
/// that it has agreed to.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// So far one claim of another node can move the clock of this one, so that a node that claims
/// to have counted very far does not bring the clocks of all to their end.
const MAX_CLOCK_STEP: u64 = 1 << 20;

/// When a name was claimed. Of two claims the older one counts, which is no matter of time.
///
/// The clock is one that only counts what happened (Lamport's): each claim of a node has the
/// number behind the highest that it has given or heard of. So a claim that was made in knowledge
/// of another is younger, unless that one is further ahead than [`MAX_CLOCK_STEP`]. Of two that know
/// nothing of each other, the one with the lower number is taken for older, which may have been
/// made later: that of the node that had seen fewer claims. Of two with the same number, that of
/// the node with the lower id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) clock: u64,
    pub(crate) node: NodeId,
}

/// What nodes tell each other about names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GlobalFrame {
    /// A process of the sender wants a name.
    Claim(Claim),
    /// The answer: it may have it, or another process has it or wanted it earlier.
    Answer {
        name: String,
        stamp: Stamp,
        taken_by: Option<Pid>,
    },
    /// A process of the sender has the name now.
    Have(Claim),
    /// It does not have, or want, it any more.
    Release { name: String, stamp: Stamp },
}

/// A process that wants a name, or has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) process: Pid,
    pub(crate) stamp: Stamp,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tell one node.
    To(NodeNumber, GlobalFrame),
    /// Tell all nodes with which there is a session.
    ToAll(GlobalFrame),
    /// A registration is decided.
    Decided {
        registration: u64,
        result: Result<(), NameTaken>,
    },
    /// A process of this node had the name, and an older claim of a node that was out of
    /// reach takes it.
    Lost {
        name: String,
        process: Pid,
        winner: Pid,
    },
    /// The name now belongs to this process, or to none.
    Changed { name: String, process: Option<Pid> },
}

/// Another process has the name, or wanted it earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameTaken {
    /// That process.
    pub by: Pid,
}

/// The names of a cluster, as one node knows them.
///
/// A name is claimed by asking every node with which there is a session, and belongs to
/// the process once all have agreed. Of two claims that a node hears of, whose nodes do not reach each
/// other, it agrees to one only. Each node keeps what the others have; what a node
/// has is forgotten when its session ends. Two processes can have a name only if their nodes
/// could not reach each other; when they can, the older claim counts, on every node.
#[derive(Debug)]
pub(crate) struct GlobalNames {
    own: NodeId,
    clock: u64,
    /// What processes of this node want.
    pending: BTreeMap<String, Pending>,
    /// All that processes have, those of this node included: by name, the oldest first.
    claims: BTreeMap<String, BTreeMap<Stamp, Pid>>,
    /// What this node has agreed to, and the other has not got yet.
    granted: BTreeMap<String, BTreeMap<Stamp, Pid>>,
    /// Claims older than one that this node has agreed to, which are answered when it is known
    /// whether that one has got the name: its node may not know of them.
    deferred: BTreeMap<String, BTreeMap<Stamp, Pid>>,
    /// How many entries of `claims`, `granted` and `deferred` each node has.
    entries: BTreeMap<NodeNumber, usize>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Pending {
    claim: Claim,
    registration: u64,
    /// Those who have to agree, each with when it was first seen to be asked.
    awaited: BTreeMap<NodeNumber, Option<Instant>>,
}

impl GlobalNames {
    pub(crate) fn new(own: NodeId) -> GlobalNames {
        GlobalNames {
            own,
            clock: 0,
            pending: BTreeMap::new(),
            claims: BTreeMap::new(),
            granted: BTreeMap::new(),
            deferred: BTreeMap::new(),
            entries: BTreeMap::new(),
            outputs: Vec::new(),
        }
    }

    /// What is to be done since the last call, in order.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// A process of this node wants a name. If the node has as many as it may have, or the name
    /// is too long, it is as if the process itself stood in the way.
    ///
    /// - `registration`: comes back with the decision.
    /// - `sessions`: the nodes that must agree.
    pub(crate) fn register(
        &mut self,
        registration: u64,
        name: String,
        process: Pid,
        sessions: impl IntoIterator<Item = NodeNumber>,
    ) {
        let by = self.holder(&name, None);
        let by = by.or_else(|| self.pending.get(&name).map(|other| other.claim.process));
        if let Some(by) = by {
            let result = match by == process && self.holder(&name, None) == Some(process) {
                true => Ok(()),
                false => Err(NameTaken { by }),
            };
            return self.decided(registration, result);
        }
        if !self.has_room(self.own.number()) || name.len() > MAX_GLOBAL_NAME_BYTES {
            return self.decided(registration, Err(NameTaken { by: process }));
        }
        self.clock = self.clock.saturating_add(1);
        let stamp = Stamp {
            clock: self.clock,
            node: self.own,
        };
        let claim = Claim {
            name: name.clone(),
            process,
            stamp,
        };
        let awaited = sessions.into_iter().map(|node| (node, None)).collect();
        self.outputs
            .push(Output::ToAll(GlobalFrame::Claim(claim.clone())));
        let pending = Pending {
            claim,
            registration,
            awaited,
        };
        self.pending.insert(name.clone(), pending);
        self.decide(&name);
    }

    /// A process of this node gives a name up, or has ended.
    pub(crate) fn unregister(&mut self, name: &str, process: Pid) {
        if let Some(pending) = self.pending.remove(name) {
            if pending.claim.process == process {
                self.lose_pending(pending, process);
            } else {
                self.pending.insert(name.into(), pending);
            }
        }
        let claims = self.claims.get(name).into_iter().flatten();
        let own = claims.filter(|(stamp, owner)| stamp.node == self.own && **owner == process);
        if let Some(stamp) = own.map(|(stamp, _)| *stamp).next() {
            self.remove(name, stamp);
            self.release(name, stamp);
        }
    }

    /// The process that has a name, as far as this node knows.
    #[cfg(test)]
    pub(crate) fn find(&self, name: &str) -> Option<Pid> {
        self.holder(name, None)
    }

    /// A session has begun. Tells the other what processes of this node have and want.
    pub(crate) fn session_begun(&mut self, node: NodeNumber) {
        for (name, claims) in &self.claims {
            for (stamp, process) in claims {
                if stamp.node == self.own {
                    let have = GlobalFrame::Have(Claim {
                        name: name.clone(),
                        process: *process,
                        stamp: *stamp,
                    });
                    self.outputs.push(Output::To(node, have));
                }
            }
        }
        for pending in self.pending.values_mut() {
            pending.awaited.insert(node, None);
            let claim = GlobalFrame::Claim(pending.claim.clone());
            self.outputs.push(Output::To(node, claim));
        }
    }

    /// A session has ended.
    pub(crate) fn session_ended(&mut self, node: NodeNumber) {
        #[cfg(test)]
        if planted::is(Fault::NamesOfTheLostAreKept) {
            return;
        }
        let is_other = |stamp: &Stamp| stamp.node.number() != node;
        for unanswered in [&mut self.granted, &mut self.deferred] {
            for claims in unanswered.values_mut() {
                claims.retain(|stamp, _| is_other(stamp));
            }
            unanswered.retain(|_, claims| !claims.is_empty());
        }
        self.entries.remove(&node);
        let of_node = |(name, claims): (&String, &BTreeMap<Stamp, Pid>)| {
            let stamps = claims.keys().filter(|stamp| stamp.node.number() == node);
            stamps
                .map(|stamp| (name.clone(), *stamp))
                .collect::<Vec<_>>()
        };
        let gone: Vec<_> = self.claims.iter().flat_map(of_node).collect();
        for (name, stamp) in gone {
            self.remove(&name, stamp);
        }
        let names: Vec<_> = self.deferred.keys().cloned().collect();
        for name in names {
            self.answer_deferred(&name);
        }
        let names: Vec<_> = self.pending.keys().cloned().collect();
        for name in names {
            if let Some(pending) = self.pending.get_mut(&name) {
                pending.awaited.remove(&node);
            }
            self.decide(&name);
        }
    }

    /// The nodes that have not answered a claim within the [limit](ANSWER_LIMIT), which is counted from
    /// the first call after they were asked.
    pub(crate) fn overdue(&mut self, now: Instant) -> BTreeSet<NodeNumber> {
        let mut overdue = BTreeSet::new();
        for pending in self.pending.values_mut() {
            for (node, asked) in &mut pending.awaited {
                let asked = *asked.get_or_insert(now);
                if now.saturating_duration_since(asked) >= ANSWER_LIMIT {
                    overdue.insert(*node);
                }
            }
        }
        overdue
    }

    /// Takes in what another node tells. What it may not say is ignored.
    pub(crate) fn received(&mut self, node: NodeNumber, frame: GlobalFrame) {
        match frame {
            GlobalFrame::Claim(claim) if is_of(&claim, node) => {
                self.heard_of(claim.stamp.clock);
                self.claimed(claim);
            }
            GlobalFrame::Have(claim) if is_of(&claim, node) => {
                self.heard_of(claim.stamp.clock);
                let name = claim.name.clone();
                self.other_has(claim);
                self.answer_deferred(&name);
            }
            GlobalFrame::Answer {
                name,
                stamp,
                taken_by,
            } => self.answered(node, &name, stamp, taken_by),
            GlobalFrame::Release { name, stamp } if stamp.node.number() == node => {
                self.forget_grant(&name, stamp);
                self.forget_deferred(&name, stamp);
                self.remove(&name, stamp);
                self.answer_deferred(&name);
            }
            _ => {}
        }
    }

    /// Another node has given a claim this number.
    fn heard_of(&mut self, clock: u64) {
        let furthest = self.clock.saturating_add(MAX_CLOCK_STEP);
        self.clock = self.clock.max(clock.min(furthest));
    }

    /// Another node asks for a name, and is answered, or has to wait.
    fn claimed(&mut self, claim: Claim) {
        let node = claim.stamp.node.number();
        let taken_by = self.taken_by(&claim);
        if taken_by.is_none() {
            let granted = self.granted.get(&claim.name);
            let youngest = granted.and_then(|granted| granted.keys().next_back());
            // The younger one waits for nothing older, so that it is decided.
            let has_to_wait = youngest.is_some_and(|youngest| *youngest > claim.stamp);
            let kept = match has_to_wait {
                true => &mut self.deferred,
                false => &mut self.granted,
            };
            let claims = kept.entry(claim.name.clone()).or_default();
            if claims.insert(claim.stamp, claim.process).is_none() {
                self.count(node);
            }
            if has_to_wait {
                return;
            }
        }
        let answer = GlobalFrame::Answer {
            name: claim.name,
            stamp: claim.stamp,
            taken_by,
        };
        self.outputs.push(Output::To(node, answer));
    }

    /// Answers those who have waited for a younger claim of a name, if it is decided.
    fn answer_deferred(&mut self, name: &str) {
        for (stamp, process) in self.deferred.remove(name).unwrap_or_default() {
            self.count_down(stamp.node.number());
            let name = name.into();
            self.claimed(Claim {
                name,
                process,
                stamp,
            });
        }
    }

    /// Who has a name that another node asks for, or wanted it earlier.
    fn taken_by(&mut self, claim: &Claim) -> Option<Pid> {
        if let Some(holder) = self.holder(&claim.name, Some(claim.process)) {
            return Some(holder);
        }
        let granted = self.granted.get(&claim.name).into_iter().flatten();
        let mut earlier = granted.filter(|(stamp, _)| **stamp < claim.stamp);
        if let Some((_, process)) = earlier.next() {
            return Some(*process);
        }
        if let Some(own) = self.pending.remove(&claim.name) {
            if own.claim.stamp < claim.stamp {
                let process = own.claim.process;
                self.pending.insert(claim.name.clone(), own);
                return Some(process);
            }
            self.lose_pending(own, claim.process);
        }
        (!self.has_room(claim.stamp.node.number())).then_some(claim.process)
    }

    /// Another node has answered a claim of this one.
    fn answered(&mut self, node: NodeNumber, name: &str, stamp: Stamp, taken_by: Option<Pid>) {
        let Some(pending) = self.pending.get_mut(name) else {
            return;
        };
        if pending.claim.stamp != stamp {
            return;
        }
        pending.awaited.remove(&node);
        match taken_by {
            None => self.decide(name),
            Some(by) => {
                if let Some(pending) = self.pending.remove(name) {
                    self.lose_pending(pending, by);
                }
            }
        }
    }

    /// A process of another node has a name.
    fn other_has(&mut self, claim: Claim) {
        self.forget_grant(&claim.name, claim.stamp);
        if !self.has_room(claim.stamp.node.number()) {
            return;
        }
        if let Some(pending) = self.pending.remove(&claim.name) {
            self.lose_pending(pending, claim.process);
        }
        let claims = self.claims.entry(claim.name.clone()).or_default();
        let own = claims.iter().find(|(stamp, _)| stamp.node == self.own);
        let own = own.map(|(stamp, process)| (*stamp, *process));
        self.insert(&claim);
        let is_older = |stamp| {
            let is_older = claim.stamp < stamp;
            #[cfg(test)]
            let is_older = is_older && !planted::is(Fault::YoungerClaimIsKept);
            is_older
        };
        if let Some((stamp, process)) = own
            && is_older(stamp)
        {
            self.remove(&claim.name, stamp);
            self.release(&claim.name, stamp);
            self.outputs.push(Output::Lost {
                name: claim.name,
                process,
                winner: claim.process,
            });
        }
    }

    /// Gives the name to who wants it, if nobody has to agree any more.
    fn decide(&mut self, name: &str) {
        let is_decided = |pending: &Pending| pending.awaited.is_empty();
        #[cfg(test)]
        let is_decided =
            |pending: &Pending| is_decided(pending) || planted::is(Fault::ClaimsAreNotAgreedOn);
        if !self.pending.get(name).is_some_and(is_decided) {
            return;
        }
        if let Some(pending) = self.pending.remove(name) {
            self.insert(&pending.claim);
            let have = GlobalFrame::Have(pending.claim);
            self.outputs.push(Output::ToAll(have));
            self.outputs.push(Output::Decided {
                registration: pending.registration,
                result: Ok(()),
            });
        }
    }

    fn lose_pending(&mut self, pending: Pending, by: Pid) {
        let Claim { name, stamp, .. } = pending.claim;
        self.release(&name, stamp);
        self.outputs.push(Output::Decided {
            registration: pending.registration,
            result: Err(NameTaken { by }),
        });
    }

    fn release(&mut self, name: &str, stamp: Stamp) {
        let name = name.into();
        let release = GlobalFrame::Release { name, stamp };
        self.outputs.push(Output::ToAll(release));
    }

    fn forget_grant(&mut self, name: &str, stamp: Stamp) {
        if let Some(granted) = self.granted.get_mut(name) {
            let was_granted = granted.remove(&stamp).is_some();
            if granted.is_empty() {
                self.granted.remove(name);
            }
            if was_granted {
                self.count_down(stamp.node.number());
            }
        }
    }

    fn forget_deferred(&mut self, name: &str, stamp: Stamp) {
        if let Some(deferred) = self.deferred.get_mut(name) {
            let was_deferred = deferred.remove(&stamp).is_some();
            if deferred.is_empty() {
                self.deferred.remove(name);
            }
            if was_deferred {
                self.count_down(stamp.node.number());
            }
        }
    }

    fn decided(&mut self, registration: u64, result: Result<(), NameTaken>) {
        self.outputs.push(Output::Decided {
            registration,
            result,
        });
    }

    /// Whether a node may have another name.
    fn has_room(&self, node: NodeNumber) -> bool {
        self.entries.get(&node).copied().unwrap_or(0) < MAX_GLOBAL_NAMES
    }

    fn count(&mut self, node: NodeNumber) {
        *self.entries.entry(node).or_default() += 1;
    }

    fn count_down(&mut self, node: NodeNumber) {
        if let Some(entries) = self.entries.get_mut(&node) {
            *entries = entries.saturating_sub(1);
        }
    }

    /// Who has the name, other than `besides`.
    fn holder(&self, name: &str, besides: Option<Pid>) -> Option<Pid> {
        let claims = self.claims.get(name)?;
        let mut others = claims.values().filter(|process| Some(**process) != besides);
        others.next().copied()
    }

    fn insert(&mut self, claim: &Claim) {
        let before = self.holder(&claim.name, None);
        let claims = self.claims.entry(claim.name.clone()).or_default();
        if claims.insert(claim.stamp, claim.process).is_none() {
            self.count(claim.stamp.node.number());
        }
        self.tell_change(&claim.name, before);
    }

    fn remove(&mut self, name: &str, stamp: Stamp) {
        let before = self.holder(name, None);
        if let Some(claims) = self.claims.get_mut(name) {
            let was_there = claims.remove(&stamp).is_some();
            if claims.is_empty() {
                self.claims.remove(name);
            }
            if was_there {
                self.count_down(stamp.node.number());
            }
        }
        self.tell_change(name, before);
    }

    fn tell_change(&mut self, name: &str, before: Option<Pid>) {
        let process = self.holder(name, None);
        if process != before {
            let name = name.into();
            self.outputs.push(Output::Changed { name, process });
        }
    }
}

/// Whether a claim is of the node that tells it, and within the limits.
fn is_of(claim: &Claim, node: NodeNumber) -> bool {
    claim.stamp.node.number() == node
        && claim.process.node() == node
        && claim.name.len() <= MAX_GLOBAL_NAME_BYTES
}
