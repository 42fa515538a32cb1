//! Code of every shape that goes on for ever is preempted, and ends when it is dropped.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use lunatic_engine::{
    Budget, Engine, EngineConfig, InstanceState, LoadError, Loader, MemoryLimiter,
};

#[derive(Default)]
struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// Modules whose export `f` never ends, or takes longer than anybody waits, by what they do.
const ENDLESS: &[(&str, &str)] = &[
    ("br", r#"(func (export "f") (loop (br 0)))"#),
    (
        "br_if",
        r#"(func (export "f") (loop (br_if 0 (i32.const 1))))"#,
    ),
    (
        "br_if in a long round",
        r#"(memory 1) (func (export "f") (local i32)
        (loop (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
            (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 4)) (i32.const 0xfffc)))
            (br_if 0 (i32.const 1))))"#,
    ),
    (
        "br_table",
        r#"(func (export "f") (param i32)
        (block (loop (br_table 1 0 (i32.const 1)))))"#,
    ),
    (
        "br_table to two loops",
        r#"(func (export "f") (local i32)
        (loop (loop
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_table 0 1 (i32.and (local.get 0) (i32.const 1))))))"#,
    ),
    (
        "br_if to the outer loop from the inner",
        r#"(func (export "f") (local i32)
        (loop $outer (loop $inner
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if $outer (i32.and (local.get 0) (i32.const 3)))
            (br $inner))))"#,
    ),
    (
        "br to the outer loop from the inner",
        r#"(func (export "f")
        (loop $outer (loop $inner (br_if $inner (i32.const 0)) (br $outer))))"#,
    ),
    (
        "an inner loop of few rounds",
        r#"(func (export "f") (local i32)
        (loop $outer
            (local.set 0 (i32.const 3))
            (loop $inner
                (br_if $inner (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (br $outer)))"#,
    ),
    (
        "a loop with parameters and results",
        r#"(func (export "f")
        (i32.const 1) (i32.const 2)
        (loop (param i32 i32) (result i32) (i32.add) (i32.const 5) (br 0)) (drop))"#,
    ),
    (
        "a loop that br_if takes values to",
        r#"(func (export "f")
        (block $out (result i32)
            (i32.const 1)
            (loop $again (param i32)
                (br_if $out (i32.const 0)) (i32.const 1) (i32.add)
                (br $again)) (unreachable)) (drop))"#,
    ),
    (
        "a loop that leaves a loop by br_if with values",
        r#"(func (export "f") (local i32)
        (loop $for_ever
            (block $out (result i32)
                (local.set 0 (i32.const 5))
                (loop $again
                    (drop (br_if $out (i32.const 7) (i32.eqz (local.get 0))))
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br $again)) (unreachable))
            (drop) (br $for_ever)))"#,
    ),
    (
        "a loop that calls a leaf",
        r#"(func $leaf (param i32) (result i32) (local.get 0))
        (func (export "f") (loop (drop (call $leaf (i32.const 1))) (br 0)))"#,
    ),
    (
        "a loop that calls a loop",
        r#"(func $loop (local i32)
            (local.set 0 (i32.const 10))
            (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "f") (loop (call $loop) (br 0)))"#,
    ),
    (
        "exceptions that are caught in a loop",
        r#"(tag $t) (func (export "f")
        (loop $again (block $caught (try_table (catch $t $caught) (throw $t))) (br $again)))"#,
    ),
    (
        "exceptions whose handler is the next round",
        r#"(tag $t) (func (export "f") (loop $again (try_table (catch_all $again) (throw $t))))"#,
    ),
    (
        "exceptions that come out of a function",
        r#"(tag $t) (func $throw (throw $t))
        (func (export "f") (loop $again (try_table (catch $t $again) (call $throw))))"#,
    ),
    (
        "one exception, thrown again and again",
        r#"(tag $t) (func (export "f") (local $thrown exnref)
        (local.set $thrown (block $first (result exnref)
            (try_table (catch_all_ref $first) (throw $t)) (unreachable)))
        (loop $again (try_table (catch_all $again) (throw_ref (local.get $thrown)))))"#,
    ),
    (
        "exceptions that other handlers are for",
        r#"(tag $t) (tag $other) (func (export "f")
        (loop $again (try_table (catch $t $again)
            (block $not (try_table (catch $other $not) (throw $t))))))"#,
    ),
    (
        "a recursion that exceptions leave",
        r#"(tag $t)
        (func $down (param i32) (if (i32.eqz (local.get 0)) (then (throw $t)))
            (call $down (i32.sub (local.get 0) (i32.const 1))))
        (func (export "f")
            (loop $again (try_table (catch $t $again) (call $down (i32.const 2000)))))"#,
    ),
    (
        "exceptions that fill the heap at the bottom of a recursion",
        r#"(tag $t)
        (table $kept 2000 exnref)
        (func $keep (param i32) (local $x exnref)
            (loop $next
                (local.set $x (block $caught (result exnref)
                    (try_table (catch_all_ref $caught) (throw $t)) (unreachable)))
                (table.set $kept (local.get 0) (local.get $x))
                (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func $down (param i32)
            (if (local.get 0)
                (then (call $down (i32.sub (local.get 0) (i32.const 1))) (return)))
            (loop $again (try_table (catch $t $again) (throw $t))))
        (func (export "f") (call $keep (i32.const 1999)) (call $down (i32.const 1000)))"#,
    ),
    (
        "a loop that calls what traps",
        r#"(func $fails unreachable)
        (func (export "f") (local i32)
            (loop (if (local.get 0) (then (call $fails) (unreachable))) (br 0)))"#,
    ),
    (
        "a loop that calls by a reference",
        r#"(type $plain (func)) (table funcref (elem $leaf))
        (func $leaf)
        (func (export "f") (loop (call_indirect (type $plain) (i32.const 0)) (br 0)))"#,
    ),
    (
        "a loop of ifs",
        r#"(func (export "f") (local i32)
        (loop (if (local.get 0) (then (local.set 0 (i32.const 0)) (br 1))
            (else (local.set 0 (i32.const 1)) (br 1)))))"#,
    ),
    (
        "a loop in an if",
        r#"(func (export "f")
        (if (i32.const 1) (then (loop (br_if 0 (i32.const 1))))))"#,
    ),
    (
        "a loop that grows no memory",
        r#"(memory 1 1)
        (func (export "f") (loop (drop (memory.grow (i32.const 1))) (br 0)))"#,
    ),
    (
        "a loop of fills",
        r#"(memory 16)
        (func (export "f") (param i32) (local i32) (local.set 1 (i32.const 0x100000))
            (loop (memory.fill (i32.const 0) (i32.const 1) (local.get 1)) (br 0)))"#,
    ),
    (
        "a loop of short fills",
        r#"(memory 1)
        (func (export "f") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 8)) (br 0)))"#,
    ),
    (
        "a loop of vectors",
        r#"(memory 1) (func (export "f")
        (loop (v128.store (i32.const 0) (i32x4.add (v128.load (i32.const 16)) (v128.load (i32.const 0))))
            (br 0)))"#,
    ),
    (
        "a recursion that doubles",
        r#"(func $f (export "f") (call $down (i32.const 60)))
        (func $down (param i32)
            (if (i32.eqz (local.get 0)) (then return))
            (call $down (i32.sub (local.get 0) (i32.const 1)))
            (call $down (i32.sub (local.get 0) (i32.const 1))))"#,
    ),
    (
        "a mutual recursion",
        r#"(func $f (export "f") (call $a (i32.const 60)))
        (func $a (param i32) (if (local.get 0)
            (then (call $b (local.get 0)) (call $b (local.get 0)))))
        (func $b (param i32)
            (call $c (i32.sub (local.get 0) (i32.const 1)))
            (call $c (i32.sub (local.get 0) (i32.const 1))))
        (func $c (param i32) (call $a (local.get 0)))"#,
    ),
    (
        "a recursion by references",
        r#"(type $one (func (param i32)))
        (table funcref (elem $a $b))
        (func $f (export "f") (call $a (i32.const 60)))
        (func $a (param i32) (if (local.get 0)
            (then (call_indirect (type $one) (local.get 0) (i32.const 1))
                (call_indirect (type $one) (local.get 0) (i32.const 1)))))
        (func $b (param i32)
            (call $plain (i32.sub (local.get 0) (i32.const 1))))
        (func $plain (param i32) (call_indirect (type $one) (local.get 0) (i32.const 0)))"#,
    ),
    (
        "a function that calls itself last",
        r#"(func $f (export "f") (return_call $f))"#,
    ),
    (
        "functions that call each other last",
        r#"(func $a (export "f") (return_call $b)) (func $b (return_call $a))"#,
    ),
    (
        "a function that calls itself last, by a table",
        r#"(type $plain (func)) (table funcref (elem $f))
        (func $f (export "f") (return_call_indirect (type $plain) (i32.const 0)))"#,
    ),
    (
        "a function that calls itself last, by a reference",
        r#"(type $plain (func)) (elem declare func $f)
        (func $f (export "f") (return_call_ref $plain (ref.func $f)))"#,
    ),
    (
        "a recursion by typed references",
        r#"(type $one (func (param i32))) (elem declare func $a)
        (func $f (export "f") (call $a (i32.const 60)))
        (func $a (type $one) (if (local.get 0)
            (then (call_ref $one (i32.sub (local.get 0) (i32.const 1)) (ref.func $a))
                (call_ref $one (i32.sub (local.get 0) (i32.const 1)) (ref.func $a)))))"#,
    ),
    (
        "a loop that br_on_non_null goes round",
        r#"(type $plain (func)) (elem declare func $f)
        (func $f (export "f")
            (ref.func $f) (loop $again (param (ref $plain)) (br_on_non_null $again)))"#,
    ),
    ("functions that each call the next twice", "DOUBLING"),
    (
        "a start function",
        r#"(func $start (loop (br 0))) (start $start) (func (export "f"))"#,
    ),
    (
        "a start function that is called again",
        r#"(func $start (loop (br 0))) (start $start)
        (func (export "f") (call $start))"#,
    ),
    (
        "an export of an element",
        r#"(table (export "table") funcref (elem $f))
        (func $f (export "f") (export "g") (loop (br 0)))"#,
    ),
    (
        "the second function",
        r#"(func) (func (export "f") (loop (br 0)))"#,
    ),
];

/// A chain of functions without a loop or a recursion that takes for ever.
fn doubling() -> String {
    let functions = (0..70).map(|number| match number {
        0 => "(func $f0)".to_string(),
        _ => {
            let callee = number - 1;
            format!("(func $f{number} (call $f{callee}) (call $f{callee}))")
        }
    });
    let functions: String = functions.collect();
    format!(r#"{functions} (export "f" (func $f69))"#)
}

/// Runs something that might never return by itself, and waits for it.
fn within_a_minute(what: &str, run: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        run();
        done.send(()).ok();
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} is not preempted"),
        _ => thread.join().unwrap(),
    }
}

#[test]
fn code_of_every_shape_is_preempted_and_can_be_dropped() {
    for (what, text) in ENDLESS {
        let fields = match *text {
            "DOUBLING" => doubling(),
            text => text.to_string(),
        };
        within_a_minute(what, move || {
            let engine = Engine::new(&EngineConfig::default()).unwrap();
            let loader = Loader::<State>::new(&engine, [], |_| Ok(())).unwrap();
            let module = loader.load(format!("(module {fields})").as_bytes());
            let module = module.unwrap();
            engine.ticker().enter();
            block_on(async {
                let run = async {
                    let state = State::default();
                    let instance = module.instantiate(state, Budget::Unlimited).await;
                    let mut instance = instance.unwrap();
                    let takes_one = fields.contains(r#"(export "f") (param i32)"#);
                    let params = [wasmtime::Val::I32(0)];
                    let params = &params[..usize::from(takes_one)];
                    instance.call("f", params).await.unwrap();
                };
                let mut run = Box::pin(run);
                for _ in 0..3 {
                    assert!(poll_once(&mut run).await.is_none(), "{what} ends");
                }
            });
            engine.ticker().leave();
        });
    }
}

#[test]
fn what_makes_code_yield_is_not_for_guests_to_import() {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let loader = Loader::<State>::new(&engine, [], |_| Ok(())).unwrap();
    let import = r#"(import "lunatic::preemption" "refill" (func $refill (result i32)))"#;
    for fields in [
        "",
        "(func (drop (call $refill)))",
        "(func (loop (drop (call $refill)) (br 0)))",
    ] {
        match loader.load(format!("(module {import} {fields})").as_bytes()) {
            Err(LoadError::Imports(problems)) => assert_eq!(problems.len(), 1),
            other => panic!("expected that the import is refused, not {other:?}"),
        }
    }
}
