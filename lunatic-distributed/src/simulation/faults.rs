//! What happens to nodes and to the network.

use std::time::Duration;

use crate::simulation::network::{Host, NodeKey};
use crate::simulation::world::{Event, World};

impl World {
    /// Something happens, and later something else.
    pub(crate) fn fault(&mut self) {
        let left = self.quiet_from.saturating_sub(self.now);
        if left < Duration::from_secs(1) {
            return;
        }
        let alive: Vec<NodeKey> = (0..self.nodes.len())
            .filter(|key| {
                let node = &self.nodes[*key];
                node.is_alive && !node.is_leaving && !node.is_paused
            })
            .collect();
        if let Some(key) = self.random.pick(&alive).copied() {
            let short = self.random.in_1000(500);
            let limit = if short { 2_000 } else { 20_000 };
            let for_time = self.random.millis(100, limit).min(left);
            match self.random.below(100) {
                0..20 => self.cut_a_pair(key, &alive, for_time),
                20..30 => self.isolate(key, for_time),
                30..40 => self.split(for_time),
                40..55 => self.pause(key, for_time),
                55..75 => self.restart(key, for_time),
                75..85 => self.same_name_elsewhere(key, for_time),
                85..95 => {
                    let (slot, host) = (self.nodes[key].slot, self.nodes[key].host);
                    self.leave(key);
                    let after = Duration::from_millis(1500).max(for_time).min(left);
                    self.schedule(after, Event::Start { slot, host });
                }
                _ => self.rolling_restart(left),
            }
        }
        let after = self.random.millis(300, 6_000);
        self.schedule(after, Event::Fault);
    }

    fn cut_a_pair(&mut self, key: NodeKey, alive: &[NodeKey], for_time: Duration) {
        let Some(other) = self.random.pick(alive) else {
            return;
        };
        let (a, b) = (self.nodes[key].host, self.nodes[*other].host);
        if a != b {
            let ways = match self.random.in_1000(500) {
                true => vec![(a, b), (b, a)],
                false => vec![(a, b)],
            };
            self.cut(ways, for_time);
        }
    }

    fn hosts_besides(&self, host: Host) -> Vec<Host> {
        (0..2 * self.slots).filter(|other| *other != host).collect()
    }

    fn isolate(&mut self, key: NodeKey, for_time: Duration) {
        let host = self.nodes[key].host;
        let one_way = self.random.in_1000(300);
        let mut ways = Vec::new();
        for other in self.hosts_besides(host) {
            ways.push((host, other));
            if !one_way {
                ways.push((other, host));
            }
        }
        self.cut(ways, for_time);
    }

    fn split(&mut self, for_time: Duration) {
        let sides: Vec<bool> = (0..2 * self.slots)
            .map(|_| self.random.in_1000(500))
            .collect();
        let mut ways = Vec::new();
        for (from, side) in sides.iter().enumerate() {
            let apart = sides.iter().enumerate().filter(|(_, other)| *other != side);
            ways.extend(apart.map(|(to, _)| (from, to)));
        }
        self.cut(ways, for_time);
    }

    fn restart(&mut self, key: NodeKey, for_time: Duration) {
        let (slot, host) = (self.nodes[key].slot, self.nodes[key].host);
        self.kill(key);
        let after = match self.random.below(3) {
            0 => Duration::ZERO,
            1 => for_time / 10,
            _ => for_time,
        };
        // Sometimes on the other host of the slot.
        let host = match self.random.in_1000(200) {
            true => (host + self.slots) % (2 * self.slots),
            false => host,
        };
        self.schedule(after, Event::Start { slot, host });
    }

    /// A node is cut off, and another of its name starts.
    fn same_name_elsewhere(&mut self, key: NodeKey, for_time: Duration) {
        let (slot, host) = (self.nodes[key].slot, self.nodes[key].host);
        if self.random.in_1000(800) {
            self.isolate(key, for_time);
        }
        let elsewhere = (host + self.slots) % (2 * self.slots);
        let after = for_time.mul_f64(0.3);
        self.schedule(
            after,
            Event::Start {
                slot,
                host: elsewhere,
            },
        );
    }

    fn rolling_restart(&mut self, left: Duration) {
        let step = left.min(Duration::from_secs(10)) / (self.slots as u32 + 1);
        for slot in 0..self.slots {
            self.schedule(step * slot as u32, Event::Roll(slot));
        }
    }

    pub(crate) fn roll(&mut self, slot: usize) {
        let runs = |key: &NodeKey| {
            let node = &self.nodes[*key];
            node.slot == slot && node.is_alive && !node.is_paused && !node.is_leaving
        };
        if let Some(key) = (0..self.nodes.len()).find(runs) {
            let host = self.nodes[key].host;
            self.leave(key);
            self.schedule(Duration::from_millis(1200), Event::Start { slot, host });
        }
    }
}
