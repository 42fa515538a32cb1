//! What a process can have at most (ABI §15.6, §21 A4).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{World, assert_failed, assert_normal, send};
use lunatic_cli::Root;
use lunatic_mailbox::{DataMessage, Limits};
use lunatic_process::{Environment, EnvironmentConfig, ProcessConfig};
use lunatic_testkit::wait;

#[test]
fn memory_grows_to_its_limit_and_not_beyond() {
    let world = World::new();
    let module = world.load(
        r#"(func $grow (param $pages i32)
            (call $report (i64.extend_i32_s (memory.grow (local.get $pages)))))
        (func (export "main")
            (call $grow (i32.const 2))
            (call $grow (i32.const 2))
            (call $grow (i32.const 1))
            (call $grow (i32.const 1))
            (call $grow (i32.const 0)))"#,
    );
    let config = ProcessConfig {
        max_memory: 4 * 65536,
        ..ProcessConfig::default()
    };
    assert_normal(&world.spawn_with(&module, "main", config));
    assert_eq!(world.reports(), [1, -1, 3, -1, 4]);
}

#[test]
fn a_limit_between_two_pages_counts_whole_pages() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $report (i64.extend_i32_s (memory.grow (i32.const 1))))
            (call $report (i64.extend_i32_s (memory.grow (i32.const 1)))))"#,
    );
    let config = ProcessConfig {
        max_memory: 3 * 65536 - 1,
        ..ProcessConfig::default()
    };
    assert_normal(&world.spawn_with(&module, "main", config));
    assert_eq!(world.reports(), [1, -1]);
}

#[test]
fn the_default_limit_is_one_page_less_than_4_gib() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_s (memory.grow (i32.const 65535))))
            (call $report (i64.extend_i32_s (memory.grow (i32.const 65534)))))"#,
    );
    assert_eq!(world.reports(), [-1, 1]);
}

#[test]
fn a_root_that_needs_more_than_its_limit_does_not_start() {
    let world = World::new();
    let module = world.load(r#"(memory (export "memory") 2) (func (export "main"))"#);
    let mut config = lunatic_cli::Config::trusted();
    config.process.max_memory = 65536;
    let failure = world
        .root(&module, Root::new("main").config(config))
        .unwrap_err();
    assert!(
        failure.to_string().contains("exceeds memory limits"),
        "{failure}"
    );
    world.wait_until_empty();
}

#[test]
fn a_table_has_fewer_than_100_000_elements() {
    let world = World::new();
    world.run_main(
        r#"(table 1 funcref)
        (func $grow (param $elements i32)
            (call $report (i64.extend_i32_s
                (table.grow (ref.null func) (local.get $elements)))))
        (func (export "main")
            (call $grow (i32.const 99999))
            (call $grow (i32.const 99998))
            (call $grow (i32.const 1)))"#,
    );
    assert_eq!(world.reports(), [-1, 1, -1]);
}

#[test]
fn errors_that_are_never_dropped_trap_in_the_end() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "keeps")
            (loop $again
                (drop (call $compile_module (i32.const 0) (i32.const 0) (i32.const 0x100)))
                (br $again)))
        (func (export "drops") (local $count i32)
            (loop $again
                (drop (call $compile_module (i32.const 0) (i32.const 0) (i32.const 0x100)))
                (call $error_drop (i64.load (i32.const 0x100)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $count) (i32.const 20000)))))"#,
    );
    world.fails(&module, "keeps", "at most 16384 errors");
    world.run(&module, "drops");
}

#[test]
fn configs_that_are_never_dropped_trap_in_the_end() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "keeps") (loop $again (drop (call $create_config)) (br $again)))
        (func (export "drops") (local $count i32)
            (loop $again
                (call $drop_config (call $create_config))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $count) (i32.const 70000)))))"#,
    );
    world.fails(&module, "keeps", "at most 65536 configs");
    world.run(&module, "drops");
}

/// A mailbox for four messages.
fn narrow() -> ProcessConfig {
    ProcessConfig {
        mailbox: Limits {
            messages: 4,
            ..Limits::default()
        },
        ..ProcessConfig::trusted()
    }
}

#[test]
fn a_full_mailbox_harms_its_owner_not_and_still_takes_notices() {
    let world = World::new();
    let observer = world.observer();
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let process = world.spawn_with(&module, "main", narrow());
    observer.watch(&process, 5);
    for _ in 0..4 {
        send(&process, 0, b"");
    }
    assert!(process.is_alive());
    let fifth = DataMessage::default().into();
    assert!(process.send(fifth).is_err());
    assert!(process.is_alive());
    process.kill();
    observer.is_told_of_failure(&process, 5);
}

#[test]
fn who_floods_another_traps_and_the_other_goes_on() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (local $child i64)
            (local.set $child (call $spawn_own (i64.const 0) @child))
            (call $report (local.get $child))
            (loop $again
                (call $post (i64.const 0) (i64.const 0) (local.get $child))
                (br $again)))
        (func (export "child") (call $sleep))"#,
    );
    let flooder = world.spawn_with(&module, "main", narrow());
    let child = lunatic_mailbox::Pid::from_bits(world.report() as u64);
    assert_failed(&flooder, "is full");
    assert!(world.runtime.environment().exists(child));
}

#[test]
fn a_process_that_floods_itself_fails() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (loop $again
                (call $post (i64.const 0) (i64.const 0) (call $process_id))
                (br $again)))"#,
    );
    let process = world.spawn_with(&module, "main", narrow());
    assert_failed(&process, "is full");
}

#[test]
fn the_bytes_of_a_mailbox_are_limited_too() {
    let world = World::new();
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let config = ProcessConfig {
        mailbox: Limits {
            bytes: 1000,
            ..Limits::default()
        },
        ..ProcessConfig::default()
    };
    let process = world.spawn_with(&module, "main", config);
    send(&process, 0, &[0; 500]);
    let second = DataMessage::new(None, vec![0; 500]).into();
    assert!(process.send(second).is_err());
    assert!(process.is_alive());
}

#[test]
fn a_full_environment_is_result_1() {
    let world = World::new();
    let scheduler = world.runtime.environment().scheduler().clone();
    let full = EnvironmentConfig {
        max_processes: 3,
        ..EnvironmentConfig::default()
    };
    let environment = Environment::with_config(7, scheduler, full);
    let module = world.load(
        r#"(func (export "main")
            (call $report (call $environment_id))
            (drop (call $spawn_own (i64.const 1) @child))
            (drop (call $spawn_own (i64.const 1) @child))
            (call $report (i64.extend_i32_u (call $spawn
                (i64.const 1) (i64.const -1) (i64.const -1)
                @child (i32.const 0) (i32.const 0) (i32.const 0x100))))
            (call $say_error (i64.load (i32.const 0x100)))
            ;; Where one ends, another may begin.
            (call $unlink (i64.const 2))
            (call $kill (i64.const 2))
            (loop $again
                (call $sleep_ms (i64.const 1))
                (br_if $again (call $spawn
                    (i64.const 1) (i64.const -1) (i64.const -1)
                    @child (i32.const 0) (i32.const 0) (i32.const 0x100)))))
        (func (export "child") (call $sleep))"#,
    );
    let root = Root::new("main").environment(environment.clone());
    let process = world.root(&module, root).unwrap();
    assert_eq!(world.reports(), [7, 1]);
    assert!(world.text().contains("3 processes already"));
    assert_normal(&process);
    wait("the end", environment.shut_down());
    assert_eq!(environment.process_count(), 0);
}
