//! What processes have used is given back.
//!
//! These tests look at the memory of the whole program, so they run one at a
//! time.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::{World, assert_normal};

const MIB: usize = 1 << 20;

/// Keeps other tests of this file waiting.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The resident memory of this program, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() << 10
}

#[test]
fn a_hundred_thousand_processes_leave_nothing_behind() {
    const WAVES: usize = 10;
    const GROWTH: usize = 32 * MIB;
    let _alone = alone();
    let world = World::new();
    // A wave is 10 000 processes, which touch their memory and wait.
    let module = world.load(
        r#"(func (export "main") (local $rest i32)
            (local.set $rest (i32.const 10000))
            (loop $again
                (call $post (i64.const 0) (i64.const 0) (call $spawn_own (i64.const 1) @child))
                (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1))))))
        (func (export "child")
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 4096))
            (call $ok (call $next)))"#,
    );
    let mut after_first = 0;
    for wave in 0..WAVES {
        assert_normal(&world.spawn(&module, "main"));
        world.wait_until_empty();
        if wave == 0 {
            after_first = resident();
        }
    }
    let after_all = resident();
    assert!(
        after_all < after_first + GROWTH,
        "{} MiB after the first wave, {} MiB after {WAVES}",
        after_first / MIB,
        after_all / MIB,
    );
}

#[test]
fn processes_that_are_killed_give_their_memory_back() {
    const COUNT: usize = 200;
    const EACH: usize = MIB;
    const KEPT: usize = 48 * MIB;
    let _alone = alone();
    let world = World::new();
    let module = world.load(
        r#"(memory (export "memory") 16)
        (table funcref (elem $waits))
        (func $waits (result i32)
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000))
            (call $report (i64.const 1))
            (call $sleep)
            (i32.const 1))
        (func (export "main") (drop (call $guarded (i32.const 0))))"#,
    );
    let before = resident();
    let processes: Vec<_> = (0..COUNT).map(|_| world.spawn(&module, "main")).collect();
    for _ in 0..COUNT {
        world.report();
    }
    let meanwhile = resident();
    assert!(meanwhile > before + COUNT * EACH * 9 / 10);
    for process in &processes {
        process.kill();
    }
    world.wait_until_empty();
    let after = resident();
    assert!(
        after < before + KEPT,
        "{} MiB before, {} MiB meanwhile, {} MiB after",
        before / MIB,
        meanwhile / MIB,
        after / MIB,
    );
}
