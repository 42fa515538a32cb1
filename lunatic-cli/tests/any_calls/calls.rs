//! Modules that call host functions with arguments that are partly sensible and partly not.

use std::fmt::Write as _;

use lunatic_abi::{HostFunction, Param, ValueType};
use lunatic_cli::HOST_FUNCTIONS;

/// How many calls a module has.
const CALLS: u64 = 60;

/// What lies in the memory for functions that read texts, and where: at the multiples of 64.
const TEXTS: [&str; 14] = [
    "main",
    "work",
    "a",
    "/",
    "data",
    "file",
    "memory.sqlite",
    ":memory:",
    "127.0.0.1:0",
    "localhost",
    "create table if not exists t (n integer, s text)",
    "insert into t values (?1, 'x') returning n, s",
    "(module (func (export \\22main\\22)))",
    "\\7f\\00\\00\\01\\00\\00",
];

/// Where functions write their results, and where the next calls find them.
const RESULTS: u64 = 4096;

/// The end of the memory.
const END: u64 = 2 << 16;

/// Numbers by chance, the same for each seed.
struct Chance(u64);

impl Chance {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// The text of a module whose `main` makes the calls of this seed, each of which is caught if
/// it traps.
pub(crate) fn module(seed: u64) -> String {
    let mut chance = Chance(seed);
    let mut text = String::from("(module\n");
    for (number, function) in HOST_FUNCTIONS.iter().enumerate() {
        let HostFunction {
            namespace, name, ..
        } = function;
        let params: Vec<_> = function.params.iter().map(|param| wat(param.ty)).collect();
        let params = params.join(" ");
        let result = function
            .result
            .map_or(String::new(), |ty| format!("(result {})", wat(ty)));
        writeln!(
            text,
            r#"(import "{namespace}" "{name}" (func $f{number} (param {params}) {result}))"#
        )
        .unwrap();
    }
    let catch = HOST_FUNCTIONS
        .iter()
        .position(|function| (function.namespace, function.name) == ("lunatic::trap", "catch"))
        .unwrap();
    writeln!(text, r#"(memory (export "memory") 2 16)"#).unwrap();
    for (number, content) in TEXTS.iter().enumerate() {
        writeln!(text, r#"(data (i32.const {}) "{content}")"#, number * 64).unwrap();
    }
    writeln!(text, "(table funcref (elem {}))", names("$c", CALLS)).unwrap();
    for call in 0..CALLS {
        writeln!(text, "(func $c{call} {})", any_call(&mut chance)).unwrap();
    }
    // The results of one call are the arguments of others, and are not all zero at first.
    writeln!(
        text,
        r#"(func (export "_lunatic_catch_trap") (param i32 i32) (result i32)
            (call_indirect (local.get 0)) (i32.const 1))
        (func $work (export "main") (export "work") (local $call i32)
            (loop $next
                (drop (call $f{catch} (local.get $call) (i32.const 0)))
                (br_if $next (i32.lt_u
                    (local.tee $call (i32.add (local.get $call) (i32.const 1)))
                    (i32.const {CALLS})))))
        )"#
    )
    .unwrap();
    text
}

fn names(prefix: &str, count: u64) -> String {
    let names: Vec<_> = (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect();
    names.join(" ")
}

fn wat(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F64 => "f64",
    }
}

/// A call of any function; what it returns is kept for others.
fn any_call(chance: &mut Chance) -> String {
    let number = chance.below(HOST_FUNCTIONS.len() as u64) as usize;
    let function = &HOST_FUNCTIONS[number];
    let mut length = 8;
    let params = function.params.iter();
    let arguments: Vec<_> = params
        .map(|param| argument(param, &mut length, chance))
        .collect();
    let call = format!("(call $f{number} {})", arguments.join(" "));
    let place = RESULTS + chance.below(16) * 8;
    match function.result {
        Some(ValueType::I32) => {
            format!("(i64.store (i32.const {place}) (i64.extend_i32_s {call}))")
        }
        Some(ValueType::I64) => format!("(i64.store (i32.const {place}) {call})"),
        Some(ValueType::F64) => format!("(drop {call})"),
        None => call,
    }
}

/// - `length`: the length of the text that was pointed to last.
fn argument(param: &Param, length: &mut u64, chance: &mut Chance) -> String {
    if param.ty == ValueType::F64 {
        return format!(
            "(f64.const {})",
            chance.any(&["0", "1.5", "nan", "inf", "-1"])
        );
    }
    // What another call has returned or written.
    if chance.percent(25) && !is_pointer(param) {
        let place = RESULTS + chance.below(16) * 8;
        return format!("({}.load (i32.const {place}))", wat(param.ty));
    }
    let value = match param.name {
        _ if chance.percent(5) => chance.any(&[u64::MAX, u64::MAX - 7, 1 << 31, 1 << 63, END]),
        _ if is_pointer(param) => pointer(length, chance),
        name if name.ends_with("len") || name.contains("length") || name.contains("size") => {
            match chance.percent(70) {
                true => *length,
                false => chance.any(&[0, 1, 4, 8, 16, 64, 1000, 70_000]),
            }
        }
        // Some wait for ever, but not most.
        name if name.contains("timeout") || name.contains("millis") || name.contains("ms") => {
            chance.any(&[0, 1, 2, 5, 10, 10, u64::MAX])
        }
        // Nobody reads what is printed.
        "fd" => chance.any(&[0, 3, 3, 3, 4, 5, 6, 7]),
        _ => chance.any(&[0, 0, 1, 1, 2, 3, 4, 5, 6, 8, 100]),
    };
    match param.ty {
        ValueType::I64 => format!("(i64.const {})", value.cast_signed()),
        _ => format!("(i32.const {})", (value as u32).cast_signed()),
    }
}

fn is_pointer(param: &Param) -> bool {
    param.ty == ValueType::I32 && (param.name.contains("ptr") || param.name.contains("iovs"))
}

/// The address of a text, of a place for results, or one near the end of the memory.
fn pointer(length: &mut u64, chance: &mut Chance) -> u64 {
    match chance.below(10) {
        0..5 => {
            let number = chance.below(TEXTS.len() as u64);
            let text = TEXTS[number as usize];
            *length = text.replace("\\22", "\"").replace("\\00", "0").len() as u64;
            number * 64
        }
        5..9 => RESULTS + chance.below(16) * 8,
        _ => END - chance.below(16),
    }
}
