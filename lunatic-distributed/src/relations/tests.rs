//! Tests of links and monitors, alone and against a model.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::{BTreeMap, VecDeque};

use lunatic_mailbox::NodeNumber;
use proptest::prelude::*;

use super::*;

fn pid(node: u32, counter: u64) -> Pid {
    Pid::new(NodeNumber::new(node).unwrap(), counter).unwrap()
}

/// One end: the relations, and the links and monitors as the processes have them.
#[derive(Default)]
struct End {
    relations: Relations,
    links: HashSet<(Pid, Pid)>,
    watching: HashSet<(Pid, Pid)>,
    watched: HashSet<(Pid, Pid)>,
    dead: HashSet<Pid>,
    outgoing: VecDeque<Frame<'static>>,
    /// How often each process was told the end of another.
    told: BTreeMap<(Pid, Pid), u32>,
}

impl End {
    fn says(&mut self, from: Pid, to: Pid, signal: Signal) {
        let frame = self.relations.outgoing(from, to, signal).unwrap();
        self.outgoing.extend(frame);
    }

    fn link(&mut self, from: Pid, to: Pid) {
        if !self.dead.contains(&from) {
            self.links.insert((from, to));
            self.says(
                from,
                to,
                Signal::Link {
                    peer: from,
                    tag: None,
                },
            );
        }
    }

    fn unlink(&mut self, from: Pid, to: Pid) {
        if !self.dead.contains(&from) {
            self.links.remove(&(from, to));
            self.says(from, to, Signal::Unlink { peer: from });
        }
    }

    fn monitor(&mut self, from: Pid, to: Pid) {
        if !self.dead.contains(&from) {
            self.watching.insert((from, to));
            self.says(from, to, Signal::Monitor { watcher: from });
        }
    }

    fn stop(&mut self, from: Pid, to: Pid) {
        if !self.dead.contains(&from) {
            self.watching.remove(&(from, to));
            self.says(from, to, Signal::StopMonitoring { watcher: from });
        }
    }

    fn die(&mut self, own: Pid) {
        if !self.dead.insert(own) {
            return;
        }
        self.watching.retain(|(watcher, _)| *watcher != own);
        for watched in self.relations.watcher_ended(own) {
            let signal = Signal::StopMonitoring { watcher: own };
            let (from, to) = (own, watched);
            self.outgoing.push_back(Frame::Signal { from, to, signal });
        }
        let mut links: Vec<_> = self
            .links
            .iter()
            .filter(|(from, _)| *from == own)
            .copied()
            .collect();
        links.sort();
        for (from, to) in links {
            self.links.remove(&(from, to));
            let reason = ExitReason::Normal;
            self.says(
                from,
                to,
                Signal::LinkDied {
                    peer: from,
                    tag: None,
                    reason,
                },
            );
        }
        let mut watched: Vec<_> = self
            .watched
            .iter()
            .filter(|(_, to)| *to == own)
            .copied()
            .collect();
        watched.sort();
        for (watcher, own) in watched {
            self.watched.remove(&(watcher, own));
            self.says(
                own,
                watcher,
                Signal::ProcessDied {
                    process: own,
                    reason: ExitReason::Killed,
                },
            );
        }
    }

    /// As `cluster/frames` does.
    fn hears(&mut self, frame: Frame<'static>) {
        match frame {
            Frame::Link {
                from,
                to,
                tag,
                back,
            } => {
                if self.relations.linked(from, to, back).unwrap() {
                    if self.dead.contains(&to) {
                        self.relations.link_died(from, to);
                        let reason = ExitReason::NoProcess;
                        let (from, to) = (to, from);
                        self.outgoing.push_back(Frame::LinkDied {
                            from,
                            to,
                            tag,
                            reason,
                        });
                    } else {
                        self.links.insert((to, from));
                    }
                }
            }
            Frame::Unlink { from, to, id } => {
                if self.relations.unlinked(from, to) {
                    assert!(self.links.remove(&(to, from)), "unlinked without a link");
                }
                let (from, to) = (to, from);
                self.outgoing.push_back(Frame::Unlinked { from, to, id });
            }
            Frame::Unlinked { from, to, id } => self.relations.unlink_known(from, to, id),
            Frame::LinkDied { from, to, .. } => {
                if self.relations.link_died(from, to) {
                    assert!(self.links.remove(&(to, from)), "told without a link");
                    *self.told.entry((to, from)).or_default() += 1;
                }
            }
            Frame::NoProcess { from, to } => {
                if self.relations.process_died(from, to) {
                    self.watching.remove(&(to, from));
                }
            }
            Frame::Signal { from, to, signal } => match signal {
                Signal::Monitor { .. } => {
                    self.relations.monitored(from, to).unwrap();
                    if self.dead.contains(&to) {
                        self.relations.no_longer_monitored(from, to);
                        let (from, to) = (to, from);
                        self.outgoing.push_back(Frame::NoProcess { from, to });
                    } else {
                        self.watched.insert((from, to));
                    }
                }
                Signal::StopMonitoring { .. } => {
                    self.relations.no_longer_monitored(from, to);
                    self.watched.remove(&(from, to));
                }
                Signal::ProcessDied { .. } => {
                    if self.relations.process_died(from, to) {
                        assert!(self.watching.remove(&(to, from)), "told without a monitor");
                    }
                }
                _ => unreachable!("nothing else is said"),
            },
            _ => unreachable!("nothing else is said"),
        }
    }

    fn check(&self) {
        let linked = self
            .relations
            .links
            .iter()
            .filter(|(_, link)| link.is_linked());
        let linked: HashSet<_> = linked.map(|(pair, _)| *pair).collect();
        assert_eq!(linked, self.links);
        let watching = self.relations.watching.iter();
        let watching: HashSet<_> = watching
            .flat_map(|(from, to)| to.iter().map(|to| (*from, *to)))
            .collect();
        assert_eq!(watching, self.watching);
        let watched: HashSet<_> = self
            .relations
            .watched
            .iter()
            .map(|(own, by)| (*by, *own))
            .collect();
        assert_eq!(watched, self.watched);
        let entries = self.relations.links.len() + watching.len() + watched.len();
        assert_eq!(self.relations.count, entries);
    }
}

proptest! {
    /// Whatever processes of two nodes do, and however late each node hears of it: both ends
    /// agree as soon as everything has arrived.
    #[test]
    fn both_ends_agree_at_last(
        steps in prop::collection::vec((0_u8..8, any::<bool>(), 1_u64..3, 1_u64..3), 1..60),
    ) {
        let mut ends = [End::default(), End::default()];
        for (what, first, own, peer) in steps {
            let (here, there) = if first { (0, 1) } else { (1, 0) };
            let (from, to) = (pid(here as u32 + 1, own), pid(there as u32 + 1, peer));
            match what {
                0 => ends[here].link(from, to),
                1 => ends[here].unlink(from, to),
                2 => ends[here].monitor(from, to),
                3 => ends[here].stop(from, to),
                4 if own == 1 => ends[here].die(from),
                _ => {
                    if let Some(frame) = ends[there].outgoing.pop_front() {
                        ends[here].hears(frame);
                    }
                }
            }
            ends.iter().for_each(End::check);
        }
        while ends.iter().any(|end| !end.outgoing.is_empty()) {
            for (here, there) in [(0, 1), (1, 0)] {
                if let Some(frame) = ends[there].outgoing.pop_front() {
                    ends[here].hears(frame);
                }
            }
            ends.iter().for_each(End::check);
        }
        let [first, second] = &ends;
        let turned: HashSet<_> = second.links.iter().map(|(from, to)| (*to, *from)).collect();
        prop_assert_eq!(&first.links, &turned);
        prop_assert_eq!(&first.watching, &second.watched);
        prop_assert_eq!(&second.watching, &first.watched);
        let is_unlinking = |end: &End| end.relations.links.values().any(|link| !link.is_linked());
        prop_assert!(!ends.iter().any(is_unlinking));
        let dead: Vec<_> = ends.iter().flat_map(|end| end.dead.iter().copied()).collect();
        let names_dead = |(from, to): &(Pid, Pid)| dead.contains(from) || dead.contains(to);
        prop_assert!(!first.links.iter().any(names_dead));
        prop_assert!(!first.watching.iter().chain(&second.watching).any(names_dead));
    }
}

#[test]
fn the_end_of_a_session_tells_each_relation_once() {
    let mut relations = Relations::default();
    let (here, there) = (pid(1, 1), pid(2, 1));
    relations.link(here, there, None, None).unwrap();
    relations.linked(there, here, None).unwrap();
    let monitor = Signal::Monitor { watcher: here };
    relations.outgoing(here, there, monitor.clone()).unwrap();
    relations.outgoing(here, there, monitor).unwrap();
    relations.monitored(there, here).unwrap();
    let told = relations.end();
    let of =
        |matches: fn(&Signal) -> bool| told.iter().filter(|(.., signal)| matches(signal)).count();
    assert_eq!(told.len(), 3);
    assert_eq!(
        of(|signal| matches!(
            signal,
            Signal::LinkDied {
                reason: ExitReason::NoConnection,
                ..
            }
        )),
        1
    );
    assert_eq!(of(|signal| matches!(signal, Signal::ProcessDied { .. })), 1);
    assert_eq!(
        of(|signal| matches!(signal, Signal::StopMonitoring { .. })),
        1
    );
    assert!(relations.end().is_empty());
}

#[test]
fn who_undoes_a_link_is_told_nothing_of_it_any_more() {
    let mut relations = Relations::default();
    let (here, there) = (pid(1, 1), pid(2, 1));
    relations.link(here, there, None, None).unwrap();
    let unlink = relations
        .outgoing(here, there, Signal::Unlink { peer: here })
        .unwrap();
    assert!(matches!(unlink, Some(Frame::Unlink { id: 1, .. })));
    assert!(!relations.link_died(there, here));
    assert!(!relations.linked(there, here, None).unwrap());
    assert!(
        relations.end().is_empty(),
        "the connection is lost before it is acknowledged"
    );
}

#[test]
fn an_acknowledgement_of_an_earlier_unlink_leaves_a_later_link() {
    let mut relations = Relations::default();
    let (here, there) = (pid(1, 1), pid(2, 1));
    relations.link(here, there, None, None).unwrap();
    relations
        .outgoing(here, there, Signal::Unlink { peer: here })
        .unwrap();
    relations.link(here, there, None, None).unwrap();
    relations.unlink_known(there, here, 1);
    assert!(relations.link_died(there, here));
}

#[test]
fn what_a_process_monitored_is_told_in_order() {
    let mut relations = Relations::default();
    for counter in [5, 3, 9, 1, 7] {
        let watcher = pid(1, 1);
        let monitor = Signal::Monitor { watcher };
        relations
            .outgoing(watcher, pid(2, counter), monitor)
            .unwrap();
    }
    let watched: Vec<_> = relations
        .watcher_ended(pid(1, 1))
        .iter()
        .map(|pid| pid.counter())
        .collect();
    assert_eq!(watched, [1, 3, 5, 7, 9]);
    assert_eq!(relations.count, 0);
}

#[test]
fn there_is_an_end_to_relations() {
    let mut relations = Relations {
        count: MAX_RELATIONS,
        ..Relations::default()
    };
    let (here, there) = (pid(1, 1), pid(2, 1));
    assert!(relations.link(here, there, None, None).is_err());
    assert!(relations.linked(there, here, None).is_err());
    assert!(relations.monitored(there, here).is_err());
    let monitor = Signal::Monitor { watcher: here };
    assert!(relations.outgoing(here, there, monitor).is_err());
}

#[test]
fn what_there_is_can_be_said_again_though_there_is_an_end_to_relations() {
    let mut relations = Relations::default();
    let (here, there) = (pid(1, 1), pid(2, 1));
    let monitor = || Signal::Monitor { watcher: here };
    relations.link(here, there, None, None).unwrap();
    relations.monitored(there, here).unwrap();
    relations.outgoing(here, there, monitor()).unwrap();
    relations.count = MAX_RELATIONS;
    assert!(relations.link(here, there, Tag::new(7), None).is_ok());
    assert!(relations.linked(there, here, None).is_ok());
    assert!(relations.monitored(there, here).is_ok());
    assert!(relations.outgoing(here, there, monitor()).is_ok());
    assert_eq!(relations.count, MAX_RELATIONS);
    assert!(relations.link(here, pid(2, 2), None, None).is_err());
}
