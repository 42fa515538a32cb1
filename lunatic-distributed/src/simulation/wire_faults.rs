//! Faults that no network and no node has: the checks have to find them.

use std::collections::BTreeMap;

use crate::simulation::network::{Network, NodeKey, Wire};
use crate::simulation::random::Random;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Two units of a lane change places.
    Reorder,
    /// A unit arrives twice.
    Duplicate,
    /// A unit does not arrive.
    Drop,
    /// A unit of an earlier connection of two nodes arrives in a later one.
    CrossOver,
    /// A node is not told that a connection has ended.
    LoseClose,
    /// A runtime that comes later is not told who is in groups.
    ForgetMemberships,
    /// Who is told of nodes is not told of lost ones.
    ForgetNodes,
    /// The names of a process that has ended are not given up.
    KeepNames,
    /// A link is changed in two steps, with others in between.
    StepsApart,
}

/// A fault that happens now and then, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    pub(crate) fault: Option<Fault>,
    /// The last units of each pair of starts, with the connection.
    old: BTreeMap<(NodeKey, NodeKey, u8), (u64, Vec<u8>)>,
}

impl Planted {
    pub(crate) fn new(fault: Option<Fault>) -> Planted {
        Planted {
            fault,
            ..Planted::default()
        }
    }

    fn happens(&self, fault: Fault, random: &mut Random, in_1000: u64) -> bool {
        self.fault == Some(fault) && random.in_1000(in_1000)
    }

    /// The last unit of a lane was sent just now.
    pub(crate) fn sent(&mut self, random: &mut Random, _: u64, lane: u8, wire: &mut Wire) {
        // The greeting is not what is tested.
        if lane == 0 {
            return;
        }
        let last = wire.units.len() - 1;
        if last > 0 && self.happens(Fault::Reorder, random, 200) {
            let (first, second) = (wire.units[last - 1].0, wire.units[last].0);
            wire.units.swap(last - 1, last);
            wire.units[last - 1].0 = first;
            wire.units[last].0 = second;
        }
        if self.happens(Fault::Duplicate, random, 10) {
            let unit = wire.units[last].clone();
            wire.units.push_back(unit);
        }
        if self.happens(Fault::Drop, random, 10) {
            wire.units.pop_back();
        }
    }

    /// What is to be taken in besides a unit that has just been taken in.
    pub(crate) fn old_unit(
        &mut self,
        random: &mut Random,
        network: &Network,
        connection: u64,
        to: usize,
        lane: u8,
        unit: Vec<u8>,
    ) -> Option<Vec<u8>> {
        if self.fault != Some(Fault::CrossOver) || lane == 0 {
            return None;
        }
        let ends = &network.connections.get(&connection)?.ends;
        let key = (ends[1 - to].node, ends[to].node, lane);
        let before = self.old.insert(key, (connection, unit));
        let (before, unit) = before?;
        (before != connection && random.in_1000(500)).then_some(unit)
    }

    pub(crate) fn forgets_memberships(&self) -> bool {
        self.fault == Some(Fault::ForgetMemberships)
    }

    pub(crate) fn forgets_nodes(&self) -> bool {
        self.fault == Some(Fault::ForgetNodes)
    }

    pub(crate) fn keeps_names(&self) -> bool {
        self.fault == Some(Fault::KeepNames)
    }

    pub(crate) fn steps_apart(&self) -> bool {
        self.fault == Some(Fault::StepsApart)
    }

    pub(crate) fn loses_close(&self, random: &mut Random) -> bool {
        self.happens(Fault::LoseClose, random, 300)
    }
}
