//! Whole clusters in virtual time: the state machines of this crate, with gossip, over a
//! network that delays, loses and cuts, on machines that stop and restart; `rivals`: nodes of one
//! name that are started at once.
//!
//! Everything random comes from a seed. `LUNATIC_SEEDS=n` says how many seeds are run, else
//! [`SEEDS`]; `LUNATIC_SEED=k` runs one, and writes what happens in it to standard error.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed expectation fails the test, and a trace is for people"
)]

mod checks;
mod faults;
mod load;
mod network;
mod processes;
mod random;
mod rivals;
mod start;
mod truth;
mod wire_faults;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::planted;
use crate::simulation::truth::{Counts, Truth};
use crate::simulation::wire_faults::{Fault, Planted};
use crate::simulation::world::{Event, World};

/// So many nodes there are.
const NODES: usize = 5;

/// When load and faults end.
const QUIET_FROM: Duration = Duration::from_secs(40);

/// By then, gossip has told every node of all others.
const GOSSIP_UNTIL: Duration = Duration::from_secs(62);

/// So many seeds are run: a minute's work of a processor. CI runs more.
const SEEDS: u64 = 2000;

/// A planted fault is found within so many seeds.
const PLANTED_SEEDS: u64 = 30;

/// What a run has shown.
struct Run {
    failure: Option<String>,
    counts: Counts,
    digest: u64,
    events: u64,
}

fn run(seed: u64, fault: Option<Fault>, is_traced: bool) -> Run {
    let truth = Truth {
        is_traced,
        ..Truth::default()
    };
    let truth = Arc::new(Mutex::new(truth));
    let mut world = World::new(seed, NODES, truth.clone(), Planted::new(fault));
    world.quiet_from = QUIET_FROM;
    for slot in 0..NODES {
        let after = world.random.millis(0, 1000);
        world.schedule(after, Event::Start { slot, host: slot });
    }
    world.begin_load();
    world.schedule(Duration::from_secs(1), Event::Watch);
    world.schedule(Duration::from_secs(5), Event::Fault);
    world.run_until(QUIET_FROM + Duration::from_secs(5));
    world.check_names_and_groups();
    let mut until = QUIET_FROM + Duration::from_secs(14);
    world.run_until(until);
    // Where many datagrams are lost, a node is taken for down now and then, and comes back.
    while !world.is_gossip_complete() && until < GOSSIP_UNTIL {
        until += Duration::from_secs(1);
        world.run_until(until);
    }
    world.check_all();
    let truth = truth.lock();
    Run {
        failure: truth.failure.clone(),
        counts: truth.counts,
        digest: truth.digest,
        events: world.handled,
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn clusters_keep_their_promises() {
    over_seeds(SEEDS, "clusters_keep_their_promises", |seed, is_traced| {
        let run = run(seed, None, is_traced);
        if is_traced {
            eprintln!("{} events, {:?}", run.events, run.counts);
        }
        run.failure
    });
}

/// Runs many seeds, or the one that is asked for.
///
/// - `otherwise`: how many, if nothing is asked for.
/// - `test`: the beginning of the name of the test.
/// - `run`: returns what was wrong with a seed; its second argument says whether the run is traced.
fn over_seeds(otherwise: u64, test: &str, run: impl Fn(u64, bool) -> Option<String> + Sync) {
    if let Some(seed) = number_from("LUNATIC_SEED") {
        assert_eq!(run(seed, true), None, "seed {seed}");
        return;
    }
    let first = number_from("LUNATIC_FIRST_SEED").unwrap_or(0);
    let seeds = number_from("LUNATIC_SEEDS").unwrap_or(otherwise);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failures.lock().len() >= 20 {
                        return;
                    }
                    if let Some(failure) = run(seed, false) {
                        failures.lock().push((seed, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner();
    failures.sort();
    for (seed, failure) in &failures {
        eprintln!("seed {seed} of {test}: {failure}\n    see it with: cargo xtask simulate {seed}");
    }
    assert!(failures.is_empty(), "{} seeds fail", failures.len());
}

/// Runs seeds until the checks find a fault of the network.
fn finds(fault: Fault) {
    let found = (0..PLANTED_SEEDS).find(|seed| run(*seed, Some(fault), false).failure.is_some());
    assert!(found.is_some(), "{fault:?} is not found");
}

/// Runs seeds until the checks find a fault of a state machine.
fn finds_planted(fault: planted::Fault) {
    planted::plant(fault);
    let found = (0..PLANTED_SEEDS).find(|seed| run(*seed, None, false).failure.is_some());
    assert!(found.is_some(), "{fault:?} is not found");
}

#[test]
fn links_that_are_not_told_of_a_lost_connection_are_found() {
    finds_planted(planted::Fault::LostLinksAreNotTold);
}

#[test]
fn an_unlink_that_nobody_waits_for_is_found() {
    finds_planted(planted::Fault::UnlinksAreNotAwaited);
}

#[test]
fn a_younger_claim_that_is_kept_is_found() {
    finds_planted(planted::Fault::YoungerClaimIsKept);
}

#[test]
fn a_claim_that_not_all_have_agreed_to_is_found() {
    finds_planted(planted::Fault::ClaimsAreNotAgreedOn);
}

#[test]
fn names_of_a_lost_node_that_are_kept_are_found() {
    finds_planted(planted::Fault::NamesOfTheLostAreKept);
}

#[test]
fn the_end_of_the_earlier_of_two_starts_is_found() {
    finds_planted(planted::Fault::EarlierStartEnds);
}

#[test]
fn units_that_change_places_are_found() {
    finds(Fault::Reorder);
}

#[test]
fn a_unit_that_arrives_twice_is_found() {
    finds(Fault::Duplicate);
}

#[test]
fn a_unit_that_does_not_arrive_is_found() {
    finds(Fault::Drop);
}

#[test]
fn a_unit_that_arrives_in_a_later_connection_is_found() {
    finds(Fault::CrossOver);
}

#[test]
fn a_connection_whose_end_is_not_told_is_found() {
    finds(Fault::LoseClose);
}

#[test]
fn memberships_that_a_later_runtime_is_not_told_are_found() {
    finds(Fault::ForgetMemberships);
}

#[test]
fn a_lost_node_that_nobody_is_told_of_is_found() {
    finds(Fault::ForgetNodes);
}

#[test]
fn a_name_of_a_process_that_has_ended_is_found() {
    finds(Fault::KeepNames);
}

#[test]
fn a_link_that_is_changed_in_two_steps_is_found() {
    finds(Fault::StepsApart);
}

#[test]
fn a_seed_runs_the_same_each_time() {
    for seed in 0..3 {
        let (first, second) = (run(seed, None, false), run(seed, None, false));
        assert_eq!((first.digest, first.events), (second.digest, second.events));
    }
}

#[test]
fn everything_that_is_checked_happens() {
    let counts: Vec<_> = (0..10).map(|seed| run(seed, None, false).counts).collect();
    let sum = |count: fn(&Counts) -> u64| counts.iter().map(count).sum::<u64>();
    assert!(sum(|counts| counts.sessions) > 200);
    assert!(sum(|counts| counts.messages) > 5_000);
    assert!(sum(|counts| counts.link_deaths) > 500);
    assert!(sum(|counts| counts.monitor_notices) > 500);
    assert!(sum(|counts| counts.unlinks) > 100);
    assert!(sum(|counts| counts.names) > 100);
    assert!(sum(|counts| counts.names_lost) > 0);
    assert!(sum(|counts| counts.memberships) > 1_000);
    assert!(sum(|counts| counts.responses) > 200);
    assert!(sum(|counts| counts.responses_lost) > 0);
    assert!(sum(|counts| counts.held) > 0);
    assert!(sum(|counts| counts.early) > 0);
    assert!(sum(|counts| counts.memberships_before) > 100);
    assert!(sum(|counts| counts.untold) > 0);
    assert!(sum(|counts| counts.failures) > 100);
    assert!(sum(|counts| counts.node_notices) > 100);
    assert!(sum(|counts| counts.names_again) > 100);
    assert!(sum(|counts| counts.expelled) > 2);
    assert!(sum(|counts| counts.clocks_behind) > 2);
}
