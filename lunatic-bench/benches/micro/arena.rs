//! Instances, and what they take out of the arena and put back.

use divan::Bencher;
use futures_lite::future::block_on;
use lunatic_engine::{
    Budget, Engine, EngineConfig, Instance, InstanceState, Loader, MemoryLayout, MemoryLimiter,
    Module,
};
use wasmtime::Val;

const GEOMETRIES: [MemoryLayout; 2] = [MemoryLayout::Dense, MemoryLayout::Guarded];

/// How far a memory grows, in pages of 64 KiB: within its first slot, and into a
/// larger one.
const GROWTHS: [i32; 2] = [1, 64];

#[derive(Default)]
struct State {
    limits: MemoryLimiter,
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.limits
    }
}

const SMALL: &str = r#"(module
    (memory (export "memory") 1)
    (data (i32.const 0) "hello")
    (func (export "touch") (i32.store (i32.const 4096) (i32.const 1)))
    (func (export "grow") (param $pages i32)
        (drop (memory.grow (local.get $pages)))))"#;

/// A module with a mebibyte of data, of which it writes to one page.
fn large() -> String {
    let data = "0123456789abcdef".repeat(1 << 16);
    format!(
        r#"(module
            (memory (export "memory") 32)
            (data (i32.const 0) "{data}")
            (func (export "touch") (i32.store (i32.const 4096) (i32.const 1))))"#
    )
}

fn load(memory_layout: MemoryLayout, wat: &str) -> Module<State> {
    let mut config = EngineConfig::default();
    config.memory_layout = Some(memory_layout);
    let engine = Engine::new(&config).unwrap();
    let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
    loader.load(wat.as_bytes()).unwrap()
}

fn instantiate(module: &Module<State>) -> Instance<State> {
    block_on(module.instantiate(State::default(), Budget::Unlimited)).unwrap()
}

fn make_and_drop(bencher: Bencher<'_, '_>, module: &Module<State>) {
    bencher.bench_local(|| {
        let mut instance = instantiate(module);
        block_on(instance.call("touch", &[])).unwrap();
    });
}

#[divan::bench(args = GEOMETRIES)]
fn make_touch_and_drop_small(bencher: Bencher<'_, '_>, memory_layout: MemoryLayout) {
    make_and_drop(bencher, &load(memory_layout, SMALL));
}

#[divan::bench(args = GEOMETRIES)]
fn make_touch_and_drop_large(bencher: Bencher<'_, '_>, memory_layout: MemoryLayout) {
    make_and_drop(bencher, &load(memory_layout, &large()));
}

#[divan::bench(args = GROWTHS)]
fn grow(bencher: Bencher<'_, '_>, pages: i32) {
    let module = load(MemoryLayout::Dense, SMALL);
    bencher
        .with_inputs(|| instantiate(&module))
        .bench_local_values(|mut instance| {
            block_on(instance.call("grow", &[Val::I32(pages)])).unwrap();
            // Who gets it back drops it, and that is not measured.
            instance
        });
}
