//! More processes than there are memories that the processor guards: those beyond have dense
//! ones, and nobody sees a difference.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{World, module, send};
use lunatic_cli::{Reloading, Root, State};
use lunatic_engine::{Engine, EngineConfig, Module};
use lunatic_process::Process;
use lunatic_reload::{ReloadResult, Report};
use lunatic_testkit::{wait, wait_until};

/// How many guarded memories there are.
const FEW: usize = 128;

/// How many guarded and dense memories this program uses.
fn used() -> (usize, usize) {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let arena = engine.stats().arena.unwrap();
    let dense = arena.memories.iter().map(|slots| slots.used).sum();
    (arena.guarded.unwrap().used, dense)
}

/// Spawns processes that each know whom to answer by their memory, reports when all live, and
/// when told to asks each for three times a number of its own, and reports the sum.
const MANY: &str = r#"
    (memory (export "memory") 4)
    (func (export "main") (param $number i32) (local $left i32) (local $sum i64)
        (local $other i64)
        (local.set $left (local.get $number))
        (loop $next
            (local.set $other (call $spawn_own (i64.const 0) @child))
            (call $write (i64.const 1) (call $process_id))
            (drop (call $send (local.get $other)))
            ;; it has answered once: it lives, and waits
            (drop (call $next_tagged (i64.const 2)))
            (i64.store (i32.add (i32.const 0x10000) (i32.mul (local.get $left) (i32.const 8)))
                (local.get $other))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $report (i64.const 0))
        (drop (call $next_tagged (i64.const 7)))
        (local.set $left (local.get $number))
        (loop $next
            (call $post (i64.const 1) (i64.extend_i32_u (local.get $left))
                (i64.load (i32.add (i32.const 0x10000)
                    (i32.mul (local.get $left) (i32.const 8)))))
            (drop (call $next_tagged (i64.const 2)))
            (local.set $sum (i64.add (local.get $sum) (call $value)))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $report (local.get $sum)))
    (func (export "child")
        (drop (call $next))
        (i64.store (i32.const 0x100) (call $value))
        (call $post (i64.const 2) (i64.const 0) (i64.load (i32.const 0x100)))
        (drop (call $next))
        (call $post (i64.const 2) (i64.mul (call $value) (i64.const 3))
            (i64.load (i32.const 0x100)))
        (call $sleep))"#;

#[test]
fn ten_thousand_processes_live_at_once_and_answer() {
    const NUMBER: usize = 10_000;
    let world = World::new();
    let module = world.load(MANY);
    let root = Root::new("main").params([(NUMBER as i32).into()]);
    let root = world.root(&module, root).unwrap();
    assert_eq!(world.report(), 0);
    assert_eq!(used(), (FEW, NUMBER + 1 - FEW));
    send(&root, 7, b"");
    let number = NUMBER as i64;
    assert_eq!(world.report(), 3 * number * (number + 1) / 2);
}

/// A process that counts messages in its memory and reports `10 * count + version` for each.
fn counter(version: u32) -> String {
    module(&format!(
        r#"(memory (export "memory") 1)
        (data (i32.const 0) "counter")
        (func (export "main") (call $serve))
        (func (export "_lunatic_reload_1_counter")
            (i64.store (i32.const 0x100) (call $value))
            (call $accept)
            (call $serve))
        (func $serve
            (call $offer (i32.const 0) (i32.const 7) (i64.const 1))
            (loop $again
                (call $move)
                (if (i32.eqz (call $next)) (then
                    (i64.store (i32.const 0x100)
                        (i64.add (i64.load (i32.const 0x100)) (i64.const 1)))
                    (call $report (i64.add (i64.const {version})
                        (i64.mul (i64.const 10) (i64.load (i32.const 0x100)))))))
                (br $again)))
        (func $move (local $version i64)
            (loop $until_armed
                (local.set $version (call $arm))
                (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                    (call $write (i64.const 5) (i64.load (i32.const 0x100)))
                    (drop (call $hand_over (local.get $version) (i32.const 0xff00)))
                    (br $until_armed)))))"#
    ))
}

/// Processes that wait, as many as there are guarded memories left.
fn use_all_guarded(world: &World, waits: &Module<State>) -> Vec<Process> {
    let left = FEW - used().0;
    let processes = (0..left).map(|_| world.spawn(waits, "main")).collect();
    wait_until("the guarded memories to be used", || used().0 == FEW);
    processes
}

fn end(processes: Vec<Process>) {
    for process in &processes {
        process.kill();
    }
    for process in processes {
        wait("an end", process.wait());
    }
}

#[test]
fn a_process_moves_from_a_guarded_memory_to_a_dense_one_and_back_with_its_state() {
    let world = World::new();
    let waits = world.load(r#"(func (export "main") (drop (call $next)))"#);
    let version = |number| counter(number).into_bytes();
    let loading = world.runtime.load_version("app", version(1));
    let first = wait("compilation", loading).unwrap();
    let process = world.spawn(&first, "main");
    let count = || {
        send(&process, 1, b"");
        world.report()
    };
    let reload = |number| -> Report {
        let reloading = Reloading::default();
        let reload = world.runtime.reload("app", version(number), reloading);
        wait("the reload", reload).unwrap()
    };
    assert_eq!(count(), 11);
    assert_eq!(used(), (1, 0));

    let others = use_all_guarded(&world, &waits);
    assert_eq!(reload(2).result, ReloadResult::Moved);
    assert_eq!(count(), 22);
    wait_until("the first instance to be gone", || used() == (FEW - 1, 1));

    end(others);
    assert_eq!(reload(3).result, ReloadResult::Moved);
    assert_eq!(count(), 33);
    wait_until("the second instance to be gone", || used() == (1, 0));
}

#[test]
fn a_process_spawns_others_of_the_other_kind() {
    let world = World::new();
    let waits = world.load(r#"(func (export "main") (drop (call $next)))"#);
    let spawns = world.load(
        r#"(func (export "main")
            (drop (call $next))
            (drop (call $spawn_own (i64.const 0) @child))
            (drop (call $next)))
        (func (export "child") (call $report (i64.load (i32.const 0x10))) (drop (call $next)))
        (data (i32.const 0x10) "\2a")"#,
    );
    let guarded = world.spawn(&spawns, "main");
    wait_until("it has its memory", || used() == (1, 0));
    let others = use_all_guarded(&world, &waits);
    send(&guarded, 1, b"");
    assert_eq!(world.report(), 42);
    assert_eq!(used(), (FEW, 1));
    let dense = world.spawn(&spawns, "main");
    wait_until("it has its memory", || used() == (FEW, 2));
    end(others);
    send(&dense, 1, b"");
    assert_eq!(world.report(), 42);
    wait_until("the memories to be given back", || used() == (2, 2));
}
