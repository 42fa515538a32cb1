//! Each attack, for a moment: nobody but the culprit is hurt.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::Duration;

use lunatic_bench::attack::{Attack, Trial};

/// How long a culprit runs that does not have to end by itself.
const TIME: Duration = Duration::from_millis(300);

fn hurts_only_itself(name: &str) {
    let attack = Attack::named(name).unwrap();
    let expectation = attack.expectation.clone();
    let trial = Trial::start(attack).unwrap();
    let findings = trial.run(TIME, expectation.is_an_end());
    let problems = findings.problems();
    assert!(
        problems.is_empty(),
        "{problems:?}, culprit: {:?}",
        findings.end
    );
    let end = findings.end.as_ref();
    assert!(expectation.allows(end), "not {expectation}, but {end:?}");
}

/// A test for each attack, so that each has a runtime, and a program, of its own.
macro_rules! attacks {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                hurts_only_itself(stringify!($name));
            }
        )*
    };
}

attacks! {
    arguments_read
    bind_without_right
    branches_naps
    calls_indirect
    capacity_hints
    catches_deep
    catches_nested
    compile_br_table
    compile_calls_indirect
    compile_functions
    compile_garbage
    compile_globals
    compile_handlers
    compile_locals
    compile_nesting
    compile_nops
    compile_passive_elements
    compile_signatures
    config_arguments
    config_environment
    configs
    connect_without_right
    connections_and_closed
    connections_unaccepted
    copies
    copies_counting_fuel
    deep_branches
    directory_of_many
    errors_kept
    errors_of_compiler
    exceptions_collected
    exceptions_deep
    exceptions_kept
    exceptions_loop
    exit_itself
    file_writes_anywhere
    forged_replies
    fork_bomb
    group_again
    group_broadcast
    group_deaths
    group_joined
    group_left
    group_listed
    group_monitors
    group_of_many_monitored
    group_scopes
    groups
    groups_left
    growing_scratch
    host_calls_at_the_end_of_the_stack
    host_calls_straight
    instances_of_passive_elements
    kill_everyone
    kill_host
    kill_neighbour
    kill_whoever_comes
    large_messages
    limits_of_its_own
    link_at_spawn
    link_everyone
    link_host
    link_neighbour
    link_the_dead
    links_at_death
    links_of_files
    links_unlinked
    list_directory
    log_flood
    log_names
    log_traps
    loop_br_table
    loop_clock
    loop_empty
    loop_host_call
    loop_of_calls
    loop_receive_zero
    loop_sleep_zero
    loop_traps
    mailbox_flood_empty
    mailbox_flood_host
    mailbox_flood_neighbour
    mailbox_flood_self
    memory_copy
    memory_fill
    memory_fill_straight
    memory_grow
    memory_grow_together
    metrics_of_many_names
    modules_kept
    modules_of_exports_kept
    monitor_neighbour
    monitors_at_death
    name_looked_up
    name_of_neighbour
    name_removed
    name_taken
    names
    names_at_death
    names_huge
    names_huge_lookup
    names_of_functions
    names_removed
    names_repeated
    path_long
    permit_signals_ahead
    poll_many
    quick_calls_straight
    random_bytes
    recursion
    reload_hand_over
    reload_kind_huge
    reload_offers
    reload_poses_as_entry
    resources_in_messages
    rights_granted
    rights_to_compile_granted
    selective_receive
    sleepers
    spawn_chain
    spawn_chain_of_little_fuel
    spawn_large_arguments
    spawn_large_names
    spawn_wait
    spawn_without_right
    specification_children
    specification_configs
    specifications
    specifications_doubled
    specifications_nested
    spinners
    sql_connections
    sql_endless
    sql_statements
    stacks_deep
    stacks_deep_of_catches
    start_function_loops
    stop_as_supervisor
    supervisor_restarts
    supervisor_stops
    table_grow
    tables_straight
    tables_straight_counting_fuel
    tag_lists
    terminate_as_supervisor
    timers
    timers_cancelled
    timers_due
    timers_neighbour
    timers_outlive
    timers_with_room
    tls_handshakes
    udp_to_itself
    unlink_everyone
    wait_for_neighbour
    waits_without_end
    wild_addresses
    write_many_empty
}

#[test]
fn every_attack_is_tested() {
    let attacks = Attack::all().unwrap();
    let names: Vec<_> = attacks.iter().map(|attack| attack.name.as_str()).collect();
    assert_eq!(names, TESTED);
}

/// How long neighbours wait beside culprits that keep all workers busy: the delay that half of all
/// are below.
fn usual_delay(name: &str) -> Duration {
    const CULPRITS: usize = 4;
    let attack = Attack::named(name).unwrap();
    let trial = Trial::start(attack.clone()).unwrap();
    for _ in 1..CULPRITS {
        trial.add(attack.clone()).unwrap();
    }
    let delays = trial.run(TIME, false).delays;
    assert!(!delays.is_empty());
    delays[delays.len() / 2]
}

#[test]
fn neighbours_wait_hardly_longer_beside_indirect_calls_than_beside_loops() {
    let beside_loops = usual_delay("loop_empty");
    let beside_calls = usual_delay("calls_indirect");
    // A thousand calls in one step take as long as many time slices.
    let most = 5 * beside_loops + Duration::from_millis(5);
    assert!(beside_calls < most, "{beside_calls:?} and {beside_loops:?}");
}
