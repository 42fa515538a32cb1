//! Nodes of one name that are started at almost the same time: exactly one lives on.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::planted;
use crate::simulation::network::Host;
use crate::simulation::over_seeds;
use crate::simulation::truth::Truth;
use crate::simulation::wire_faults::Planted;
use crate::simulation::world::{Event, World};

/// The name is that of the slot 0; there is one node of each other slot.
const SLOTS: usize = 4;

/// So many seeds are run. CI runs more.
const SEEDS: u64 = 1000;

/// By then, cuts are healed.
const HEALED: Duration = Duration::from_secs(20);

/// By then, every node is connected to all others.
const QUIET: Duration = Duration::from_secs(75);

/// Returns what was wrong, and how many have ended.
fn run(seed: u64, is_traced: bool) -> (Option<String>, u64) {
    let truth = Truth {
        is_traced,
        ..Truth::default()
    };
    let truth = Arc::new(Mutex::new(truth));
    let mut world = World::new(seed, SLOTS, truth.clone(), Planted::new(None));
    world.ends_for_good = Some(0);
    world.numbers = 1 << 20;
    world.late_units = *world.random.pick(&[0, 20, 100, 300]).expect("some");
    for slot in 1..SLOTS {
        let after = world.random.millis(0, 1000);
        world.schedule(after, Event::Start { slot, host: slot });
    }
    // Among nodes that know each other, or when all are started.
    let first = *world.random.pick(&[0, 300, 5000]).expect("some");
    let apart = *world
        .random
        .pick(&[0, 3, 50, 150, 500, 2000])
        .expect("some");
    let rivals = 2 + world.random.below(2) as usize;
    let hosts: Vec<Host> = (0..rivals).map(|rival| rival * SLOTS).collect();
    for host in &hosts {
        let after = Duration::from_millis(first) + world.random.millis(0, apart);
        let (slot, host) = (0, *host);
        world.schedule(after, Event::Start { slot, host });
    }
    // In some, the nodes of that name do not reach each other at first, or not all others.
    let cuts = world.random.below(4);
    let mut ways = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        for other in hosts.iter().filter(|other| *other != host && cuts > 0) {
            ways.push((*host, *other));
        }
        for other in (1..SLOTS).filter(|_| cuts > 1) {
            if other % rivals != index {
                ways.push((*host, other));
                if cuts > 2 || world.random.in_1000(500) {
                    ways.push((other, *host));
                }
            }
        }
    }
    if !ways.is_empty() {
        let limit = HEALED.as_millis() as u64;
        let for_time = world.random.millis(100, limit);
        world.cut(ways, for_time);
    }
    world.run_until(QUIET);
    while !world.is_gossip_complete() && world.now < QUIET * 2 {
        let until = world.now + Duration::from_secs(1);
        world.run_until(until);
    }
    world.check_all();
    let truth = truth.lock();
    (truth.failure.clone(), truth.counts.expelled)
}

#[test]
fn clusters_keep_one_of_several_nodes_of_a_name_that_are_started_at_once() {
    over_seeds(SEEDS, "clusters_keep_one_of_several", |seed, is_traced| {
        run(seed, is_traced).0
    });
}

#[test]
fn most_of_them_end_and_not_only_in_one_way() {
    let expelled: Vec<_> = (0..60).map(|seed| run(seed, false).1).collect();
    assert!(
        expelled.contains(&1) && expelled.contains(&2),
        "{expelled:?}"
    );
    assert!(!expelled.contains(&3), "{expelled:?}");
}

#[test]
fn nodes_that_do_not_agree_on_which_was_started_first_are_found() {
    planted::plant(planted::Fault::StartsHaveNoCommonOrder);
    let found = (0..60).find(|seed| run(*seed, false).0.is_some());
    assert!(found.is_some());
}
