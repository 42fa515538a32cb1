//! Tests of names, alone and against a model.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

fn number(node: usize) -> NodeNumber {
    NodeNumber::new(node as u32 + 1).unwrap()
}

fn process(node: usize, counter: u64) -> Pid {
    Pid::new(number(node), counter).unwrap()
}

/// Nodes with sessions between some of them.
struct Nodes {
    nodes: Vec<GlobalNames>,
    sessions: BTreeSet<(usize, usize)>,
    /// What is on its way, in order for each pair.
    ways: BTreeMap<(usize, usize), VecDeque<GlobalFrame>>,
    decided: BTreeMap<u64, Result<(), NameTaken>>,
    lost: Vec<(usize, String, Pid, Pid)>,
    /// Who was told by [`Output::Changed`] that whom a name belongs to.
    told: BTreeMap<(usize, String), Pid>,
    last: u64,
}

impl Nodes {
    fn new(count: usize) -> Nodes {
        let id = |node| NodeId::from_bits((100 - node as u64) << 20 | (node as u64 + 1));
        Nodes {
            nodes: (0..count).map(|node| GlobalNames::new(id(node))).collect(),
            sessions: BTreeSet::new(),
            ways: BTreeMap::new(),
            decided: BTreeMap::new(),
            lost: Vec::new(),
            told: BTreeMap::new(),
            last: 0,
        }
    }

    fn others(&self, node: usize) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|other| self.sessions.contains(&(node, *other)))
            .collect()
    }

    fn follow(&mut self, node: usize) {
        for output in self.nodes[node].take_outputs() {
            match output {
                Output::To(to, frame) => {
                    let to = to.get() as usize - 1;
                    if self.sessions.contains(&(node, to)) {
                        self.ways.entry((node, to)).or_default().push_back(frame);
                    }
                }
                Output::ToAll(frame) => {
                    for to in self.others(node) {
                        let way = self.ways.entry((node, to)).or_default();
                        way.push_back(frame.clone());
                    }
                }
                Output::Decided {
                    registration,
                    result,
                } => {
                    let before = self.decided.insert(registration, result);
                    assert_eq!(before, None, "it is decided once");
                }
                Output::Lost {
                    name,
                    process,
                    winner,
                } => self.lost.push((node, name, process, winner)),
                Output::Changed { name, process } => {
                    let key = (node, name);
                    match process {
                        Some(process) => self.told.insert(key, process),
                        None => self.told.remove(&key),
                    };
                }
            }
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        if a != b && self.sessions.insert((a, b)) {
            self.sessions.insert((b, a));
            for (node, other) in [(a, b), (b, a)] {
                self.nodes[node].session_begun(number(other));
                self.follow(node);
            }
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.sessions.remove(&(a, b)) {
            self.sessions.remove(&(b, a));
            for (node, other) in [(a, b), (b, a)] {
                self.ways.remove(&(node, other));
                self.nodes[node].session_ended(number(other));
                self.follow(node);
            }
        }
    }

    fn register(&mut self, node: usize, name: &str, counter: u64) -> u64 {
        self.last += 1;
        let others: Vec<_> = self.others(node).into_iter().map(number).collect();
        self.nodes[node].register(self.last, name.into(), process(node, counter), others);
        self.follow(node);
        self.last
    }

    fn unregister(&mut self, node: usize, name: &str, counter: u64) {
        self.nodes[node].unregister(name, process(node, counter));
        self.follow(node);
    }

    /// One frame arrives. Returns whether there was one.
    fn arrives(&mut self, from: usize, to: usize) -> bool {
        let way = self.ways.get_mut(&(from, to));
        let Some(frame) = way.and_then(VecDeque::pop_front) else {
            return false;
        };
        self.nodes[to].received(number(from), frame);
        self.follow(to);
        true
    }

    fn settle(&mut self) {
        let mut has_arrived = true;
        while has_arrived {
            has_arrived = false;
            for (from, to) in self.sessions.clone() {
                has_arrived |= self.arrives(from, to);
            }
        }
    }

    fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.connect(a, b);
            }
        }
    }
}

#[test]
fn of_two_that_want_a_name_at_once_one_has_it() {
    let mut nodes = Nodes::new(3);
    nodes.connect_all();
    let first = nodes.register(0, "name", 1);
    let second = nodes.register(1, "name", 1);
    nodes.settle();
    let has_won = |registration| nodes.decided[&registration].is_ok();
    assert!(has_won(first) != has_won(second));
    let winner = process(usize::from(has_won(second)), 1);
    assert!(
        nodes
            .nodes
            .iter()
            .all(|node| node.find("name") == Some(winner))
    );
    assert!(nodes.lost.is_empty());
}

#[test]
fn of_two_claims_whose_nodes_do_not_reach_each_other_a_node_agrees_to_one() {
    // The claim of node 1 is older, as its id is lower.
    for first in [0, 1] {
        let second = 1 - first;
        let mut nodes = Nodes::new(3);
        nodes.connect(0, 2);
        nodes.connect(1, 2);
        let won = nodes.register(first, "name", 1);
        let lost = nodes.register(second, "name", 1);
        nodes.arrives(first, 2);
        nodes.arrives(second, 2);
        nodes.settle();
        let by = process(first, 1);
        assert_eq!(nodes.decided[&won], Ok(()));
        assert_eq!(nodes.decided[&lost], Err(NameTaken { by }));
        nodes.connect_all();
        nodes.settle();
        assert!(nodes.nodes.iter().all(|node| node.find("name") == Some(by)));
        assert!(nodes.lost.is_empty());
    }
}

#[test]
fn an_older_claim_waits_until_a_younger_one_is_given_up_or_its_node_is_lost() {
    for is_lost in [false, true] {
        let mut nodes = Nodes::new(4);
        for (one, other) in [(0, 2), (0, 3), (1, 2)] {
            nodes.connect(one, other);
        }
        // Node 3 does not answer.
        nodes.register(0, "name", 1);
        let older = nodes.register(1, "name", 1);
        nodes.arrives(0, 2);
        nodes.arrives(1, 2);
        assert!(!nodes.arrives(2, 1), "it is not answered");
        match is_lost {
            true => nodes.cut(0, 2),
            false => {
                nodes.unregister(0, "name", 1);
                nodes.arrives(0, 2);
            }
        }
        nodes.arrives(2, 1);
        assert_eq!(nodes.decided[&older], Ok(()));
    }
}

#[test]
fn a_name_is_had_only_once_everybody_has_agreed() {
    let mut nodes = Nodes::new(3);
    nodes.connect_all();
    let registration = nodes.register(0, "name", 1);
    nodes.arrives(0, 1);
    nodes.arrives(1, 0);
    assert!(nodes.decided.is_empty());
    nodes.arrives(0, 2);
    nodes.arrives(2, 0);
    assert_eq!(nodes.decided[&registration], Ok(()));
}

#[test]
fn who_does_not_answer_any_more_is_not_waited_for() {
    let mut nodes = Nodes::new(2);
    nodes.connect_all();
    let registration = nodes.register(0, "name", 1);
    nodes.cut(0, 1);
    assert_eq!(nodes.decided[&registration], Ok(()));
}

#[test]
fn the_older_claim_counts_when_a_split_heals_and_the_loser_is_told() {
    let mut nodes = Nodes::new(4);
    nodes.connect(0, 1);
    nodes.connect(2, 3);
    // The clock of this side is ahead by that.
    nodes.register(2, "other", 1);
    nodes.settle();
    nodes.register(0, "name", 1);
    nodes.settle();
    nodes.register(3, "name", 1);
    nodes.settle();
    nodes.connect_all();
    nodes.settle();
    let (loser, winner) = (process(3, 1), process(0, 1));
    assert!(
        nodes
            .nodes
            .iter()
            .all(|node| node.find("name") == Some(winner))
    );
    assert_eq!(nodes.lost, [(3, "name".into(), loser, winner)]);
}

#[test]
fn the_names_of_a_node_are_gone_with_its_session() {
    let mut nodes = Nodes::new(2);
    nodes.connect_all();
    nodes.register(0, "name", 1);
    nodes.settle();
    nodes.cut(0, 1);
    assert_eq!(nodes.nodes[1].find("name"), None);
    assert_eq!(nodes.nodes[0].find("name"), Some(process(0, 1)));
}

#[test]
fn a_node_claims_nothing_for_another() {
    let mut names = GlobalNames::new(NodeId::from_bits(1));
    let stamp = Stamp {
        clock: 1,
        node: NodeId::from_bits(3),
    };
    let claim = Claim {
        name: "name".into(),
        process: process(2, 1),
        stamp,
    };
    names.received(number(1), GlobalFrame::Have(claim.clone()));
    names.received(number(1), GlobalFrame::Claim(claim.clone()));
    assert!(names.take_outputs().is_empty());
    names.received(number(2), GlobalFrame::Have(claim));
    assert_eq!(names.find("name"), Some(process(2, 1)));
}

#[test]
fn a_node_that_claims_to_have_counted_very_far_does_not_stop_the_clocks_of_others() {
    let mut names = GlobalNames::new(NodeId::from_bits(1));
    for name in ["one", "two"] {
        let claim = Claim {
            name: name.into(),
            process: process(2, 1),
            stamp: Stamp {
                clock: u64::MAX,
                node: NodeId::from_bits(3),
            },
        };
        names.received(number(2), GlobalFrame::Claim(claim.clone()));
        names.received(number(2), GlobalFrame::Have(claim));
    }
    names.take_outputs();
    for (registration, name) in [(1, "three"), (2, "four")] {
        names.register(registration, name.into(), process(0, 1), [number(2)]);
    }
    let claims = names.take_outputs().into_iter().map(|output| match output {
        Output::ToAll(GlobalFrame::Claim(claim)) => claim.stamp.clock,
        other => panic!("{other:?} is no claim"),
    });
    let clocks: Vec<_> = claims.collect();
    assert_eq!(clocks, [1, 2].map(|more| 4 * MAX_CLOCK_STEP + more));
}

#[test]
fn a_node_has_only_so_many_names_elsewhere() {
    let mut names = GlobalNames::new(NodeId::from_bits(1));
    for clock in 0..MAX_GLOBAL_NAMES as u64 + 10 {
        let claim = Claim {
            name: format!("name{clock}"),
            process: process(2, 1),
            stamp: Stamp {
                clock,
                node: NodeId::from_bits(3),
            },
        };
        let frame = match clock % 2 {
            0 => GlobalFrame::Have(claim),
            _ => GlobalFrame::Claim(claim),
        };
        names.received(number(2), frame);
    }
    assert!(names.claims.len() + names.granted.len() <= MAX_GLOBAL_NAMES);
    // Nor has one more that claim a name that was granted, over and over again.
    let mut names = GlobalNames::new(NodeId::from_bits(1));
    for clock in (0..MAX_GLOBAL_NAMES as u64 + 10).rev() {
        let claim = Claim {
            name: "name".into(),
            process: process(2, 1),
            stamp: Stamp {
                clock,
                node: NodeId::from_bits(3),
            },
        };
        names.received(number(2), GlobalFrame::Claim(claim.clone()));
        names.received(number(2), GlobalFrame::Claim(claim));
    }
    assert_eq!(names.deferred["name"].len(), MAX_GLOBAL_NAMES - 1);
}

proptest! {
    /// Whatever is registered and given up while sessions come and go: once all nodes have
    /// sessions with each other, all of them say the same of each name, and nothing is open.
    #[test]
    fn all_nodes_agree_at_last(
        steps in prop::collection::vec((0_u8..12, 0_usize..4, 0_usize..4, 0_u64..2), 1..120),
    ) {
        let mut nodes = Nodes::new(4);
        for (what, a, b, which) in steps {
            let name = if which == 0 { "one" } else { "two" };
            match what {
                0 | 1 => drop(nodes.register(a, name, b as u64 + 1)),
                2 => nodes.unregister(a, name, b as u64 + 1),
                3 => nodes.connect(a, b),
                4 => nodes.cut(a, b),
                _ => drop(nodes.arrives(a, b)),
            }
        }
        nodes.connect_all();
        nodes.settle();
        prop_assert_eq!(nodes.decided.len() as u64, nodes.last);
        for name in ["one", "two"] {
            let holder = nodes.nodes[0].find(name);
            for (index, node) in nodes.nodes.iter().enumerate() {
                prop_assert_eq!(node.find(name), holder);
                prop_assert_eq!(nodes.told.get(&(index, name.into())).copied(), holder);
                prop_assert!(node.pending.is_empty());
                prop_assert!(node.granted.is_empty(), "{:?}", node.granted);
                prop_assert!(node.deferred.is_empty(), "{:?}", node.deferred);
                let entries: usize = node.entries.values().sum();
                prop_assert_eq!(entries, node.claims.values().map(BTreeMap::len).sum::<usize>());
                prop_assert!(node.claims.values().all(|claims| claims.len() == 1));
            }
        }
    }
}
