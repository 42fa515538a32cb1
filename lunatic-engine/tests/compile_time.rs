//! The time and memory that the costliest modules take to compile that guests who are not trusted
//! may load. Each is costly in another way.
//!
//! Of the limits on all functions together the modules use an eighth; with `LUNATIC_WORST=1` they
//! use all, and each test prints the time and the memory that compiling took.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use lunatic_account::Account;
use lunatic_engine::{
    Engine, EngineConfig, InstanceState, LoadError, Loader, MemoryLimiter, Module, ModuleLimits,
};

struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

fn loader() -> Loader<State> {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    Loader::new(&engine, [], |_| Ok(())).unwrap()
}

/// The number of functions to compile instead of `count`.
fn share(count: usize) -> usize {
    match std::env::var_os("LUNATIC_WORST") {
        Some(_) => count,
        None => count.div_ceil(8),
    }
}

/// Compiles a module, within the limits of guests that are not trusted.
#[track_caller]
fn compiles(text: String) {
    let wasm = wat::parse_str(text).unwrap();
    let load = load(&wasm);
    assert!(load.is_ok(), "{:?}", load.unwrap_err());
}

#[expect(clippy::print_stdout, reason = "the figures are for the reader")]
fn load(wasm: &[u8]) -> Result<Module<State>, LoadError> {
    let before = begin_peak();
    let begin = std::time::Instant::now();
    let loaded = futures_lite::future::block_on(loader().load_within(
        wasm.to_vec(),
        &ModuleLimits::untrusted(),
        &Account::default(),
    ));
    let (bytes, time) = (wasm.len(), begin.elapsed());
    let memory = status("VmHWM:").saturating_sub(before);
    println!("{bytes} bytes in {time:?} and {memory} KiB");
    loaded
}

/// Resets the peak of the memory of the program, and returns how much it has, in KiB.
fn begin_peak() -> u64 {
    // Where that is not possible, the reported peak is too high.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = value.and_then(|value| value.trim().strip_suffix(" kB"));
    kibibytes
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// A module with `count` functions that have this body.
fn functions(count: usize, signature: &str, body: &str) -> String {
    let function = format!("(func {signature} {body})");
    format!("(module (memory 1) {})", function.repeat(count))
}

#[test]
fn worst_case_of_long_functions() {
    let add = "(local.set 0 (i32.add (local.get 0) (i32.load (local.get 0))))";
    // Ten bytes each.
    let body = add.repeat((255 << 10) / 10);
    compiles(functions(share(16), "(param i32)", &body));
}

#[test]
fn worst_case_of_many_functions() {
    compiles(functions(
        share(20_000),
        "(param i32)",
        "(local.set 0 (i32.const 1))",
    ));
}

#[test]
fn worst_case_of_many_locals() {
    let locals = format!("(local {})", "i32 ".repeat(5_000));
    compiles(functions(
        share(400),
        &locals,
        "(local.set 4999 (i32.const 1))",
    ));
}

#[test]
fn worst_case_of_many_values_at_the_ends_of_blocks() {
    let locals = format!("(local {})", "i32 ".repeat(1_000));
    let sets: String = (0..1_000)
        .map(|local| format!("(local.set {local} (local.get 0))"))
        .collect();
    let branches = "(br_if 0 (local.get 0))".repeat(999);
    let body = format!("(block {sets}{branches})");
    compiles(functions(share(10), &locals, &body));
}

#[test]
fn worst_case_of_many_values_at_loops() {
    let depth = 600;
    let body = format!(
        "{}(local.set 0 (i32.const 1)){}",
        "(loop ".repeat(depth),
        ")".repeat(depth)
    );
    compiles(functions(share(11), "(local i32)", &body));
}

#[test]
fn worst_case_of_many_small_loops() {
    // Each has points of preemption, and as many locals as are kept there.
    let sets: String = (0..16)
        .map(|local| format!("(local.set {} (local.get {local}))", (local + 1) % 16))
        .collect();
    // A loop and its branch weigh 108 of 150 000.
    let body = format!("(loop {sets} (br_if 0 (local.get 0)))").repeat(1_388);
    let locals = format!("(local {})", "i32 ".repeat(16));
    // Their squares are the limit of all functions.
    compiles(functions(share(6), &locals, &body));
    let loops = functions(
        1,
        "(param i32)",
        &"(loop (br_if 0 (local.get 0)))".repeat(1_389),
    );
    let refused = load(&wat::parse_str(loops).unwrap());
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
}

#[test]
fn worst_case_of_many_branch_targets() {
    let table = format!("(br_table {} 0 (local.get 0))", "0 1 ".repeat(9_999));
    let body = format!("(block (block {table}))");
    compiles(functions(share(50), "(param i32)", &body));
}

#[test]
fn worst_case_of_many_values_of_calls() {
    let types = "i32 ".repeat(1_000);
    let values = "(i32.const 1)".repeat(1_000);
    let calls = "(call 0)".repeat(25);
    let drops = "(drop)".repeat(1_000);
    let function = format!("(func {values}{calls}{drops})");
    let module = format!(
        "(module (func (param {types}) (result {types}) unreachable) {})",
        function.repeat(share(4))
    );
    compiles(module);
}

#[test]
fn worst_case_of_many_values_of_types() {
    let types: String = (0..share(50))
        .map(|number| {
            let values = "i64 ".repeat(999 - number);
            format!("(type (func (param {values}))) (type (func (param i32 {values})))")
        })
        .take(25)
        .collect();
    compiles(format!("(module {types})"));
}

#[test]
fn worst_case_of_many_values_of_functions() {
    let values = "i64 ".repeat(1_000);
    let functions: String = (0..share(200))
        .map(|number| format!(r#"(func (export "{number}") (type 0))"#))
        .collect();
    compiles(format!(
        "(module (type (func (param {values}))) {functions})"
    ));
    let small: String = (0..share(20_000))
        .map(|number| format!(r#"(func (export "{number}") (param i64 i64 i64 i64 i64 i64 i64))"#))
        .collect();
    compiles(format!("(module {small})"));
}

#[test]
fn worst_case_of_many_items_of_tables() {
    let items = "$f ".repeat(100_000);
    let nulls = "(ref.null func) ".repeat(5_000);
    compiles(format!(
        "(module (func $f) (table 100000 funcref) (elem (i32.const 0) {items}))"
    ));
    compiles(format!(
        "(module (table 100000 funcref) (elem (i32.const 0) funcref {nulls}))"
    ));
    // There would be code for each, which runs whenever an instance is made.
    let text = format!(
        "(module (table 100000 funcref) (elem (i32.const 0) funcref {nulls} (ref.null func)))"
    );
    let refused = load(&wat::parse_str(text).unwrap());
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
}

/// `calls` calls with `nesting` handlers around each.
fn handled(nesting: usize, clause: &str, calls: usize, writes: &str) -> String {
    let call = format!("(call $f) {writes}").repeat(calls);
    format!(
        "(block $out {}{call}{})",
        format!("(try_table ({clause} $out) ").repeat(nesting),
        ")".repeat(nesting)
    )
}

#[test]
fn worst_case_of_many_ways_to_handlers_of_exceptions() {
    let module = |count: usize, locals: &str, body: &str| {
        let function = format!("(func (local {locals}) {body})");
        let functions = function.repeat(count);
        compiles(format!("(module (tag $t) (func $f) {functions})"));
    };
    // Many handlers around few calls, few around many calls.
    for (nesting, calls) in [(90, 105), (500, 10), (1, 9_500), (10, 950)] {
        module(share(10), "i32", &handled(nesting, "catch_all", calls, ""));
    }
    module(share(10), "i32", &handled(90, "catch $t", 105, ""));
    // At each, locals meet.
    let locals = "i32 ".repeat(100);
    let writes: String = (0..100)
        .map(|local| format!("(local.set {local} (i32.const 1))"))
        .collect();
    let body = handled(10, "catch_all", 110, &writes);
    module(share(10), &locals, &body);
}

#[test]
fn worst_case_of_many_fills_of_memory() {
    let fill = "(memory.fill (local.get 0) (local.get 0) (local.get 0))";
    compiles(functions(share(10), "(param i32)", &fill.repeat(1_000)));
    // The time grows with the square of their number, so no more are accepted.
    let text = functions(1, "(param i32)", &fill.repeat(1_001));
    let refused = load(&wat::parse_str(text).unwrap());
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
}

#[test]
fn worst_case_of_many_operators_without_effect() {
    let body = "nop ".repeat(250 << 10);
    compiles(functions(share(16), "", &body));
}

/// The cost of parsing text, whether it is a valid module or not.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the reader")]
fn worst_case_of_text() {
    let limit = ModuleLimits::untrusted().text_bytes as usize / 8;
    for part in [
        "(func)",
        "(func nop)",
        "(type(func))",
        "(data \"\")",
        "(export \"\"(func 0))",
        "(func(block))",
        "nop ",
        "(elem func)",
        "(memory 1)",
        "(global i32 i32.const 0)",
        "(import\"\"\"\"(func))",
        "(rec)",
        "(tag)",
        "(func $a)",
        "(func(loop)(loop))",
        "(table 1 funcref)",
        "(elem 0)",
    ] {
        let times = share((8 * limit - 64) / part.len());
        let inside = part.starts_with('(');
        let text = match inside {
            true => format!("(module {})", part.repeat(times)),
            false => format!("(module (func {}))", part.repeat(times)),
        };
        println!("{part}");
        drop(load(text.as_bytes()));
    }
}

/// Modules of programs, for comparison: paths in `LUNATIC_MODULES`.
#[test]
fn modules_of_files_are_measured() {
    let files = std::env::var_os("LUNATIC_MODULES").unwrap_or_default();
    // Nothing is one empty path.
    for file in std::env::split_paths(&files).filter(|file| file != "") {
        let wasm = std::fs::read(&file).unwrap();
        drop(load(&wasm));
    }
}

#[test]
fn worst_case_of_many_globals() {
    let globals = "(global (mut i64) (i64.const 1))".repeat(10_000);
    compiles(format!("(module {globals})"));
}
