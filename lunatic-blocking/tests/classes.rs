//! The queues that the whole program shares.

mod gate;

use std::thread;

use futures_lite::future::block_on;
use gate::Gate;
use lunatic_blocking::Class;

const ALL: [Class; 6] = [
    Class::Cpu,
    Class::Cache,
    Class::Disk,
    Class::Lookup,
    Class::Stdout,
    Class::Stderr,
];

#[test]
fn each_class_has_a_bounded_number_of_threads() {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let threads = ALL.map(|class| class.queue().max_threads().get());
    assert_eq!(threads, [cores, cores, 8, 64, 1, 1]);
}

#[test]
fn a_class_whose_threads_are_all_busy_holds_up_no_other() {
    for busy in ALL {
        let gate = Gate::closed();
        gate.occupy(busy.queue());
        for other in ALL.iter().filter(|other| **other != busy) {
            // Those that were busy before have been let go.
            block_on(other.queue().run(|| ()));
        }
    }
}
