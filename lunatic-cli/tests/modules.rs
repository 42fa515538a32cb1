//! Modules that guests compile (ABI §3.1).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::World;
use lunatic_cli::{Root, State, Value};
use lunatic_mailbox::{Message, MessageResource, Wanted, WireMessage};
use lunatic_process::SpawnOptions;
use lunatic_process::guest::{DecodeModuleError, GuestModule};
use lunatic_testkit::wait;

/// Compiles what is given, and reports the result and the id.
const COMPILES: &str = r#"
    (func (export "main")
        (call $report (i64.extend_i32_s (call $compile_module
            (i32.const 0x1000) (call $given (i32.const 0x1000)) (i32.const 0x100))))
        (call $report (i64.load (i32.const 0x100))))"#;

#[test]
fn text_and_binary_are_compiled() {
    let world = World::new();
    let module = world.load(COMPILES);
    // The empty module.
    world.give(*b"\0asm\x01\0\0\0");
    world.run(&module, "main");
    assert_eq!(world.reports(), [0, 0]);
    world.give("(module)");
    world.run(&module, "main");
    assert_eq!(world.reports(), [0, 0]);
}

#[test]
fn what_is_wrong_with_a_module_is_result_1_and_an_error() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main")
            (call $report (i64.extend_i32_s (call $compile_module
                (i32.const 0x1000) (call $given (i32.const 0x1000)) (i32.const 0x100))))
            (call $say_error (i64.load (i32.const 0x100))))"#,
    );
    let cases: [(&[u8], &str); 6] = [
        (b"", "neither a wasm module nor its text format"),
        (b"\0asm", "not valid"),
        (b"(module (func i32.const 0))", "not valid"),
        (b"(module (nonsense))", "text format is wrong"),
        (
            b"(module (import \"lunatic::process\" \"fork\" (func)))",
            "unknown import: `lunatic::process::fork` has not been defined",
        ),
        (
            b"(module (import \"lunatic::process\" \"kill\" (func)))",
            "incompatible import type for `lunatic::process::kill`",
        ),
    ];
    for (given, text) in cases {
        world.give(given);
        world.run(&module, "main");
        assert_eq!(world.report(), 1, "{text}");
        let said = world.text();
        assert!(said.contains(text), "no {text:?} in {said:?}");
    }
}

#[test]
fn a_dropped_error_is_unknown() {
    let world = World::new();
    let module = world.load(
        r#"(func $fails_to_compile
            (drop (call $compile_module (i32.const 0) (i32.const 0) (i32.const 0x100))))
        (func (export "size")
            (call $fails_to_compile)
            (call $error_drop (i64.const 0))
            (drop (call $error_string_size (i64.const 0))))
        (func (export "text")
            (call $error_to_string (i64.const 0) (i32.const 0)))
        (func (export "drop")
            (call $error_drop (i64.const -1)))
        (func (export "far")
            (call $fails_to_compile)
            (call $error_to_string (i64.const 0) (i32.const 0xffff)))"#,
    );
    for export in ["size", "text", "drop"] {
        world.fails(&module, export, "no error with id");
    }
    world.fails(&module, "far", "outside of the memory");
}

#[test]
fn a_dropped_module_is_unknown_and_its_id_is_not_used_again() {
    let world = World::new();
    world.give("(module)");
    let module = world.load(
        r#"(func (export "main")
            (call $report (call $compile_given))
            (call $drop_module (i64.const 0))
            (call $report (call $compile_given))
            (call $drop_module (i64.const 0)))"#,
    );
    world.fails(&module, "main", "no module with id 0");
    assert_eq!(world.reports(), [0, 1]);
}

// ABI §21 A3
#[test]
fn a_length_beyond_memory_traps() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "length")
            (drop (call $compile_module (i32.const 0) (i32.const -1) (i32.const 0x100))))
        (func (export "id")
            (drop (call $compile_module (i32.const 0) (i32.const 0) (i32.const 0xfff9))))"#,
    );
    for export in ["length", "id"] {
        world.fails(&module, export, "outside of the memory");
    }
}

#[test]
fn what_a_process_runs_is_kept_when_its_module_is_dropped() {
    let world = World::new();
    world.give(harness::module(
        r#"(func (export "child")
            (call $sleep_ms (i64.const 5))
            ;; Its own module is the given one.
            (drop (call $spawn_own (i64.const 1) @grandchild))
            (call $sleep_ms (i64.const 5)))
        (func (export "grandchild") (call $report (i64.const 42)))"#,
    ));
    world.run_main(
        r#"(func (export "main") (local $module i64)
            (local.set $module (call $compile_given))
            (call $ok (call $spawn (i64.const 1) (i64.const -1) (local.get $module)
                @child (i32.const 0) (i32.const 0) (i32.const 0x100)))
            (call $drop_module (local.get $module))
            (call $await (i64.load (i32.const 0x100))))"#,
    );
    assert_eq!(world.report(), 42);
}

#[test]
fn a_module_crosses_to_another_node_as_its_hash() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (param $to i64)
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $push_module (i64.const -1)))
            (drop (call $send (local.get $to))))"#,
    );
    let (sender, wires) = async_channel::bounded(1);
    let receives = world
        .runtime
        .environment()
        .spawn(SpawnOptions::default(), move |mut own| async move {
            let message = own.mailbox.receive(Wanted::Any).await;
            let Message::Data(data) = message else {
                panic!("{message:?} is no data message");
            };
            let wire = data.to_wire().unwrap();
            sender.send(postcard::to_allocvec(&wire).unwrap()).await?;
            Ok(())
        })
        .unwrap();
    let to = Value::I64(receives.id().to_bits() as i64);
    world.root(&module, Root::new("main").params([to])).unwrap();
    let bytes = wait("the message", wires.recv()).unwrap();

    let decode = |known: bool| {
        let wire: WireMessage = postcard::from_bytes(&bytes).unwrap();
        wire.into_message(|encoded| {
            assert_eq!(encoded.kind, "module");
            let find = |hash| (known && hash == module.hash()).then(|| module.clone());
            let decoded = GuestModule::<State>::decode(&encoded, find)?;
            Ok::<Box<dyn MessageResource>, DecodeModuleError>(Box::new(decoded))
        })
    };
    let mut arrived = decode(true).unwrap();
    let mut shared = arrived.shared().unwrap();
    assert!(shared.take::<GuestModule<State>>(0).is_some());
    assert!(arrived.take::<GuestModule<State>>(0).is_some());
    let unknown = DecodeModuleError::Unknown(module.hash());
    assert_eq!(decode(false).unwrap_err(), unknown);
}
