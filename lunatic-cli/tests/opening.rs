//! Directories that a process gives to its children are opened when a child is
//! spawned (ABI §3.3, §13), and no worker opens them.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};

use harness::{World, assert_failed, assert_normal, send};
use lunatic_blocking::Class;
use lunatic_cli::{Config, Root};
use lunatic_process::Process;
use lunatic_testkit::end_of;
use lunatic_wasi::Access;
use tempfile::TempDir;

/// What the guests of this file share: `$with_directory` is a config with the
/// directory that the test names; `look` reports whether there is a directory 3.
const PRELUDE: &str = r#"
    (func $with_directory (result i64) (local $config i64)
        (local.set $config (call $create_config))
        (call $config_preopen_dir (local.get $config)
            (i32.const 0x1000) (call $given (i32.const 0x1000)))
        (local.get $config))
    (func (export "look")
        (call $report (i64.extend_i32_u (call $fd_prestat_get (i32.const 3) (i32.const 0x100)))))"#;

/// Spawns `look` with the directory.
const SPAWNS: &str = r#"
    (func (export "spawn")
        (drop (call $spawn_with (i64.const 0) (call $with_directory) @look)))"#;

/// The same with `get_or_spawn`; reports the result.
const GETS_OR_SPAWNS: &str = r#"
    (func (export "get_or_spawn")
        (call $report (i64.extend_i32_u (call $get_or_spawn @service
            (i64.const 0) (call $with_directory) (i64.const -1)
            @look (i32.const 0) (i32.const 0) (i32.const 0x100) (i32.const 0x108)))))"#;

/// Starts a supervisor of one child, `look` with the directory; reports the
/// result, and says the error if there is one. If not, it stays, and so does the
/// supervisor.
const SUPERVISES: &str = r#"
    (func (export "supervise") (local $spec i64) (local $result i32)
        (local.set $spec (call $supervisor_create_spec
            @root (i32.const 0) (i32.const 0) (i64.const 5000) (i32.const 0)))
        (call $pair (i32.const 0x200) @child)
        (i64.store (i32.const 0x208) (i64.const -1))
        (i64.store (i32.const 0x210) (call $with_directory))
        (call $pair (i32.const 0x218) @look)
        (i64.store (i32.const 0x228) (i64.const -1))
        (i32.store (i32.const 0x230) (i32.const 2))
        (call $ok (call $supervisor_add_child (local.get $spec) (i32.const 0x200) (i32.const 0)))
        (local.set $result (call $supervisor_start
            (local.get $spec) (i64.const 0) (i32.const 0x100)))
        (call $report (i64.extend_i32_u (local.get $result)))
        (if (local.get $result)
            (then (call $say_error (i64.load (i32.const 0x100))))
            (else (call $sleep))))
    (func $pair (param $at i32) (param $one i32) (param $other i32)
        (i32.store (local.get $at) (local.get $one))
        (i32.store offset=4 (local.get $at) (local.get $other)))"#;

/// A world whose processes have a directory of their own, and that directory.
struct Opening {
    world: World,
    dir: TempDir,
}

impl Opening {
    /// The guest gives `name`, which is below its own directory, to its children.
    fn new(workers: usize, name: &str) -> Opening {
        let world = World::with_workers(NonZeroUsize::new(workers).unwrap());
        let dir = tempfile::tempdir().unwrap();
        world.give(dir.path().join(name).to_str().unwrap());
        Opening { world, dir }
    }

    fn spawn(&self, body: &str, export: &str) -> Process {
        let mut config = Config::trusted();
        let wasi = config.wasi_mut();
        wasi.add_dir(self.dir.path(), "/", Access::ReadWrite)
            .unwrap();
        let module = self.world.load(&format!("{PRELUDE}{body}"));
        let root = Root::new(export).config(config);
        self.world.root(&module, root).unwrap()
    }
}

/// Keeps all threads that open directories busy, until it is dropped.
struct Busy(#[allow(dead_code, reason = "it is dropped")] mpsc::Sender<()>);

impl Busy {
    fn new() -> Busy {
        let (release, released) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        let queue = Class::Cache.queue();
        for _ in 0..queue.max_threads().get() {
            let released = released.clone();
            queue.run_detached(move || {
                let _ = released.lock().unwrap().recv();
            });
        }
        Busy(release)
    }
}

#[test]
fn a_child_finds_the_directory_that_it_is_given() {
    for (body, export, reports) in [
        (SPAWNS, "spawn", 1),
        (GETS_OR_SPAWNS, "get_or_spawn", 2),
        (SUPERVISES, "supervise", 2),
    ] {
        let opening = Opening::new(2, "sub");
        fs::create_dir(opening.dir.path().join("sub")).unwrap();
        opening.spawn(body, export);
        for _ in 0..reports {
            assert_eq!(opening.world.report(), 0, "{export}");
        }
    }
}

#[test]
fn a_directory_that_does_not_exist_is_a_trap_of_whoever_spawns() {
    let opening = Opening::new(2, "missing");
    let cause = "cannot open the directory";
    assert_failed(&opening.spawn(SPAWNS, "spawn"), cause);
    assert_failed(&opening.spawn(GETS_OR_SPAWNS, "get_or_spawn"), cause);
    opening.world.no_more_reports();
}

#[test]
fn a_child_whose_directory_does_not_exist_cannot_be_started_by_its_supervisor() {
    let opening = Opening::new(2, "missing");
    let parent = opening.spawn(SUPERVISES, "supervise");
    assert_eq!(opening.world.report(), 1);
    let error = opening.world.text();
    assert!(error.contains("cannot open the directory"), "{error}");
    end_of(&parent);
    opening.world.no_more_reports();
}

#[test]
fn a_name_is_free_if_the_directory_of_its_process_cannot_be_opened() {
    let opening = Opening::new(2, "sub");
    let body = format!(
        r#"{GETS_OR_SPAWNS}
        (func (export "main")
            (call $await (call $spawn_own (i64.const 0) @get_or_spawn))
            (call $report (i64.extend_i32_u (call $registry_get
                @service (i32.const 0x100) (i32.const 0x108)))))"#
    );
    assert_normal(&opening.spawn(&body, "main"));
    assert_eq!(opening.world.report(), 1);
    opening.world.no_more_reports();
}

/// Spawns a process that calls one of the functions above, and goes on when that
/// one waits; looks names up meanwhile.
const GOES_ON: &str = r#"
    (func $go_on (param $export i32) (param $length i32)
        (drop (call $next))
        (drop (call $spawn_own (i64.const 0) (local.get $export) (local.get $length)))
        (call $sleep_ms (i64.const 20))
        (call $report (i64.extend_i32_u (call $registry_get
            @service (i32.const 0x100) (i32.const 0x108)))))
    (func (export "main_spawn") (call $go_on @spawn))
    (func (export "main_get_or_spawn") (call $go_on @get_or_spawn))
    (func (export "main_supervise") (call $go_on @supervise))"#;

#[test]
fn while_a_directory_is_opened_other_processes_run_and_names_are_found() {
    let all = [SPAWNS, GETS_OR_SPAWNS, SUPERVISES, GOES_ON].concat();
    for (export, reports) in [
        ("main_spawn", 1),
        ("main_get_or_spawn", 2),
        ("main_supervise", 2),
    ] {
        let opening = Opening::new(1, "sub");
        fs::create_dir(opening.dir.path().join("sub")).unwrap();
        let parent = opening.spawn(&all, export);
        let busy = Busy::new();
        send(&parent, 1, b"");
        // Nobody has the name; the only worker could tell.
        assert_eq!(opening.world.report(), 1, "{export}");
        opening.world.no_more_reports();
        drop(busy);
        for _ in 0..reports {
            assert_eq!(opening.world.report(), 0, "{export}");
        }
    }
}
