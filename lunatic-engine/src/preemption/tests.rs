//! Modules do the same after they were rewritten, and have enough points of preemption.

#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![expect(clippy::disallowed_methods, reason = "functions for tests")]

use std::borrow::Cow;

use proptest::prelude::*;
use wasmtime::{Config, Engine, Linker, Module, Store, Trap, UpdateDeadline, Val};

use crate::preemption::{self, BUDGET, FIRST_BUDGET, MIN_BUDGET, Preemption, REFILL};

/// The weight of a host call by a reference, of which these modules have many.
const HOST_CALL: u32 = 32;

/// The highest number of host calls in a row of code that has enough points of preemption.
///
/// - `by_engine`: how many there are if the engine looks at the clock at each.
fn longest_allowed(preemption: Preemption, by_engine: usize) -> usize {
    match preemption {
        Preemption::ByEngine => by_engine,
        // The host hears of no point before the first budget is used up.
        Preemption::ByPoints => (FIRST_BUDGET / HOST_CALL) as usize + by_engine,
    }
}

/// Both ways to preempt code.
const BOTH: [Preemption; 2] = [Preemption::ByEngine, Preemption::ByPoints];

/// The observations while a module ran.
#[derive(Debug, Default)]
struct Seen {
    host_calls: usize,
    /// How many points of preemption were passed.
    checks: usize,
    /// Host calls since the last point of preemption.
    run: usize,
    /// The highest number of host calls between two points of preemption.
    longest_run: usize,
}

impl Seen {
    fn pass(&mut self) {
        self.checks += 1;
        self.run = 0;
    }
}

/// A module, as it is or rewritten.
struct Instance {
    store: Store<Seen>,
    instance: wasmtime::Instance,
}

impl Instance {
    /// The module as it is.
    fn plain(wasm: &[u8]) -> Instance {
        Instance::new(wasm, Preemption::ByEngine)
    }

    /// The module rewritten.
    fn bounded(wasm: &[u8], preemption: Preemption) -> Instance {
        Instance::new(&rewritten(wasm, preemption), preemption)
    }

    fn new(wasm: &[u8], preemption: Preemption) -> Instance {
        let mut config = Config::new();
        let by_engine = preemption == Preemption::ByEngine;
        // It looks at the clock where it would count fuel.
        config.epoch_interruption(by_engine);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, wasm).unwrap();
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap("test", "call", |mut caller: wasmtime::Caller<'_, Seen>| {
                let seen = caller.data_mut();
                seen.host_calls += 1;
                seen.run += 1;
                seen.longest_run = seen.longest_run.max(seen.run);
            })
            .unwrap();
        let (namespace, name) = REFILL;
        linker
            .func_wrap(namespace, name, |mut caller: wasmtime::Caller<'_, Seen>| {
                caller.data_mut().pass();
                MIN_BUDGET.cast_signed()
            })
            .unwrap();
        let mut store = Store::new(&engine, Seen::default());
        // Every point of preemption finds that the deadline has passed.
        store.set_epoch_deadline(0);
        store.epoch_deadline_callback(|mut store| {
            store.data_mut().pass();
            Ok(UpdateDeadline::Continue(0))
        });
        let instance = linker.instantiate(&mut store, &module).unwrap();
        Instance { store, instance }
    }

    fn call(&mut self, export: &str, params: &[i32]) -> Result<Vec<i32>, Trap> {
        let function = self.instance.get_func(&mut self.store, export).unwrap();
        let params: Vec<_> = params.iter().map(|param| Val::I32(*param)).collect();
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); count];
        function
            .call(&mut self.store, &params, &mut results)
            .map(|()| results.iter().map(Val::unwrap_i32).collect())
            .map_err(|error| *error.downcast_ref::<Trap>().unwrap())
    }

    fn memory(&mut self) -> &[u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data(&self.store)
    }
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn rewritten(wasm: &[u8], preemption: Preemption) -> Vec<u8> {
    match preemption::rewrite(wasm, preemption).unwrap() {
        Cow::Owned(rewritten) => rewritten,
        Cow::Borrowed(_) => panic!("expected that the module is rewritten"),
    }
}

/// A memory of six pages, a segment of three, and every operation on them.
fn bulk_module() -> Vec<u8> {
    let segment: String = (0..3 << 16)
        .map(|at: u32| char::from(b'a' + (at % 23) as u8))
        .collect();
    wasm(&format!(
        r#"(module $app
        (memory (export "memory") 6)
        (data $segment "{segment}")
        (func (export "fill") (param i32 i32 i32)
            (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "copy") (param i32 i32 i32)
            (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init") (param i32 i32 i32) (local i64)
            (memory.init $segment (local.get 0) (local.get 1) (local.get 2)))
        (func (export "drop") (data.drop $segment)))"#
    ))
}

const MEMORY: i64 = 6 << 16;
const SEGMENT: i64 = 3 << 16;

/// Calls an export of both, and compares what it has done.
#[track_caller]
fn same(plain: &mut Instance, bounded: &mut Instance, export: &str, params: &[i32]) {
    let expected = plain.call(export, params);
    assert_eq!(
        bounded.call(export, params),
        expected,
        "{export} {params:?}"
    );
    assert!(plain.memory() == bounded.memory(), "{export} {params:?}");
}

/// Lengths around the size of a piece and of what they are a part of.
fn lengths(size: i64) -> Vec<i64> {
    let around = |length: i64| [length - 1, length, length + 1];
    let mut lengths = vec![0, 1, 100, 150_000, i64::from(u32::MAX), 1 << 31];
    lengths.extend([1 << 16, 2 << 16, size].map(around).concat());
    lengths
}

/// Places at which a range of a length begins or ends at an edge.
fn places(size: i64, length: i64) -> impl Iterator<Item = i32> {
    let places = [0, 1, size - length - 1, size - length, size - length + 1];
    let edges = [size, size + 1, (1 << 32) - length, (1 << 32) - 1];
    let places = places.into_iter().chain(edges);
    places
        .filter(|place| (0..1 << 32).contains(place))
        .map(wrapped)
}

/// The 32 bits of a number.
fn wrapped(number: i64) -> i32 {
    number as u32 as i32
}

#[test]
fn fills_do_what_they_did_at_every_edge() {
    for preemption in BOTH {
        let wasm = bulk_module();
        let (mut plain, mut bounded) =
            (Instance::plain(&wasm), Instance::bounded(&wasm, preemption));
        for (value, length) in (1..).zip(lengths(MEMORY)) {
            for place in places(MEMORY, length) {
                let params = [place, value, wrapped(length)];
                same(&mut plain, &mut bounded, "fill", &params);
            }
        }
    }
}

#[test]
fn initializations_do_what_they_did_at_every_edge_also_when_the_segment_is_dropped() {
    for preemption in BOTH {
        let wasm = bulk_module();
        let (mut plain, mut bounded) =
            (Instance::plain(&wasm), Instance::bounded(&wasm, preemption));
        for dropped in [false, true] {
            for length in lengths(SEGMENT) {
                for to in places(MEMORY, length) {
                    for from in places(SEGMENT, length) {
                        let params = [to, from, wrapped(length)];
                        same(&mut plain, &mut bounded, "init", &params);
                    }
                }
            }
            if !dropped {
                same(&mut plain, &mut bounded, "drop", &[]);
            }
        }
    }
}

#[test]
fn copies_do_what_they_did_overlapping_or_not() {
    for preemption in BOTH {
        let wasm = bulk_module();
        let (mut plain, mut bounded) =
            (Instance::plain(&wasm), Instance::bounded(&wasm, preemption));
        same(&mut plain, &mut bounded, "init", &[1000, 0, 3 << 16]);
        for length in [1, 65_537, 131_072, 200_000] {
            for distance in [0, 1, 7, 65_535, 65_536, 65_537, 150_000] {
                for (to, from) in [(5, 5 + distance), (5 + distance, 5)] {
                    same(&mut plain, &mut bounded, "copy", &[to, from, length]);
                }
            }
        }
        for length in lengths(MEMORY) {
            for to in places(MEMORY, length) {
                for from in places(MEMORY, length) {
                    let params = [to, from, wrapped(length)];
                    same(&mut plain, &mut bounded, "copy", &params);
                }
            }
        }
    }
}

#[test]
fn every_piece_of_a_bulk_operation_is_a_point_of_preemption() {
    for preemption in BOTH {
        let mut instance = Instance::bounded(&bulk_module(), preemption);
        // More than the first budget.
        instance.call("fill", &[0, 1, 6 << 16]).unwrap();
        for (export, params) in [
            ("fill", [0, 1, 6 << 16]),
            ("copy", [1, 0, 5 << 16]),
            ("copy", [0, 1, 5 << 16]),
            ("init", [0, 0, 3 << 16]),
        ] {
            instance.store.data_mut().checks = 0;
            instance.call(export, &params).unwrap();
            let checks = instance.store.data().checks;
            let pieces = params[2] >> 16;
            let expected = match preemption {
                Preemption::ByEngine => pieces,
                // Two pieces use up the least budget there is.
                Preemption::ByPoints => pieces / 2,
            };
            assert!(checks >= expected as usize, "{export}: {checks}");
        }
    }
}

#[test]
fn two_memories_are_copied_between_and_keep_apart() {
    for preemption in BOTH {
        let text = r#"(module
            (memory $a (export "memory") 4) (memory $b 3)
            (func (export "fill b") (param i32 i32 i32)
                (memory.fill $b (local.get 0) (local.get 1) (local.get 2)))
            (func (export "to b") (param i32 i32 i32)
                (memory.copy $b $a (local.get 0) (local.get 1) (local.get 2)))
            (func (export "from b") (param i32 i32 i32)
                (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2))))"#;
        let wasm = wasm(text);
        let (mut plain, mut bounded) =
            (Instance::plain(&wasm), Instance::bounded(&wasm, preemption));
        for (export, params) in [
            ("fill b", [10, 7, 150_000]),
            ("from b", [3, 4, 180_000]),
            ("fill b", [1, 8, 3 << 16]),
            ("to b", [0, 2, 190_000]),
            ("to b", [0, 2, 200_000]),
            ("from b", [60_000, 0, 3 << 16]),
            ("from b", [0, 60_000, 3 << 16]),
        ] {
            same(&mut plain, &mut bounded, export, &params);
        }
    }
}

#[test]
fn a_module_that_needs_nothing_is_the_same_bytes() {
    for preemption in BOTH {
        for fields in [
            "",
            r#"(import "test" "call" (func $call)) (func $f (call $call) (nop))"#,
            // It calls nothing, and does not take long.
            r#"(func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))"#,
            r#"(func $leaf) (func $middle (call $leaf)) (func (call $middle) (call $middle))"#,
            // No branch leads to where it begins.
            r#"(func (export "f") (loop (nop)))"#,
            // Operations of a length that is known to be small.
            "(memory 1) (func (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))",
            "(memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 8)))",
        ] {
            let wasm = wasm(&format!("(module {fields})"));
            let bounded = preemption::rewrite(&wasm, preemption).unwrap();
            assert!(matches!(bounded, Cow::Borrowed(_)), "{fields}");
        }
    }
}

/// A module whose function `f` has this body.
fn with_body(body: &str) -> Vec<u8> {
    wasm(&format!(
        r#"(module (import "test" "call" (func $call)) (type $plain (func))
        (memory (export "memory") 1) (table funcref (elem $call))
        (func $leaf)
        (func $f (export "f") {body}))"#
    ))
}

/// Returns the highest number of host calls between two points of preemption of a run.
fn longest_run(mut instance: Instance) -> (usize, usize) {
    instance.call("f", &[]).unwrap();
    let seen = instance.store.data();
    (seen.host_calls, seen.longest_run)
}

#[test]
fn many_host_calls_in_a_row_are_interrupted() {
    for preemption in BOTH {
        for (count, statement) in [
            (3000, "(call $call)"),
            (3000, "(call_indirect (type $plain) (i32.const 0))"),
            // Points of preemption that are not passed do not count.
            (300, "(if (i32.const 0) (then (loop (nop)))) (call $call)"),
            (300, "(if (i32.const 0) (then (call $leaf))) (call $call)"),
            (
                300,
                "(block (br_if 0 (i32.const 1)) (loop (nop))) (call $call)",
            ),
            (
                300,
                "(block (block (br_table 0 1 0 (i32.const 1))) (call $leaf)) (call $call)",
            ),
        ] {
            let statements = statement.repeat(count);
            for body in [
                format!("(block {statements})"),
                format!("(if (i32.const 1) (then {statements}))"),
                statements,
            ] {
                let plain = with_body(&body);
                assert_eq!(longest_run(Instance::plain(&plain)), (count, count));
                let (calls, run) = longest_run(Instance::bounded(&plain, preemption));
                assert_eq!(calls, count);
                assert!(run <= longest_allowed(preemption, 65), "{run}: {statement}");
            }
        }
    }
}

#[test]
fn returns_from_a_deep_recursion_are_interrupted() {
    for preemption in BOTH {
        let wasm = wasm(
            r#"(module (import "test" "call" (func $call)) (memory (export "memory") 1)
            (func $down (param i32)
                (if (i32.eqz (local.get 0)) (then return))
                (call $down (i32.sub (local.get 0) (i32.const 1)))
                (call $call) (call $call) (call $call))
            (func (export "f") (call $down (i32.const 1000))))"#,
        );
        let (calls, run) = longest_run(Instance::bounded(&wasm, preemption));
        assert_eq!(calls, 3000);
        assert!(run <= longest_allowed(preemption, 3), "{run}");
    }
}

#[test]
fn chains_of_tail_calls_are_interrupted() {
    for preemption in BOTH {
        for next in [
            "(return_call $odd {rest})",
            "(return_call_indirect (type $step) {rest} (i32.const 0))",
            "(return_call_ref $step {rest} (ref.func $odd))",
            "(return_call_ref $step {rest} (br_on_null $end (table.get $t (i32.const 0))))",
        ] {
            let next = next.replace("{rest}", "(i32.sub (local.get 0) (i32.const 1))");
            let wasm = wasm(&format!(
                r#"(module (import "test" "call" (func $call)) (type $step (func (param i32)))
                (table $t 1 (ref null $step)) (elem (table $t) (i32.const 0) (ref null $step)
                    (item ref.func $odd))
                (func $even (type $step)
                    (if (i32.eqz (local.get 0)) (then return))
                    (call $call)
                    (block $end {next}) (unreachable))
                (func $odd (type $step) (call $call)
                    (return_call $even (i32.sub (local.get 0) (i32.const 1))))
                (func (export "f") (call $even (i32.const 100_000))))"#
            ));
            let bounded = preemption::rewrite(&wasm, preemption).unwrap();
            let (calls, run) = longest_run(Instance::new(&bounded, preemption));
            assert_eq!(calls, 100_000);
            assert!(run <= longest_allowed(preemption, 65), "{run}: {next}");
        }
    }
}

#[test]
fn exceptions_that_are_thrown_again_by_each_function_are_interrupted() {
    for preemption in BOTH {
        let wasm = wasm(
            r#"(module (import "test" "call" (func $call)) (tag $exception)
            (func $down (param i32)
                (if (i32.eqz (local.get 0)) (then (throw $exception)))
                (block $again (result exnref)
                    (try_table (catch_all_ref $again)
                        (call $down (i32.sub (local.get 0) (i32.const 1))))
                    (unreachable))
                (call $call)
                (throw_ref))
            (func (export "f")
                (block $end (try_table (catch $exception $end) (call $down (i32.const 3000))))))"#,
        );
        let (calls, run) = longest_run(Instance::bounded(&wasm, preemption));
        assert_eq!(calls, 3000);
        assert!(run <= longest_allowed(preemption, 3), "{run}");
    }
}

#[test]
fn what_was_run_before_an_exception_counts_where_it_is_caught() {
    for preemption in BOTH {
        // Each of the two is short enough, both together are not.
        let half = "(call $call)".repeat(40);
        for thrown in [
            "(throw $exception)",
            "(call $throw)",
            "(try_table (catch $other $end) (throw $exception))",
        ] {
            let wasm = wasm(&format!(
                r#"(module (import "test" "call" (func $call)) (tag $exception) (tag $other)
                (func $throw (throw $exception))
                (func (export "f") (local $left i32) (local.set $left (i32.const 30))
                    (loop $again
                        (block $end (try_table (catch_all $end) {half} {thrown}))
                        {half}
                        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                        (br_if $again (local.get $left)))))"#
            ));
            let (calls, run) = longest_run(Instance::bounded(&wasm, preemption));
            assert_eq!(calls, 2400);
            assert!(run <= longest_allowed(preemption, 65), "{run}: {thrown}");
        }
    }
}

#[test]
fn long_arithmetic_is_interrupted() {
    for preemption in BOTH {
        let step = "(local.set 0 (i32.div_u (i32.const 7) (i32.add (local.get 0) (i32.const 1))))";
        let plain = with_body(&format!("(local i32) {}", step.repeat(30_000)));
        let mut instance = Instance::bounded(&plain, preemption);
        instance.call("f", &[]).unwrap();
        assert!(instance.store.data().checks > 5);
    }
}

#[test]
fn a_backtrace_names_the_operation_that_was_taken_out() {
    for preemption in BOTH {
        let mut instance = Instance::bounded(&bulk_module(), preemption);
        let fill = instance
            .instance
            .get_func(&mut instance.store, "fill")
            .unwrap();
        let params = [0, 0, -1].map(Val::I32);
        let error = fill
            .call(&mut instance.store, &params, &mut [])
            .unwrap_err();
        let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>().unwrap();
        // Without any name section for functions there is none for this one either.
        assert_eq!(backtrace.frames().len(), 2);

        let named = wasm(
            r#"(module $app (memory (export "memory") 1) (func $main (export "f") (param i32)
                (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))"#,
        );
        let mut instance = Instance::bounded(&named, preemption);
        let main = instance
            .instance
            .get_func(&mut instance.store, "f")
            .unwrap();
        let error = main
            .call(&mut instance.store, &[Val::I32(-1)], &mut [])
            .unwrap_err();
        let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>().unwrap();
        let names: Vec<_> = backtrace
            .frames()
            .iter()
            .map(|frame| frame.func_name())
            .collect();
        assert_eq!(names, [Some("memory.fill"), Some("main")]);
    }
}

#[test]
fn what_names_something_that_is_only_appended_is_not_valid() {
    for preemption in BOTH {
        // Each has a bulk operation, so two types, a function and a local are appended.
        let bulk = "(memory.fill (i32.const 0) (i32.const 0) (local.get 0))";
        for body in [
            "(call 1 (i32.const 0) (i32.const 0) (i32.const 0))",
            "(drop (ref.func 1))",
            "(call_indirect (type 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            "(i32.const 0) (i32.const 0) (block (type 2) (drop) (drop))",
            "(drop (local.get 1))",
            "(drop (ref.null 1))",
            "(call_ref 1 (i32.const 0) (ref.null func))",
            "(drop (block (result (ref null 1)) (unreachable)))",
            "(drop (select (result (ref null 1)) (unreachable)))",
        ] {
            let fields = format!("(memory 1) (table 1 funcref) (func (param i32) {bulk} {body})");
            let wasm = wasm(&format!("(module {fields})"));
            assert!(preemption::rewrite(&wasm, preemption).is_err(), "{body}");
        }
        let local = wasm(&format!(
            "(module (memory 1) (func (param i32) (local (ref null 1)) {bulk}))"
        ));
        assert!(preemption::rewrite(&local, preemption).is_err());
        let exported = wasm(&format!(
            r#"(module (memory 1) (func (param i32) {bulk}) (export "f" (func 1)))"#
        ));
        assert!(preemption::rewrite(&exported, preemption).is_err());
    }
}

#[test]
fn rewriting_counts_no_fuel_for_the_loops_that_it_inserts() {
    let plain = with_body(&"(call $call)".repeat(3000));
    let used = |wasm: &[u8]| {
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let module = Module::new(&engine, wasm).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(1_000_000).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("test", "call", || {}).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        f.call(&mut store, ()).unwrap();
        store.get_fuel().unwrap()
    };
    assert_eq!(used(&plain), used(&rewritten(&plain, Preemption::ByEngine)));
}

/// The text of statements, of which each ends.
fn statements() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        0..200i32,
        65_000..66_000i32,
        100_000..300_000i32,
        any::<i32>()
    ];
    const BULK: &[&str] = &["memory.fill", "memory.copy", "memory.init $segment"];
    let operands = [number.clone(), number.clone(), number];
    let bulk = (proptest::sample::select(BULK), operands);
    let leaf = prop_oneof![
        (1..200usize).prop_map(|count| "(call $call)".repeat(count)),
        (1..200usize).prop_map(|count| {
            "(global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 31)) (i32.const 7)))"
                .repeat(count)
        }),
        Just("(call $leaf)".to_string()),
        Just("(call_indirect (type $plain) (i32.const 0))".to_string()),
        Just("(call_indirect (type $plain) (i32.const 1))".to_string()),
        bulk.prop_map(|(operator, [a, b, c])| format!(
            "({operator} (i32.const {a}) (i32.const {b}) (call $same (i32.const {c})))"
        )),
        Just("(data.drop $segment)".to_string()),
        any::<bool>().prop_map(|is_taken| format!("(br_if 0 (i32.const {}))", i32::from(is_taken))),
        any::<bool>().prop_map(|is_thrown| {
            format!(
                "(if (i32.const {}) (then (throw $exception (i32.const 5))))",
                i32::from(is_thrown)
            )
        }),
        (0..3u32).prop_map(|choice| {
            format!("(block (block (block (br_table 0 2 1 (i32.const {choice}))) (call $leaf)))")
        }),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let several = proptest::collection::vec(inner, 1..5).prop_map(|list| list.concat());
        prop_oneof![
            several.clone(),
            several.clone().prop_map(|inner| format!("(block {inner})")),
            // It is gone through at most a few times, then the function returns.
            several
                .clone()
                .prop_map(|inner| format!("(block (loop (call $count) {inner}))")),
            several.clone().prop_map(|inner| format!(
                "(global.set $sum (block $caught (result i32)
                    (try_table (catch $exception $caught) {inner}) (global.get $sum)))"
            )),
            several.clone().prop_map(|inner| format!(
                "(block $done
                    (block $again (result exnref)
                        (try_table (catch_all_ref $again) {inner}) (br $done))
                    (throw_ref))"
            )),
            // A handler that goes on with the next round.
            several.clone().prop_map(|inner| format!(
                "(loop $again (call $count) (try_table (catch_all $again) {inner}))"
            )),
            (any::<bool>(), several.clone(), several).prop_map(|(choice, yes, no)| format!(
                "(if (i32.const {}) (then {yes}) (else {no}))",
                i32::from(choice)
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_module_does_the_same_with_points_of_preemption(first in statements(), second in statements()) {
        let segment = "x".repeat(150_000);
        let text = format!(
            r#"(module (import "test" "call" (func $call)) (type $plain (func))
            (memory (export "memory") 4) (table funcref (elem $call $leaf))
            (data $segment "{segment}")
            (global $sum (mut i32) (i32.const 0)) (global $left (mut i32) (i32.const 50))
            (func $leaf) (func $same (param i32) (result i32) (local.get 0))
            (func $count (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (if (i32.lt_s (global.get $left) (i32.const 0)) (then unreachable)))
            (func $second {second})
            (tag $exception (param i32))
            (func (export "f") (result i32)
                (block $caught (try_table (catch_all $caught) (block (call $second) {first})))
                (global.get $sum)))"#
        );
        let wasm = wasm(&text);
        for preemption in BOTH {
            let bounded = preemption::rewrite(&wasm, preemption).unwrap().into_owned();
            Module::validate(&Engine::default(), &bounded).unwrap();
            let (mut plain, mut bounded) =
                (Instance::plain(&wasm), Instance::new(&bounded, preemption));
            let expected = plain.call("f", &[]);
            prop_assert_eq!(bounded.call("f", &[]), expected);
            prop_assert!(plain.memory() == bounded.memory());
            prop_assert_eq!(bounded.store.data().host_calls, plain.store.data().host_calls);
            let limit = longest_allowed(preemption, 80);
            prop_assert!(bounded.store.data().longest_run <= limit);
        }
    }
}

#[test]
fn the_budget_is_exported_under_a_name_that_no_module_may_use() {
    let wasm = |name: &str| {
        wat::parse_str(format!(
            r#"(module (global $own (mut i32) (i32.const 7)) (export "{name}" (global $own))
                (func (export "f") (loop (br 0))))"#
        ))
        .unwrap()
    };
    let with_points = |name| {
        let wasm = wasm(name);
        let rewritten = preemption::rewrite(&wasm, Preemption::ByPoints);
        rewritten.map(std::borrow::Cow::into_owned)
    };
    let rewritten = with_points("own").unwrap();
    let exports = wasmparser::Parser::new(0)
        .parse_all(&rewritten)
        .find_map(|payload| match payload.unwrap() {
            wasmparser::Payload::ExportSection(exports) => Some(exports),
            _ => None,
        })
        .unwrap();
    let exports: Vec<_> = exports.into_iter().map(Result::unwrap).collect();
    let budget = exports.iter().find(|export| export.name == BUDGET).unwrap();
    assert_eq!(
        (budget.kind, budget.index),
        (wasmparser::ExternalKind::Global, 1)
    );
    let own = exports.iter().find(|export| export.name == "own").unwrap();
    assert_eq!(own.index, 0);
    let refused = with_points(BUDGET).unwrap_err();
    assert!(refused.message.contains(BUDGET), "{refused}");
}
