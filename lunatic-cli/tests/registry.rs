//! NameScope for processes, and `get_or_spawn` (ABI §7, §3.3).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{World, assert_failed, assert_normal, send};
use lunatic_process::ProcessConfig;

/// Looks a name up and reports the result, node and process; both are -1 before.
const LOOK_UP: &str = r#"
    (func $look_up (param $name i32) (param $length i32)
        (i64.store (i32.const 0x100) (i64.const -1))
        (i64.store (i32.const 0x108) (i64.const -1))
        (call $report (i64.extend_i32_u (call $registry_get
            (local.get $name) (local.get $length) (i32.const 0x100) (i32.const 0x108))))
        (call $report (i64.load (i32.const 0x100)))
        (call $report (i64.load (i32.const 0x108))))"#;

/// Calls `get_or_spawn` for the name `service`, and reports the result, node and
/// process.
const GET_OR_SPAWN: &str = r#"
    (func $get_or_spawn_service (param $link i64) (param $entry i32) (param $length i32)
        (i64.store (i32.const 0x100) (i64.const -1))
        (i64.store (i32.const 0x108) (i64.const -1))
        (call $report (i64.extend_i32_u (call $get_or_spawn @service
            (local.get $link) (i64.const -1) (i64.const -1)
            (local.get $entry) (local.get $length) (i32.const 0) (i32.const 0)
            (i32.const 0x100) (i32.const 0x108))))
        (call $report (i64.load (i32.const 0x100)))
        (call $report (i64.load (i32.const 0x108))))"#;

fn guest(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn a_name_is_found_until_it_is_removed() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main")
            (call $look_up @name)
            (call $registry_put @name (i64.const 0) (call $process_id))
            (call $look_up @name)
            (call $registry_remove @name)
            (call $registry_remove @name)
            (call $look_up @name))"#,
    ]));
    assert_eq!(world.reports(), [1, -1, -1, 0, 0, 1, 1, -1, -1]);
}

#[test]
fn the_last_put_counts() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main") (local $child i64)
            (local.set $child (call $spawn_own (i64.const 1) @child))
            (call $registry_put @name (i64.const 0) (call $process_id))
            (call $registry_put @name (i64.const 0) (local.get $child))
            (call $look_up @name)
            (call $report (local.get $child)))
        (func (export "child") (call $sleep))"#,
    ]));
    let [found, node, process, child] = world.reports();
    assert_eq!([found, node, process], [0, 0, child]);
}

#[test]
fn a_name_may_be_of_another_node() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main")
            ;; The id says on which node it is: 7 << 44 | 1000000.
            (call $registry_put @name (i64.const 7) (i64.const 123145303310912))
            (call $look_up @name)
            ;; One without a node number is of the node that is named.
            (call $registry_put @name (i64.const 7) (i64.const 1000000))
            (call $look_up @name))"#,
    ]));
    let id = 7 << 44 | 1_000_000;
    assert_eq!(world.reports(), [0, 7, id, 0, 7, id]);
}

#[test]
fn an_empty_name_is_a_name() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main")
            (call $registry_put (i32.const 0) (i32.const 0) (i64.const 0) (call $process_id))
            (call $look_up (i32.const 0) (i32.const 0)))"#,
    ]));
    assert_eq!(world.reports(), [0, 0, 1]);
}

// ABI §21 C9
#[test]
fn a_name_ends_with_its_process_before_its_links_are_told() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main") (local $child i64)
            (call $die_when_link_dies (i32.const 0))
            (local.set $child (call $spawn_own (i64.const 5) @child))
            (call $registry_put @name (i64.const 0) (local.get $child))
            (call $kill (local.get $child))
            (drop (call $next))
            (call $look_up @name)
            ;; The dead are given no name either.
            (call $registry_put @name (i64.const 0) (local.get $child))
            (call $look_up @name))
        (func (export "child") (call $sleep))"#,
    ]));
    assert_eq!(world.reports(), [1, -1, -1, 1, -1, -1]);
}

#[test]
fn children_share_the_registry_and_roots_do_not() {
    let world = World::new();
    let module = world.load(&guest(&[
        LOOK_UP,
        r#"(func (export "main")
            (call $registry_put @name (i64.const 0) (call $process_id))
            (drop (call $spawn_own (i64.const 1) @child))
            (drop (call $next)))
        (func (export "child") (call $look_up @name))"#,
    ]));
    let main = world.spawn(&module, "main");
    assert_eq!(world.reports(), [0, 0, main.id().to_bits() as i64]);
    world.run(&module, "child");
    assert_eq!(world.reports(), [1, -1, -1]);
    send(&main, 0, b"");
    assert_normal(&main);
}

#[test]
fn bad_addresses_and_text_trap() {
    let world = World::new();
    let module = world.load(
        r#"(data (i32.const 0x200) "\ff")
        (func (export "put") (call $registry_put
            (i32.const 0xffff) (i32.const 2) (i64.const 0) (i64.const 1)))
        (func (export "get") (drop (call $registry_get
            (i32.const 0xffff) (i32.const 2) (i32.const 0) (i32.const 0))))
        (func (export "remove") (call $registry_remove (i32.const 0xffff) (i32.const 2)))
        (func $get_to (param $node i32) (param $process i32)
            (call $registry_put @name (i64.const 0) (call $process_id))
            (drop (call $registry_get @name (local.get $node) (local.get $process))))
        (func (export "node") (call $get_to (i32.const 0xfff9) (i32.const 0)))
        (func (export "process") (call $get_to (i32.const 0) (i32.const 0xfff9)))
        (func $or_spawn (param i32 i32 i32 i32)
            (drop (call $get_or_spawn (local.get 0) (local.get 1)
                (i64.const 0) (i64.const -1) (i64.const -1)
                @child (i32.const 0) (i32.const 0) (local.get 2) (local.get 3))))
        (func (export "or spawn name") (call $or_spawn
            (i32.const 0xffff) (i32.const 2) (i32.const 0) (i32.const 0)))
        (func (export "or spawn node") (call $or_spawn
            @name (i32.const 0xfff9) (i32.const 0)))
        (func (export "or spawn id") (call $or_spawn
            @name (i32.const 0) (i32.const 0xfff9)))
        (func (export "put text") (call $registry_put
            (i32.const 0x200) (i32.const 1) (i64.const 0) (i64.const 1)))
        (func (export "get text") (drop (call $registry_get
            (i32.const 0x200) (i32.const 1) (i32.const 0) (i32.const 0))))
        (func (export "remove text") (call $registry_remove (i32.const 0x200) (i32.const 1)))
        (func (export "or spawn text") (call $or_spawn
            (i32.const 0x200) (i32.const 1) (i32.const 0) (i32.const 0)))
        (func (export "child") (call $report (i64.const 1)))"#,
    );
    for export in [
        "put",
        "get",
        "remove",
        "node",
        "process",
        "or spawn name",
        "or spawn node",
        "or spawn id",
    ] {
        world.fails(&module, export, "outside of the memory");
    }
    for export in ["put text", "get text", "remove text", "or spawn text"] {
        world.fails(&module, export, "not UTF-8");
    }
    world.no_more_reports();
}

#[test]
fn get_or_spawn_spawns_once() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        GET_OR_SPAWN,
        r#"(func (export "main")
            (call $get_or_spawn_service (i64.const 1) @child)
            (call $get_or_spawn_service (i64.const 1) @child)
            (call $look_up @service))
        (func (export "child") (call $sleep))"#,
    ]));
    let [first, second, found]: [[i64; 3]; 3] = std::array::from_fn(|_| world.reports());
    let child = first[2];
    assert!(child > 1, "{child}");
    assert_eq!(first, [0, 0, child]);
    assert_eq!(second, [2, 0, child]);
    assert_eq!(found, [0, 0, child]);
}

#[test]
fn getting_a_name_that_is_taken_needs_no_right_and_makes_no_link() {
    let world = World::new();
    let module = world.load(&guest(&[
        GET_OR_SPAWN,
        r#"(func (export "main") (local $service i64)
            (local.set $service (call $spawn_own (i64.const 0) @service))
            (call $registry_put @service (i64.const 0) (local.get $service))
            (call $await (call $spawn_with (i64.const 1) (call $create_config) @child)))
        (func (export "child")
            (call $get_or_spawn_service (i64.const 7) @service)
            (call $kill (i64.load (i32.const 0x108)))
            (call $sleep_ms (i64.const 5))
            (call $report (i64.const 42)))
        (func (export "service") (call $sleep))"#,
    ]));
    world.run(&module, "main");
    let [result, node, _, alive] = world.reports();
    assert_eq!([result, node, alive], [2, 0, 42]);
}

#[test]
fn spawning_for_a_name_that_is_free_needs_the_right() {
    let world = World::new();
    let module = world.load(&guest(&[
        GET_OR_SPAWN,
        r#"(func (export "main") (call $get_or_spawn_service (i64.const 0) @child))
        (func (export "child"))"#,
    ]));
    let process = world.spawn_with(&module, "main", ProcessConfig::default());
    assert_failed(&process, "permission denied");
}

#[test]
fn the_link_of_get_or_spawn_is_that_of_spawn() {
    let world = World::new();
    world.run_main(&guest(&[
        GET_OR_SPAWN,
        r#"(func (export "main")
            (call $die_when_link_dies (i32.const 0))
            (call $get_or_spawn_service (i64.const 7) @child)
            (call $report (i64.extend_i32_u (call $next)))
            (call $report (call $get_tag)))
        (func (export "child") unreachable)"#,
    ]));
    let [_, _, _, kind, tag] = world.reports();
    assert_eq!([kind, tag], [1, 7]);
}

/// A start function that calls `$start` in every process but the first.
const CHILDREN_START: &str = r#"
    (start $first)
    (func $first
        (if (i64.eq (call $setting) (i64.const 1)) (then (call $start))))"#;

// ABI §21 C4
#[test]
fn a_name_whose_process_did_not_start_is_free() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        GET_OR_SPAWN,
        CHILDREN_START,
        r#"(func $start unreachable)
        (func (export "main")
            (call $set (i64.const 1))
            (call $get_or_spawn_service (i64.const 7) @child)
            (call $say_error (i64.load (i32.const 0x108)))
            (call $look_up @service)
            (call $set (i64.const 0))
            (call $get_or_spawn_service (i64.const 7) @child))
        (func (export "child") (call $sleep))"#,
    ]));
    assert!(world.text().contains("unreachable"));
    let [failed, found, spawned]: [[i64; 3]; 3] = std::array::from_fn(|_| world.reports());
    assert_eq!(failed, [1, 0, 0], "node and the id of the first error");
    assert_eq!(found, [1, -1, -1]);
    assert_eq!(spawned[0], 0);
}

#[test]
fn a_name_whose_process_cannot_be_made_is_free() {
    let world = World::new();
    world.give("(module (memory 4) (func (export \"child\")))");
    world.run_main(&guest(&[
        LOOK_UP,
        r#"(func (export "main") (local $config i64)
            (local.set $config (call $create_config))
            (call $config_set_max_memory (local.get $config) (i64.const 65536))
            (call $report (i64.extend_i32_u (call $get_or_spawn @service
                (i64.const 7) (local.get $config) (call $compile_given)
                @child (i32.const 0) (i32.const 0)
                (i32.const 0x100) (i32.const 0x108))))
            (call $say_error (i64.load (i32.const 0x108)))
            (call $look_up @service))"#,
    ]));
    assert!(world.text().contains("exceeds memory limits"));
    assert_eq!(world.reports(), [1, 1, -1, -1]);
}

// ABI §21 C12
#[test]
fn the_start_function_of_who_is_spawned_for_a_name_can_use_the_registry() {
    let world = World::new();
    world.run_main(&guest(&[
        LOOK_UP,
        GET_OR_SPAWN,
        CHILDREN_START,
        r#"(func $start
            (call $registry_put @other (i64.const 0) (call $process_id))
            (call $look_up @service)
            (call $registry_remove @other))
        (func (export "main")
            (call $set (i64.const 1))
            (call $get_or_spawn_service (i64.const 7) @child))
        (func (export "child") (call $sleep))"#,
    ]));
    let [inside, outside]: [[i64; 3]; 2] = std::array::from_fn(|_| world.reports());
    assert_eq!(inside[0], 0, "the name is held while its process starts");
    assert_eq!(outside, [0, 0, inside[2]]);
}

// ABI §21 C12
#[test]
fn the_registry_is_free_while_a_start_function_runs_for_ever() {
    let world = World::new();
    let module = world.load(&guest(&[
        LOOK_UP,
        GET_OR_SPAWN,
        CHILDREN_START,
        r#"(func $start (call $report (i64.const 42)) (call $spin))
        (func (export "main")
            (drop (call $spawn_own (i64.const 0) @caller))
            (drop (call $next))
            (call $registry_put @name (i64.const 0) (call $process_id))
            (call $look_up @name)
            ;; The name is held; nobody waits for the process.
            (call $get_or_spawn_service (i64.const 0) @child))
        (func (export "caller")
            (call $set (i64.const 1))
            (call $get_or_spawn_service (i64.const 0) @child))
        (func (export "child"))"#,
    ]));
    let main = world.spawn(&module, "main");
    assert_eq!(world.report(), 42);
    send(&main, 0, b"");
    assert_normal(&main);
    let [found, _, _, taken, node, _] = world.reports();
    assert_eq!([found, taken, node], [0, 2, 0]);
}

#[test]
fn of_many_that_get_or_spawn_at_once_one_spawns() {
    const CALLERS: usize = 50;
    let world = World::new();
    let module = world.load(&guest(&[
        GET_OR_SPAWN,
        r#"(func (export "main") (local $rest i32)
            (local.set $rest (i32.const 50))
            (loop $again
                (drop (call $spawn_own (i64.const 0) @caller))
                (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
            (drop (call $next)))
        (func (export "caller") (call $get_or_spawn_service (i64.const 0) @child))
        (func (export "child") (call $sleep))"#,
    ]));
    let main = world.spawn(&module, "main");
    // Three numbers of each caller, in any order: result, node, process.
    let numbers: Vec<_> = (0..CALLERS * 3).map(|_| world.report()).collect();
    let process = *numbers.iter().max().unwrap();
    let count = |wanted| numbers.iter().filter(|number| **number == wanted).count();
    assert_eq!(count(process), CALLERS);
    assert_eq!(count(2), CALLERS - 1);
    send(&main, 0, b"");
}

// ABI §21 A4
#[test]
fn a_name_has_a_longest_length() {
    let world = World::new();
    let module = world.load(&guest(&[r#"(memory (export "memory") 2)
        (func (export "longest") (call $registry_put
            (i32.const 0) (i32.const 1024) (i64.const 0) (call $process_id)))
        (func (export "longer") (call $registry_put
            (i32.const 0) (i32.const 1025) (i64.const 0) (call $process_id)))
        ;; A byte that is not UTF-8 is behind the limit: it is not looked at.
        (data (i32.const 65535) "\ff")
        (func (export "huge") (call $registry_put
            (i32.const 0) (i32.const 65536) (i64.const 0) (call $process_id)))
        (func (export "nobody")
            (if (i32.ne (i32.const 1) (call $registry_get
                (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const 8)))
                (then unreachable))
            (call $registry_remove (i32.const 0) (i32.const 65536)))"#]));
    world.run(&module, "longest");
    world.fails(&module, "longer", "longer than the 1024");
    world.fails(&module, "huge", "longer than the 1024");
    world.run(&module, "nobody");
}
