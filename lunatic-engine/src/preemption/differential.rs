//! Arbitrary modules do with points of preemption what they do without.
//!
//! The modules are the same in every run; `LUNATIC_DIFFERENTIAL_MODULES` says how many there
//! are.

#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![expect(clippy::disallowed_methods, reason = "functions for tests")]

use std::borrow::Cow;
use std::env;

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmtime::{AsContextMut, Engine, Extern, Linker, Ref, Store, ThrownException, Trap, Val};

use crate::preemption::{self, BUDGET, MIN_BUDGET, Preemption, REFILL};

/// The parts of an instance that are called and read.
struct Instance {
    store: Store<Refills>,
    instance: wasmtime::Instance,
}

/// How often the host was asked for a budget.
#[derive(Default)]
struct Refills(u64);

/// The result of a call, or of an instantiation.
type Outcome = Result<Vec<String>, Failed>;

/// How a call has failed.
#[derive(Debug, PartialEq)]
enum Failed {
    Trapped(Trap),
    Thrown,
    Other,
}

impl Instance {
    fn new(engine: &Engine, wasm: &[u8]) -> Result<Instance, Failed> {
        let module = wasmtime::Module::new(engine, wasm).unwrap();
        let mut store = Store::new(engine, Refills::default());
        let mut linker = Linker::new(engine);
        let (namespace, name) = REFILL;
        linker
            .func_wrap(
                namespace,
                name,
                |mut caller: wasmtime::Caller<'_, Refills>| {
                    caller.data_mut().0 += 1;
                    MIN_BUDGET.cast_signed()
                },
            )
            .unwrap();
        linker
            .define_unknown_imports_as_default_values(&mut store, &module)
            .unwrap();
        let instance = linker.instantiate(&mut store, &module).map_err(failed)?;
        Ok(Instance { store, instance })
    }

    fn call(&mut self, export: &str, round: u64) -> Outcome {
        let function = self.instance.get_func(&mut self.store, export).unwrap();
        let ty = function.ty(&self.store);
        let numbers = (round..).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let params: Vec<Val> = ty
            .params()
            .zip(numbers)
            .map(|(param, number)| match param {
                wasmtime::ValType::I32 => Val::I32(number as i32 >> (number & 31)),
                wasmtime::ValType::I64 => Val::I64(number as i64 >> (number & 63)),
                other => Val::default_for_ty(&other).unwrap(),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function
            .call(&mut self.store, &params, &mut results)
            .map_err(failed)?;
        Ok(results.iter().map(shown).collect())
    }

    fn exported_functions(&mut self) -> Vec<String> {
        let exports = self.instance.exports(&mut self.store);
        let functions = exports.filter_map(|export| {
            let name = export.name().to_string();
            export.into_func().map(|_| name)
        });
        functions.collect()
    }

    /// Returns the contents of everything that the module itself exports.
    fn contents(&mut self) -> Vec<(String, String)> {
        let exports = self.instance.exports(&mut self.store);
        let exports: Vec<(String, Extern)> = exports
            .filter(|export| export.name() != BUDGET)
            .map(|export| (export.name().to_string(), export.into_extern()))
            .collect();
        let contents = exports.into_iter().map(|(name, export)| {
            let mut store = self.store.as_context_mut();
            let content = match export {
                Extern::Global(global) => shown(&global.get(&mut store)),
                Extern::Memory(memory) => hash(memory.data(&store)),
                Extern::Table(table) => {
                    let elements = 0..table.size(&store);
                    let shown = elements.map(|at| match table.get(&mut store, at).unwrap() {
                        Ref::Func(Some(function)) => format!("{:?}", function.ty(&store)),
                        other => other.is_null().to_string(),
                    });
                    shown.collect()
                }
                _ => String::new(),
            };
            (name, content)
        });
        contents.collect()
    }
}

fn failed(error: wasmtime::Error) -> Failed {
    match error.downcast_ref::<Trap>() {
        Some(trap) => Failed::Trapped(*trap),
        None if error.is::<ThrownException>() => Failed::Thrown,
        None => Failed::Other,
    }
}

/// A value as it is compared: numbers by their bits.
fn shown(value: &Val) -> String {
    match value {
        Val::F32(bits) => format!("f32 {bits:x}"),
        Val::F64(bits) => format!("f64 {bits:x}"),
        Val::FuncRef(reference) => format!("funcref {}", reference.is_some()),
        Val::ExternRef(reference) => format!("externref {}", reference.is_some()),
        other => format!("{other:?}"),
    }
}

fn hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes, {hash:x}", bytes.len())
}

/// An arbitrary module that comes to an end, if there is one for this seed.
fn module(seed: u64) -> Option<Vec<u8>> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes = (0..4096).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    let bytes: Vec<u8> = bytes.collect();
    let config = Config {
        canonicalize_nans: true,
        exceptions_enabled: true,
        export_everything: true,
        extended_const_enabled: true,
        gc_enabled: false,
        max_imports: (seed % 4) as usize * 3,
        max_instructions: 400,
        max_memories: 2,
        max_memory32_bytes: 4 << 16,
        max_table_elements: 200,
        max_tables: 2,
        memory64_enabled: false,
        memory_max_size_required: true,
        min_funcs: 2,
        relaxed_simd_enabled: true,
        table_max_size_required: true,
        tail_call_enabled: true,
        threads_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    // Enough for some thousand rounds, of which each may be long.
    module.ensure_termination(3000).ok()?;
    Some(module.to_bytes())
}

#[test]
fn arbitrary_modules_do_the_same_with_points_of_preemption() {
    let count = env::var("LUNATIC_DIFFERENTIAL_MODULES");
    let count: u64 = count.map_or(400, |count| count.parse().unwrap());
    let engine = Engine::new(wasmtime::Config::new().cranelift_nan_canonicalization(true)).unwrap();
    let (mut with_points, mut calls, mut refills, mut thrown) = (0, 0, 0, 0);
    for seed in 0..count {
        let Some(wasm) = module(seed) else { continue };
        let rewritten = preemption::rewrite(&wasm, Preemption::ByPoints).unwrap();
        if let Cow::Borrowed(_) = rewritten {
            continue;
        }
        with_points += 1;
        let plain = Instance::new(&engine, &wasm);
        let bounded = Instance::new(&engine, &rewritten);
        let (mut plain, mut bounded) = match (plain, bounded) {
            (Ok(plain), Ok(bounded)) => (plain, bounded),
            (Err(plain), Err(bounded)) => {
                assert_eq!(plain, bounded, "seed {seed}");
                continue;
            }
            (plain, bounded) => panic!(
                "seed {seed}: plain {:?}, with points {:?}",
                plain.err(),
                bounded.err()
            ),
        };
        'calls: for round in 0..3 {
            for export in plain.exported_functions() {
                let expected = plain.call(&export, round);
                let outcome = bounded.call(&export, round);
                if [&expected, &outcome].contains(&&Err(Failed::Trapped(Trap::StackOverflow))) {
                    // How deep a stack is, is not the same.
                    break 'calls;
                }
                assert_eq!(outcome, expected, "seed {seed}: {export}");
                calls += 1;
                thrown += u64::from(outcome == Err(Failed::Thrown));
            }
            assert_eq!(bounded.contents(), plain.contents(), "seed {seed}");
        }
        refills += bounded.store.data().0;
    }
    // That there was something to compare.
    assert!(with_points > count / 4, "{with_points}");
    assert!(calls > count, "{calls}");
    assert!(refills > count / 40, "{refills}");
    assert!(thrown > count / 40, "{thrown}");
}

/// Loops that are cut into strips, with every way to go on and to leave them. Each is run with
/// the number of rounds as its parameter, and has locals of every type.
const LOOPS: &[&str] = &[
    // The condition at the end.
    "(loop $l {step} (br_if $l (i32.lt_u (local.get $i) (local.get $n))))",
    // At the beginning, with a branch back at the end.
    "(block $b (loop $l (br_if $b (i32.ge_u (local.get $i) (local.get $n))) {step} (br $l)))",
    // Inside of an `if`.
    "(loop $l (if (i32.lt_u (local.get $i) (local.get $n)) (then {step} (br $l))))",
    // It returns from inside.
    "(loop $l (if (i32.ge_u (local.get $i) (local.get $n)) (then (return (local.get $sum)))) {step} (br $l))",
    // It leaves several blocks, and goes on from inside of one.
    "(block $a (block $b (loop $l (block $c {step}
        (br_if $a (i32.gt_u (local.get $i) (local.get $n)))
        (br_if $c (i32.and (local.get $i) (i32.const 1)))
        (br_if $b (i32.eq (local.get $i) (local.get $n)))
        (br $l)) (br $l))))",
    // A table of targets inside and outside.
    "(block $a (block $b (loop $l {step}
        (block $c (br_table $c $l $b $a
            (select (i32.and (local.get $i) (i32.const 1))
                (i32.add (i32.const 2) (i32.and (local.get $i) (i32.const 1)))
                (i32.lt_u (local.get $i) (local.get $n)))))
        (br $l)))
        (local.set $sum (i64.add (local.get $sum) (i64.const 1000))))",
    // It leaves a value, by its end and by a branch.
    "(local.set $sum (i64.add (local.get $sum) (block $a (result i64) (loop $l (result i64) {step}
        (br_if $l (i32.lt_u (local.get $i) (local.get $n)))
        (drop (br_if $a (i64.const 7) (i32.and (local.get $i) (i32.const 1))))
        (i64.const 9)))))",
    // It takes a value in each round.
    "(i32.const 3) (loop $l (param i32) (local.set $x) {step}
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $x))))
        (local.get $i) (br_if $l (i32.lt_u (local.get $i) (local.get $n))) (drop))",
    // Loops in loops, of which the inner one is in each round, or not.
    "(loop $k (local.set $j (i32.const 0))
        (loop $l (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $j) (i32.const 5))))
        {step} (br_if $k (i32.lt_u (local.get $i) (local.get $n))))",
    "(loop $k {step}
        (if (i32.and (local.get $i) (i32.const 3)) (then (local.set $j (i32.const 0))
            (loop $l (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $j) (i32.const 5))))))
        (br_if $k (i32.lt_u (local.get $i) (local.get $n))))",
    // There is something below on the stack.
    "(i64.const 5) (loop $l {step} (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
        (local.set $sum (i64.add (local.get $sum)))",
    // Too long to be repeated.
    "(loop $l {step} {step} {step} (br_if $l (i32.lt_u (local.get $i) (local.get $n))))",
];

#[test]
fn loops_of_every_shape_do_the_same_with_points_of_preemption() {
    const STEP: &str = "(local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $f (f32.add (local.get $f) (f32.const 0.5)))
        (local.set $d (f64.add (local.get $d) (f64.convert_i32_u (local.get $i))))
        (local.set $v (i32x4.add (local.get $v) (i32x4.splat (local.get $i))))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))";
    let short = "(local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))";
    let engine = Engine::default();
    let mut refills = 0;
    for (text, step) in LOOPS.iter().flat_map(|text| [(text, STEP), (text, short)]) {
        let body = text.replace("{step}", step);
        let text = format!(
            "(module (memory (export \"memory\") 1) (func (export \"f\") (param $n i32) (result i64)
                (local $i i32) (local $j i32) (local $x i32) (local $sum i64) (local $f f32)
                (local $d f64) (local $v v128)
                {body}
                (i64.add (local.get $sum) (i64.add (i64.trunc_f32_u (local.get $f))
                    (i64.add (i64.trunc_f64_u (local.get $d))
                        (i64x2.extract_lane 1 (local.get $v)))))))"
        );
        let wasm = wat::parse_str(&text).unwrap();
        let rewritten = preemption::rewrite(&wasm, Preemption::ByPoints).unwrap();
        let mut plain = Instance::new(&engine, &wasm).unwrap();
        let mut bounded = Instance::new(&engine, &rewritten).unwrap();
        for rounds in (0..20).chain([1000, 50_001]) {
            let run = |instance: &mut Instance| {
                let function = instance.instance.get_func(&mut instance.store, "f");
                let mut results = [Val::I64(0)];
                let call =
                    function
                        .unwrap()
                        .call(&mut instance.store, &[Val::I32(rounds)], &mut results);
                call.map(|()| shown(&results[0])).map_err(failed)
            };
            let expected = run(&mut plain);
            assert!(expected.is_ok(), "{body}");
            assert_eq!(run(&mut bounded), expected, "{rounds} rounds of {body}");
        }
        assert!(bounded.store.data().0 > 0, "no point in {body}");
        refills += bounded.store.data().0;
    }
    assert!(refills > 100, "{refills}");
}
