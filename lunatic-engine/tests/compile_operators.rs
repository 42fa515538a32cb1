//! The memory that the compiler takes for each kind of operator and section: no more than what is
//! charged for it.
//!
//! A module has one function that repeats an operator with its operands, or one section of many
//! items. It is compiled in a program of its own, whose memory is measured. With `LUNATIC_WORST=1` there are as many as the limits of
//! guests allow that are not trusted, of all operators and in all ways to compile, and what each takes
//! is printed. Otherwise there are some of those that take much.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![expect(clippy::disallowed_methods, reason = "one function, for tests")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lunatic_account::{Account, AccountLimits};
use lunatic_engine::{
    Engine, EngineConfig, HostFunctionType, InstanceState, LoadError, Loader, MemoryLayout,
    MemoryLimiter, Module, ModuleLimits,
};

struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// Everything that the operators below need.
const MODULE: &str = r#"
    (type $f (func))
    (type $g (func (param i32) (result i32)))
    (import "" "h" (func $h))
    (table $t 10 100 funcref)
    (table $e 10 100 externref)
    (table $r 10 100 (ref null $f))
    (memory 1)
    (global $gi (mut i32) (i32.const 0))
    (global $gl (mut i64) (i64.const 0))
    (global $gv (mut v128) (v128.const i64x2 0 0))
    (global $gf (mut funcref) (ref.null func))
    (global $ge (mut externref) (ref.null extern))
    (global $gr (mut (ref null $f)) (ref.null $f))
    (tag $x)
    (tag $y (param i32))
    (elem $s func $a $b)
    (data $d "some bytes")
    (func $a)
    (func $b (param i32) (result i32) (local.get 0))
"#;

const LOCALS: &str = "(local $i i32) (local $l i64) (local $f f32) (local $d f64) (local $v v128) \
    (local $r funcref) (local $e externref) (local $c (ref null $f)) (local $x exnref)";

const CONTROL: &[&str] = &[
    "nop",
    "(block)",
    "(loop)",
    "(loop (br_if 0 (local.get $i)))",
    "(if (local.get $i) (then))",
    "(if (local.get $i) (then) (else))",
    "(if (local.get $i) (then unreachable))",
    "(if (local.get $i) (then return))",
    "(block (br 0))",
    "(block (br_if 0 (local.get $i)))",
    "(br_if 0 (local.get $i))",
    "(block (br_table 0 0 (local.get $i)))",
    "(local.set $i (block (result i32) (local.get $i)))",
    "(local.set $i (if (result i32) (local.get $i) (then (i32.const 1)) (else (i32.const 2))))",
    "(local.set $i (select (local.get $i) (i32.const 7) (local.get $i)))",
    "(local.set $v (select (local.get $v) (local.get $v) (local.get $i)))",
    "(local.set $e (select (result externref) (local.get $e) (local.get $e) (local.get $i)))",
    "(drop (local.get $i))",
    "(drop (i32.const 0))",
    "(local.set $i (i32.const 5))",
    "(local.set $d (f64.const 5))",
    "(local.set $v (v128.const i64x2 5 6))",
    "(drop (local.tee $i (i32.const 0)))",
    "(global.set $gi (global.get $gi))",
    "(global.set $gl (global.get $gl))",
    "(global.set $gv (global.get $gv))",
    "(global.set $gf (global.get $gf))",
    "(global.set $ge (global.get $ge))",
    "(global.set $gr (global.get $gr))",
];

const CALLS: &[&str] = &[
    "(call $a)",
    "(call $h)",
    "(local.set $i (call $b (local.get $i)))",
    "(call_indirect (type $f) (i32.const 0))",
    "(call_indirect $t (type $f) (local.get $i))",
    "(call_indirect $r (type $f) (local.get $i))",
    "(local.set $i (call_indirect $t (type $g) (i32.const 0) (i32.const 0)))",
    "(call_ref $f (local.get $c))",
    "(call_ref $f (ref.func $a))",
    "(if (local.get $i) (then (return_call $a)))",
    "(if (local.get $i) (then (return_call_indirect $t (type $f) (i32.const 0))))",
    "(if (local.get $i) (then (return_call_ref $f (local.get $c))))",
    "(if (local.get $i) (then (throw $x)))",
    "(if (local.get $i) (then (throw $y (i32.const 0))))",
    "(if (local.get $i) (then (throw_ref (local.get $x))))",
    "(block (try_table (catch_all 0) (call $a)))",
    "(block (try_table (catch $x 0) (call $a)))",
    "(local.set $i (block (result i32) (try_table (catch $y 0) (call $a)) (i32.const 0)))",
    "(local.set $x (block (result exnref) (try_table (catch_all_ref 0) (call $a)) (ref.null exn)))",
];

const REFERENCES: &[&str] = &[
    "(drop (ref.null func))",
    "(drop (ref.func $a))",
    "(local.set $r (ref.func $a))",
    "(local.set $i (ref.is_null (local.get $r)))",
    "(local.set $c (ref.as_non_null (local.get $c)))",
    "(block (drop (br_on_null 0 (local.get $c))))",
    "(drop (block (result (ref null $f)) (br_on_non_null 0 (local.get $c)) (ref.null $f)))",
    "(drop (table.get $t (i32.const 0)))",
    "(local.set $e (table.get $e (local.get $i)))",
    "(local.set $c (table.get $r (local.get $i)))",
    "(table.set $t (i32.const 0) (local.get $r))",
    "(table.set $t (i32.const 0) (ref.func $a))",
    "(table.set $e (local.get $i) (local.get $e))",
    "(drop (table.size $t))",
    "(drop (table.grow $t (ref.null func) (i32.const 0)))",
    "(drop (table.grow $e (local.get $e) (i32.const 0)))",
    "(table.fill $t (i32.const 0) (ref.null func) (i32.const 0))",
    "(table.fill $e (i32.const 0) (local.get $e) (i32.const 0))",
    "(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 0))",
    "(table.copy $e $e (i32.const 0) (i32.const 0) (i32.const 0))",
    "(table.init $t $s (i32.const 0) (i32.const 0) (i32.const 0))",
    "(elem.drop $s)",
];

const MEMORY: &[&str] = &[
    "(drop (memory.size))",
    "(drop (memory.grow (i32.const 0)))",
    "(memory.fill (local.get $i) (i32.const 0) (i32.const 0))",
    "(memory.copy (local.get $i) (i32.const 0) (i32.const 0))",
    "(memory.init $d (local.get $i) (i32.const 0) (i32.const 0))",
    "(data.drop $d)",
    "(drop (i32.load (i32.const 0)))",
    "(drop (i32.load (local.get $i)))",
    "(drop (i32.load offset=4000000000 (local.get $i)))",
    "(local.set $i (i32.load (local.get $i)))",
    "(drop (i32.load8_s (local.get $i)))",
    "(drop (i64.load (local.get $i)))",
    "(drop (f64.load (local.get $i)))",
    "(drop (v128.load (local.get $i)))",
    "(drop (v128.load8x8_s (local.get $i)))",
    "(drop (v128.load32_splat (local.get $i)))",
    "(drop (v128.load64_zero (local.get $i)))",
    "(drop (v128.load8_lane 3 (local.get $i) (local.get $v)))",
    "(v128.store8_lane 3 (local.get $i) (local.get $v))",
    "(i32.store (i32.const 0) (i32.const 0))",
    "(i32.store (local.get $i) (local.get $i))",
    "(i32.store8 (local.get $i) (local.get $i))",
    "(i64.store (local.get $i) (local.get $l))",
    "(v128.store (local.get $i) (local.get $v))",
];

/// Operators of one type with one or two operands of it, by the type, the local, and the operators.
const NUMBERS: &[(&str, &str, usize, &str)] = &[
    ("i32", "i", 1, "clz ctz popcnt extend8_s extend16_s eqz"),
    (
        "i32",
        "i",
        2,
        "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr eq lt_s ge_u",
    ),
    ("i64", "l", 1, "clz ctz popcnt extend8_s extend32_s"),
    (
        "i64",
        "l",
        2,
        "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s rotl",
    ),
    ("f32", "f", 1, "abs neg ceil floor trunc nearest sqrt"),
    ("f32", "f", 2, "add sub mul div min max copysign"),
    ("f64", "d", 1, "abs neg ceil floor trunc nearest sqrt"),
    ("f64", "d", 2, "add sub mul div min max copysign"),
    ("v128", "v", 1, "not"),
    ("v128", "v", 2, "and andnot or xor"),
    ("v128", "v", 3, "bitselect"),
    ("i8x16", "v", 1, "abs neg popcnt"),
    (
        "i8x16",
        "v",
        2,
        "swizzle eq ne lt_s gt_u narrow_i16x8_s narrow_i16x8_u add add_sat_s sub_sat_u min_s max_u avgr_u relaxed_swizzle",
    ),
    ("i8x16", "v", 3, "relaxed_laneselect"),
    (
        "i16x8",
        "v",
        1,
        "abs neg extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u extend_low_i8x16_s extend_high_i8x16_u",
    ),
    (
        "i16x8",
        "v",
        2,
        "mul q15mulr_sat_s extmul_low_i8x16_s extmul_high_i8x16_u narrow_i32x4_s lt_u relaxed_q15mulr_s relaxed_dot_i8x16_i7x16_s",
    ),
    (
        "i32x4",
        "v",
        1,
        "abs extadd_pairwise_i16x8_u trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero extend_high_i16x8_u relaxed_trunc_f32x4_u relaxed_trunc_f64x2_u_zero",
    ),
    (
        "i32x4",
        "v",
        2,
        "mul dot_i16x8_s extmul_low_i16x8_u min_s lt_u",
    ),
    ("i32x4", "v", 3, "relaxed_dot_i8x16_i7x16_add_s"),
    ("i64x2", "v", 1, "abs neg extend_high_i32x4_u"),
    ("i64x2", "v", 2, "mul eq lt_s ge_s extmul_high_i32x4_u"),
    (
        "f32x4",
        "v",
        1,
        "abs ceil nearest sqrt convert_i32x4_u demote_f64x2_zero",
    ),
    ("f32x4", "v", 2, "div min max pmin lt relaxed_min"),
    ("f32x4", "v", 3, "relaxed_madd relaxed_nmadd"),
    (
        "f64x2",
        "v",
        1,
        "abs floor trunc convert_low_i32x4_u promote_low_f32x4",
    ),
    ("f64x2", "v", 2, "div min max pmax ge"),
    ("f64x2", "v", 3, "relaxed_madd"),
];

const CONVERSIONS: &[&str] = &[
    "(drop (i32.wrap_i64 (local.get $l)))",
    "(drop (i32.trunc_f32_s (local.get $f)))",
    "(drop (i32.trunc_f64_u (local.get $d)))",
    "(drop (i64.trunc_f32_u (local.get $f)))",
    "(drop (i64.trunc_f64_s (local.get $d)))",
    "(drop (i32.trunc_sat_f32_s (local.get $f)))",
    "(drop (i32.trunc_sat_f64_u (local.get $d)))",
    "(drop (i64.trunc_sat_f32_s (local.get $f)))",
    "(drop (i64.trunc_sat_f64_u (local.get $d)))",
    "(drop (f32.convert_i64_u (local.get $l)))",
    "(drop (f64.convert_i64_u (local.get $l)))",
    "(drop (f64.convert_i32_s (local.get $i)))",
    "(drop (f32.demote_f64 (local.get $d)))",
    "(drop (f64.reinterpret_i64 (local.get $l)))",
    "(local.set $v (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31 (local.get $v) (local.get $v)))",
    "(local.set $v (i8x16.splat (local.get $i)))",
    "(local.set $v (i8x16.shl (local.get $v) (local.get $i)))",
    "(local.set $v (i8x16.shr_s (local.get $v) (local.get $i)))",
    "(local.set $v (i64x2.shr_s (local.get $v) (local.get $i)))",
    "(local.set $i (i8x16.extract_lane_s 3 (local.get $v)))",
    "(local.set $v (i8x16.replace_lane 3 (local.get $v) (local.get $i)))",
    "(local.set $v (f64x2.replace_lane 1 (local.get $v) (local.get $d)))",
    "(local.set $i (i16x8.bitmask (local.get $v)))",
    "(local.set $i (i64x2.all_true (local.get $v)))",
    "(local.set $i (v128.any_true (local.get $v)))",
];

/// Those that take most.
const HEAVY: &[&str] = &[
    "(loop (br_if 0 (local.get $i)))",
    "(local.set $i (block (result i32) (local.get $i)))",
    "(call $a)",
    "(call_indirect (type $f) (i32.const 0))",
    "(call_ref $f (ref.func $a))",
    "(if (local.get $i) (then (throw $x)))",
    "(local.set $i (block (result i32) (try_table (catch $y 0) (call $a)) (i32.const 0)))",
    "(drop (block (result (ref null $f)) (br_on_non_null 0 (local.get $c)) (ref.null $f)))",
    "(drop (table.get $t (i32.const 0)))",
    "(table.set $t (i32.const 0) (ref.func $a))",
    "(drop (table.grow $t (ref.null func) (i32.const 0)))",
    "(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 0))",
    "(table.init $t $s (i32.const 0) (i32.const 0) (i32.const 0))",
    "(elem.drop $s)",
    "(drop (memory.grow (i32.const 0)))",
    "(memory.copy (local.get $i) (i32.const 0) (i32.const 0))",
];

/// All operators with their operands.
fn all_operators() -> Vec<String> {
    let written = [CONTROL, CALLS, REFERENCES, MEMORY, CONVERSIONS].concat();
    let mut all: Vec<String> = written.into_iter().map(str::to_owned).collect();
    for (of, local, operands, names) in NUMBERS {
        let operands = format!("(local.get ${local})").repeat(*operands);
        for name in names.split_whitespace() {
            all.push(format!("(drop ({of}.{name} {operands}))"));
        }
    }
    all
}

/// A module with a function that repeats an operator.
fn module(operator: &str, times: usize) -> Vec<u8> {
    let body = format!("{operator} ").repeat(times);
    let text = format!("(module {MODULE} (func {LOCALS} {body}))");
    wat::parse_str(text).unwrap()
}

/// How often an operator fits into a function.
fn most(operator: &str) -> usize {
    const FUNCTION_BYTES: usize = 255 << 10;
    let each = (module(operator, 101).len() - module(operator, 1).len()) / 100;
    FUNCTION_BYTES / each
}

/// A loader that compiles in one of the ways in which guests can have modules compiled.
fn loader(way: &str) -> Loader<State> {
    let mut config = EngineConfig::default();
    if way == "dense" {
        config.memory_layout = Some(MemoryLayout::Dense);
    }
    let engine = Engine::new(&config).unwrap();
    let host = HostFunctionType {
        namespace: "",
        name: "h",
        params: vec![],
        results: vec![],
    };
    let register =
        |linker: &mut wasmtime::Linker<State>| linker.func_wrap("", "h", || ()).map(drop);
    match way {
        "fuel" => Loader::with_budget_function(&engine, [host], register, ("", "h")).unwrap(),
        _ => Loader::new(&engine, [host], register).unwrap(),
    }
}

fn load(loader: &Loader<State>, wasm: &[u8], payer: &Account) -> Result<Module<State>, LoadError> {
    let limits = ModuleLimits::untrusted();
    futures_lite::future::block_on(loader.load_within(wasm.to_vec(), &limits, payer))
}

fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = value.and_then(|value| value.trim().strip_suffix(" kB"));
    kibibytes
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Not a test of its own: compiles the module in a file, and prints whether more is charged for it
/// than it took.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the program that has started this one reads it"
)]
fn one_module_is_measured() {
    let Some(file) = std::env::var_os("LUNATIC_MEASURED_MODULE") else {
        return;
    };
    let way = std::env::var("LUNATIC_MEASURED_WAY").unwrap_or_default();
    let wasm = std::fs::read(file).unwrap();
    let loader = loader(&way);
    // What the first compilation takes is not charged.
    load(&loader, &module("nop", 1), &Account::default()).unwrap();
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS:");
    let begin = Instant::now();
    let loaded = load(&loader, &wasm, &Account::default());
    let time = begin.elapsed();
    let kibibytes = status("VmHWM:").saturating_sub(before);
    let outcome = match loaded {
        Err(LoadError::TooLarge(_)) => "refused".to_owned(),
        Err(error) => format!("failed {error:?}").replace('\n', " "),
        Ok(_) => {
            let limits = AccountLimits {
                memory: kibibytes << 10,
                ..AccountLimits::UNLIMITED
            };
            let branch = Account::default().branch(limits).unwrap();
            let refused = load(&loader, &wasm, &branch);
            match refused {
                Err(LoadError::Exceeded(_)) => "charged".to_owned(),
                _ => "more".to_owned(),
            }
        }
    };
    println!("\n@{outcome} {kibibytes} KiB, {time:?}");
}

/// Compiles a module in a program of its own. Returns what it prints.
fn measured(file: &Path, way: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["one_module_is_measured", "--exact", "--nocapture"])
        .env("LUNATIC_MEASURED_MODULE", file)
        .env("LUNATIC_MEASURED_WAY", way)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix('@'));
    line.unwrap_or("died").to_owned()
}

/// Returns what an operator takes that is repeated as often as given, or as limits allow.
#[expect(clippy::print_stdout, reason = "the figures are for the reader")]
fn measure(operator: &str, mut times: usize, way: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("module.wasm");
    loop {
        std::fs::write(&file, module(operator, times)).unwrap();
        let found = measured(&file, way);
        if !found.starts_with("refused") {
            println!("{operator} {way} {times} times: {found}");
            return found;
        }
        times -= times.div_ceil(10);
    }
}

#[test]
fn no_operator_takes_more_memory_than_is_charged_for_it() {
    let is_worst = std::env::var_os("LUNATIC_WORST").is_some();
    let (operators, ways): (_, &[&str]) = match is_worst {
        true => (all_operators(), &["", "dense", "fuel"]),
        false => (
            HEAVY.iter().map(|heavy| (*heavy).to_owned()).collect(),
            &[""],
        ),
    };
    let mut more = Vec::new();
    for operator in operators {
        let times = if is_worst { most(&operator) } else { 1000 };
        for way in ways {
            let found = measure(&operator, times, way);
            if !found.starts_with("charged") {
                more.push(format!("{operator} {way}: {found}"));
            }
        }
    }
    assert!(more.is_empty(), "{more:#?}");
}

/// Modules that have much of one kind of section, by what that is.
fn sections() -> Vec<(&'static str, String)> {
    let many =
        |count: usize, item: &dyn Fn(usize) -> String| -> String { (0..count).map(item).collect() };
    let types = many(7_000, &|number| {
        let values = ["i32 ", "i64 ", "f32 ", "f64 "];
        let values = (0..7).map(|place| values[number >> (2 * place) & 3]);
        format!("(type (func (param {})))", values.collect::<String>())
    });
    let items = "$f ".repeat(9_999);
    let functions = many(20_000, &|number| format!(r#"(func (export "{number}"))"#));
    let data = many(2_000, &|number| {
        format!(r#"(data (i32.const {}) "a")"#, number * 3000)
    });
    let bytes = "a".repeat(2 << 20);
    vec![
        ("types", types),
        ("exported functions", functions),
        (
            "references in globals",
            "(func $f)".to_owned() + &"(global funcref (ref.func $f))".repeat(10_000),
        ),
        ("passive items", format!("(func $f) (elem func {items})")),
        (
            "items at a computed place",
            format!(
                "(func $f) (table 99999 funcref)
                (elem (i32.add (i32.const 0) (i32.const 0)) {items})"
            ),
        ),
        (
            "items that are expressions",
            format!(
                "(func $f) (table 99999 funcref) (elem (i32.const 0) funcref {})",
                "(ref.func $f)".repeat(4_990)
            ),
        ),
        (
            "tables with one function at the end",
            "(func $f) (table $a 99999 funcref) (table $b 99999 funcref)
            (elem (table $a) (i32.const 99998) func $f) (elem (table $b) (i32.const 99998) func $f)"
                .to_owned(),
        ),
        ("data that is far apart", format!("(memory 500) {data}")),
        (
            "data with a gap",
            format!(
                r#"(memory 500) (data (i32.const 0) "{bytes}") (data (i32.const 8000000) "b")"#
            ),
        ),
        ("passive data", format!(r#"(memory 1) (data "{bytes}")"#)),
    ]
}

#[test]
fn no_section_takes_more_memory_than_is_charged_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("module.wasm");
    let mut more = Vec::new();
    for (name, fields) in sections() {
        let wasm = wat::parse_str(format!("(module {fields})")).unwrap();
        std::fs::write(&file, wasm).unwrap();
        let found = measured(&file, "");
        if !found.starts_with("charged") {
            more.push(format!("{name}: {found}"));
        }
    }
    assert!(more.is_empty(), "{more:#?}");
}

/// That a module of a kilobyte has images of a hundred tables, and takes more than a gibibyte.
#[test]
fn images_of_many_large_tables_are_refused() {
    let tables = "(table 1000000 funcref)".repeat(100);
    let items: String = (0..100)
        .map(|table| format!("(elem (table {table}) (i32.const 999999) func $f)"))
        .collect();
    let wasm = wat::parse_str(format!("(module (func $f) {tables} {items})")).unwrap();
    let refused = load(&loader(""), &wasm, &Account::default());
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
}
