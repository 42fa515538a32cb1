//! What a process may give to others (ABI §3.2, §15.7).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::num::NonZeroU64;

use harness::{World, assert_failed, assert_normal};
use lunatic_cli::{Config, Root};
use lunatic_process::ProcessConfig;

/// May create configs and spawn, but not compile; has limits.
fn limited() -> ProcessConfig {
    ProcessConfig {
        can_create_configs: true,
        can_spawn_processes: true,
        max_memory: 1 << 20,
        max_fuel: NonZeroU64::new(1000),
        ..ProcessConfig::default()
    }
}

#[test]
fn a_new_config_has_no_rights_and_the_default_limits() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $config i64)
            (call $report (call $create_config))
            (call $report (call $config_get_max_memory (i64.const 0)))
            (call $report (call $config_get_max_fuel (i64.const 0)))
            (call $report (i64.extend_i32_u (call $config_can_compile_modules (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_create_configs (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_spawn_processes (i64.const 0))))
            (call $report (call $create_config)))"#,
    );
    assert_eq!(world.reports(), [0, 4_294_967_295, 0, 0, 0, 0, 1]);
}

#[test]
fn what_is_set_can_be_read_back() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (drop (call $create_config))
            (call $config_set_max_memory (i64.const 0) (i64.const 65536))
            (call $config_set_max_fuel (i64.const 0) (i64.const 7))
            (call $config_set_can_compile_modules (i64.const 0) (i32.const 1))
            (call $config_set_can_create_configs (i64.const 0) (i32.const -1))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 256))
            (call $report (call $config_get_max_memory (i64.const 0)))
            (call $report (call $config_get_max_fuel (i64.const 0)))
            (call $report (i64.extend_i32_u (call $config_can_compile_modules (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_create_configs (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_spawn_processes (i64.const 0))))
            (call $config_set_max_fuel (i64.const 0) (i64.const 0))
            (call $config_set_can_compile_modules (i64.const 0) (i32.const 0))
            (call $config_set_can_create_configs (i64.const 0) (i32.const 0))
            (call $config_set_can_spawn_processes (i64.const 0) (i32.const 0))
            (call $report (call $config_get_max_fuel (i64.const 0)))
            (call $report (i64.extend_i32_u (call $config_can_compile_modules (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_create_configs (i64.const 0))))
            (call $report (i64.extend_i32_u (call $config_can_spawn_processes (i64.const 0)))))"#,
    );
    assert_eq!(world.reports(), [65536, 7, 1, 1, 1, 0, 0, 0, 0]);
}

/// Every function on configs, for one id. The first argument says which.
const ON_ID: &str = r#"
    (memory (export "memory") 1)
    (func (export "drop") (param i64) (call $drop_config (local.get 0)))
    (func (export "set memory") (param i64)
        (call $config_set_max_memory (local.get 0) (i64.const 1)))
    (func (export "get memory") (param i64) (drop (call $config_get_max_memory (local.get 0))))
    (func (export "set fuel") (param i64)
        (call $config_set_max_fuel (local.get 0) (i64.const 1)))
    (func (export "get fuel") (param i64) (drop (call $config_get_max_fuel (local.get 0))))
    (func (export "can compile") (param i64)
        (drop (call $config_can_compile_modules (local.get 0))))
    (func (export "set compile") (param i64)
        (call $config_set_can_compile_modules (local.get 0) (i32.const 0)))
    (func (export "can create") (param i64)
        (drop (call $config_can_create_configs (local.get 0))))
    (func (export "set create") (param i64)
        (call $config_set_can_create_configs (local.get 0) (i32.const 0)))
    (func (export "can spawn") (param i64)
        (drop (call $config_can_spawn_processes (local.get 0))))
    (func (export "set spawn") (param i64)
        (call $config_set_can_spawn_processes (local.get 0) (i32.const 0)))"#;

// ABI §22.6
#[test]
fn unknown_ids_trap_and_minus_1_is_one_of_them() {
    let world = World::new();
    let module = world.load(ON_ID);
    for export in [
        "drop",
        "set memory",
        "get memory",
        "set fuel",
        "get fuel",
        "can compile",
        "set compile",
        "can create",
        "set create",
        "can spawn",
        "set spawn",
    ] {
        for id in [0, 1, -1] {
            let root = Root::new(export).params([lunatic_cli::Value::I64(id)]);
            let process = world.root(&module, root).unwrap();
            assert_failed(&process, "no config with id");
        }
    }
}

#[test]
fn without_the_rights_there_is_no_config_and_no_module() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $report (call $create_config))
            (i64.store (i32.const 0x100) (i64.const 77))
            (call $report (i64.extend_i32_s (call $compile_module
                (i32.const 0) (i32.const 0) (i32.const 0x100))))
            (call $report (i64.load (i32.const 0x100))))"#,
    );
    assert_normal(&world.spawn_with(&module, "main", ProcessConfig::default()));
    assert_eq!(world.reports(), [-1, -1, 77]);
}

// ABI §21 B1
#[test]
fn a_right_that_one_has_not_cannot_be_granted() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "compile")
            (call $config_set_can_compile_modules (call $create_config) (i32.const 1)))
        (func (export "spawn")
            (call $config_set_can_spawn_processes (call $create_config) (i32.const 1)))
        (func (export "create")
            (call $config_set_can_create_configs (call $create_config) (i32.const 1)))
        (func (export "deny")
            (call $config_set_can_compile_modules (call $create_config) (i32.const 0)))"#,
    );
    let creator = ProcessConfig {
        can_create_configs: true,
        ..ProcessConfig::default()
    };
    for export in ["compile", "spawn"] {
        let process = world.spawn_with(&module, export, creator.clone());
        assert_failed(&process, "permission denied");
    }
    assert_normal(&world.spawn_with(&module, "create", creator.clone()));
    assert_normal(&world.spawn_with(&module, "deny", creator));
}

// ABI §21 B1
#[test]
fn limits_are_cut_to_ones_own() {
    let world = World::new();
    let module = world.load(
        r#"(func $tell
            (call $report (call $config_get_max_memory (i64.const 0)))
            (call $report (call $config_get_max_fuel (i64.const 0))))
        (func (export "main")
            (drop (call $create_config))
            (call $tell)
            (call $config_set_max_memory (i64.const 0) (i64.const 65536))
            (call $config_set_max_fuel (i64.const 0) (i64.const 5))
            (call $tell)
            (call $config_set_max_memory (i64.const 0) (i64.const -1))
            (call $config_set_max_fuel (i64.const 0) (i64.const 1001))
            (call $tell)
            ;; No limit is more than any limit.
            (call $config_set_max_fuel (i64.const 0) (i64.const 0))
            (call $tell))"#,
    );
    assert_normal(&world.spawn_with(&module, "main", limited()));
    let own = [1 << 20, 1000];
    assert_eq!(world.reports(), own);
    assert_eq!(world.reports(), [65536, 5]);
    assert_eq!(world.reports(), own);
    assert_eq!(world.reports(), own);
}

#[test]
fn a_child_with_a_new_config_may_nothing_and_takes_its_linked_parent_along() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (drop (call $spawn_with (i64.const 1) (call $create_config) @child))
            (call $sleep))
        (func (export "child")
            (call $report (call $create_config))
            (drop (call $spawn_own (i64.const 0) @grandchild)))
        (func (export "grandchild") (call $report (i64.const 42)))"#,
    );
    world.fails(&module, "main", "the linked process");
    assert_eq!(world.report(), -1);
    world.no_more_reports();
}

#[test]
fn a_child_has_the_rights_it_was_granted() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $config i64)
            (local.set $config (call $create_config))
            (call $config_set_can_spawn_processes (local.get $config) (i32.const 1))
            (call $config_set_can_create_configs (local.get $config) (i32.const 1))
            (call $await (call $spawn_with (i64.const 1) (local.get $config) @child)))
        (func (export "child")
            (call $report (call $create_config))
            (call $await (call $spawn_own (i64.const 1) @grandchild)))
        (func (export "grandchild") (call $report (i64.const 42)))"#,
    );
    assert_eq!(world.reports(), [0, 42]);
}

#[test]
fn minus_1_shares_everything_with_the_child() {
    let world = World::new();
    let mut config = Config {
        process: limited(),
        ..Config::default()
    };
    config.wasi_mut().add_arg("name").unwrap();
    config.wasi_mut().add_env("KEY", "value").unwrap();
    let module = world.load(
        r#"(func (export "main")
            (call $await (call $spawn_own (i64.const 1) @child)))
        (func (export "child")
            (drop (call $create_config))
            (call $report (call $config_get_max_memory (i64.const 0)))
            (drop (call $args_sizes_get (i32.const 0x100) (i32.const 0x104)))
            (call $report (i64.load32_u (i32.const 0x100)))
            (drop (call $environ_sizes_get (i32.const 0x100) (i32.const 0x104)))
            (call $report (i64.load32_u (i32.const 0x100))))"#,
    );
    let process = world.root(&module, Root::new("main").config(config));
    assert_normal(&process.unwrap());
    assert_eq!(world.reports(), [1 << 20, 1, 1]);
}

#[test]
fn a_new_config_has_no_arguments_environment_or_directories() {
    let world = World::new();
    let mut config = Config::trusted();
    config.wasi_mut().add_arg("name").unwrap();
    config.wasi_mut().add_env("KEY", "value").unwrap();
    let module = world.load(
        r#"(func (export "main")
            (call $await (call $spawn_with (i64.const 1) (call $create_config) @child)))
        (func (export "child")
            (drop (call $args_sizes_get (i32.const 0x100) (i32.const 0x104)))
            (call $report (i64.load32_u (i32.const 0x100)))
            (drop (call $environ_sizes_get (i32.const 0x100) (i32.const 0x104)))
            (call $report (i64.load32_u (i32.const 0x100)))
            (call $report (i64.extend_i32_u
                (call $fd_prestat_get (i32.const 3) (i32.const 0x100)))))"#,
    );
    let process = world.root(&module, Root::new("main").config(config));
    assert_normal(&process.unwrap());
    const BAD_DESCRIPTOR: i64 = 8;
    assert_eq!(world.reports(), [0, 0, BAD_DESCRIPTOR]);
}

#[test]
fn a_child_keeps_the_config_it_was_spawned_with() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main") (local $config i64) (local $child i64)
            (local.set $config (call $create_config))
            (call $config_set_can_create_configs (local.get $config) (i32.const 1))
            (local.set $child (call $spawn_with (i64.const 1) (local.get $config) @child))
            (call $config_set_can_create_configs (local.get $config) (i32.const 0))
            (call $drop_config (local.get $config))
            (call $post (i64.const 0) (i64.const 0) (local.get $child))
            (call $await (local.get $child)))
        (func (export "child")
            (drop (call $next))
            (call $report (call $create_config)))"#,
    );
    assert_eq!(world.report(), 0);
}

#[test]
fn the_configs_of_a_process_are_not_those_of_its_child() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (drop (call $create_config))
            (drop (call $spawn_own (i64.const 1) @child))
            (call $sleep))
        (func (export "child") (call $drop_config (i64.const 0)))"#,
    );
    world.fails(&module, "main", "the linked process");
}
