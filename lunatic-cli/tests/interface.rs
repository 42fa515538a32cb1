//! Which imports are satisfied, and what is said of those that are not.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::World;
use harness::interface::{import, import_as, interface};
use lunatic_engine::{ImportProblem, LoadError};
use lunatic_process::guest::SET_MAX_FUEL;

/// A module that imports what it is told to and nothing else.
fn importer(imports: &str) -> String {
    format!("(module {imports} (memory (export \"memory\") 1))")
}

fn problems(world: &World, imports: &str) -> Vec<ImportProblem> {
    match world.try_load(&importer(imports)) {
        Err(LoadError::Imports(problems)) => problems,
        other => panic!("expected import problems, got {other:?}"),
    }
}

#[test]
fn every_function_of_the_interface_links_with_exactly_its_type() {
    let world = World::new();
    let imports: String = interface().map(|function| import(function, "")).collect();
    world.try_load(&importer(&imports)).unwrap();
}

#[test]
fn every_function_is_offered_with_no_other_type() {
    let world = World::new();
    for function in interface() {
        let ty = function.type_use();
        let one_more = format!("(param i64) {ty}");
        let found = problems(&world, &import_as(function, &one_more));
        let [problem] = &found[..] else {
            panic!("{function:?}: {found:?}");
        };
        let offered = format!("(func {ty})").replace(" )", ")");
        assert_eq!(problem.offered, Some(offered), "{function:?}");
    }
}

#[test]
fn the_namespaces_have_as_many_functions_as_the_interface() {
    // ABI §1.1 and §14.1, without certificates (3).
    let count = |namespace: &str| {
        interface()
            .filter(|function| function.namespace == namespace)
            .count()
    };
    assert_eq!(count("lunatic::process"), 26 + 1 + 7 + 2); // ABI §25, §26 and §31.
    assert_eq!(count("lunatic::message"), 18 + 1); // ABI §32.
    assert_eq!(count("lunatic::networking"), 49);
    // ABI §23, §24 and §29.
    assert_eq!(count("lunatic::global"), 3);
    assert_eq!(count("lunatic::supervisor"), 19);
    assert_eq!(count("lunatic::group"), 11);
    assert_eq!(count("lunatic::distributed"), 12 - 3 + 6); // ABI §30.
    assert_eq!(count("wasi_snapshot_preview1"), 46);
}

#[test]
fn the_function_that_decides_how_a_module_is_compiled_is_offered() {
    let set_max_fuel =
        interface().find(|function| (function.namespace, function.name) == SET_MAX_FUEL);
    assert!(set_max_fuel.is_some());
}

#[test]
fn all_unknown_and_mistyped_imports_are_listed() {
    let world = World::new();
    let imports = r#"
        (import "lunatic::process" "process_id" (func (result i64)))
        (import "lunatic::process" "fork" (func (param i32) (result i64)))
        (import "nowhere" "nothing" (func))
        (import "lunatic::process" "kill" (func (param i32)))
        (import "lunatic::message" "send" (global i32))"#;
    let mut found: Vec<_> = problems(&world, imports)
        .into_iter()
        .map(|problem| (problem.name, problem.wanted, problem.offered))
        .collect();
    found.sort();
    let expected = [
        ("fork", "(func (param i32) (result i64))", None),
        ("kill", "(func (param i32))", Some("(func (param i64))")),
        ("nothing", "(func)", None),
        ("send", "global", None),
    ];
    let expected = expected.map(|(name, wanted, offered)| {
        (
            name.to_string(),
            wanted.to_string(),
            offered.map(str::to_string),
        )
    });
    assert_eq!(found, expected);
}

#[test]
fn a_problem_is_worded_as_guests_know_it() {
    let world = World::new();
    let error = world.try_load(&importer(
        r#"(import "lunatic::process" "fork" (func))
        (import "lunatic::process" "kill" (func (param i32)))"#,
    ));
    let text = error.unwrap_err().to_string();
    for part in [
        "unknown import: `lunatic::process::fork` has not been defined",
        "incompatible import type for `lunatic::process::kill`",
    ] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn preview_0_is_not_offered() {
    let world = World::new();
    let import = r#"(import "wasi_unstable" "proc_exit" (func (param i32)))"#;
    assert_eq!(problems(&world, import).len(), 1);
}

#[test]
fn the_version_is_that_of_the_interface() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $major)))
            (call $report (i64.extend_i32_u (call $minor)))
            (call $report (i64.extend_i32_u (call $patch))))"#,
    );
    assert_eq!(world.reports(), [0, 13, 2]);
}

#[test]
fn a_node_that_is_alone_is_node_0_and_knows_no_other() {
    let world = World::new();
    world.run_main(
        r#"(func (export "main")
            (call $report (i64.extend_i32_u (call $distributed_nodes_count)))
            (call $report (i64.extend_i32_u (call $distributed_get_nodes (i32.const 0) (i32.const 8))))
            (call $report (call $distributed_node_id))
            (call $report (call $distributed_module_id)))"#,
    );
    assert_eq!(world.reports(), [0, 0, 0, 0]);
}

#[test]
fn what_needs_another_node_traps() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "send")
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $distributed_send (i64.const 1) (i64.const 1))))
        (func (export "request")
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $distributed_send_receive_skip_search
                (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 0))))
        (func (export "spawn")
            (drop (call $distributed_spawn (i64.const 1) (i64.const -1) (i64.const 1)
                @child (i32.const 0) (i32.const 0) (i32.const 0))))
        (func (export "look")
            (drop (call $distributed_exec_lookup_nodes
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
        (func (export "copy")
            (drop (call $distributed_copy_lookup_nodes_results
                (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))"#,
    );
    for export in ["send", "request", "spawn", "look", "copy"] {
        world.fails(&module, export, "not part of a distributed system");
    }
}
