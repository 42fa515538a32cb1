//! Modules, arbitrary and mutated ones: loaded, compiled and run.

use std::collections::HashSet;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use lunatic_abi::HostFunction;
use lunatic_cli::HOST_FUNCTIONS;
use wasm_smith::{Config, Module};

use crate::panics;
use crate::running::{self, How};
use lunatic_testkit::Random;

/// A module that has all host functions as imports; wasm-smith chooses among them.
static IMPORTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut seen = HashSet::new();
    let imports: String = HOST_FUNCTIONS
        .iter()
        .filter(|function| seen.insert((function.namespace, function.name)))
        .map(import)
        .collect();
    wat::parse_str(format!("(module {imports})")).unwrap()
});

fn import(function: &HostFunction) -> String {
    let (namespace, name) = (function.namespace, function.name);
    let ty = function.type_use();
    format!("(import \"{namespace}\" \"{name}\" (func {ty}))\n")
}

/// Tries an input: a module in binary or text form, or else bytes to make one of.
pub fn run(input: &[u8]) {
    panics::watch();
    let mut random = Random::from_bytes(input);
    let how = How {
        with_fuel: random.below(2) == 0,
        with_rights: random.below(4) == 0,
    };
    let is_module = input.starts_with(b"\0asm") || input.trim_ascii_start().starts_with(b"(");
    if is_module {
        running::run(input, how);
    } else if let Some(module) = arbitrary_module(input, &mut random) {
        running::run(&module, how);
    }
    panics::assert_none();
}

/// A module that wasm-smith makes of an input; in half of all cases some bytes are overwritten.
fn arbitrary_module(input: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let config = Config {
        available_imports: Some(IMPORTS.clone()),
        exceptions_enabled: true,
        export_everything: true,
        extended_const_enabled: true,
        gc_enabled: false,
        max_imports: 12,
        max_instructions: 300,
        max_memories: 2,
        max_memory32_bytes: 64 << 16,
        max_table_elements: 10_000,
        max_tables: 2,
        memory64_enabled: false,
        memory_max_size_required: random.below(2) == 0,
        relaxed_simd_enabled: true,
        table_max_size_required: random.below(2) == 0,
        tail_call_enabled: true,
        threads_enabled: false,
        ..Config::default()
    };
    let module = Module::new(config, &mut Unstructured::new(input)).ok()?;
    let mut wasm = module.to_bytes();
    if random.below(2) == 0 {
        for _ in 0..=random.below(3) {
            let at = random.below(wasm.len());
            wasm[at] = random.number() as u8;
        }
    }
    Some(wasm)
}
