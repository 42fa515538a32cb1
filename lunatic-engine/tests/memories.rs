//! What a memory holds at first, and what it keeps when it grows.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::iter;
use std::sync::{Mutex, OnceLock};
use std::thread;

use futures_lite::future::block_on;
use lunatic_engine::{
    Budget, Engine, EngineConfig, Instance, InstanceState, Loader, MemoryLayout, MemoryLimiter,
    MemoryLimits, Module,
};
use wasmtime::{Caller, Val};

/// Where memories come from.
#[derive(Clone, Copy)]
enum Source {
    Arena(MemoryLayout),
    /// The few guarded ones that there are beside dense ones.
    FewGuarded,
    /// The dense ones, as none of the few is left.
    BeyondFew,
    /// The engine itself, as on systems without an arena.
    Engine,
}

/// Runs every test with memories from each source.
macro_rules! from_each_source {
    ($($test:ident),+ $(,)?) => {
        mod dense {
            use super::{MemoryLayout, Source};
            $(#[test] fn $test() { super::$test(Source::Arena(MemoryLayout::Dense)) })+
        }
        mod guarded {
            use super::{MemoryLayout, Source};
            $(#[test] fn $test() { super::$test(Source::Arena(MemoryLayout::Guarded)) })+
        }
        mod few_guarded {
            use super::Source;
            $(#[test] fn $test() { super::$test(Source::FewGuarded) })+
        }
        mod beyond_few {
            use super::Source;
            $(#[test] fn $test() { super::$test(Source::BeyondFew) })+
        }
        mod without_arena {
            use super::Source;
            $(#[test] fn $test() { super::$test(Source::Engine) })+
        }
    };
}

from_each_source!(
    an_access_outside_of_a_memory_is_a_trap,
    a_memory_shows_nothing_of_the_one_before_it,
    what_was_written_on_another_thread_is_not_seen_by_the_next,
    a_grown_memory_leaves_nothing_behind,
    what_a_process_writes_over_its_data_is_not_seen_by_the_next,
    many_at_once_have_their_own,
    later_segments_lie_over_earlier_ones,
    a_start_function_sees_the_data,
    a_passive_segment_can_be_copied_until_it_is_dropped,
    an_active_segment_counts_as_dropped_once_it_is_applied,
    a_segment_that_does_not_fit_traps,
    a_memory_keeps_its_contents_wherever_it_grows_to,
    a_memory_does_not_grow_beyond_its_limit,
    an_access_outside_of_the_memory_traps_and_touches_no_neighbour,
    an_access_outside_of_a_memory_traps_where_another_image_was_before,
    references_of_the_host_take_no_memory_of_the_guest,
    several_memories_are_apart_and_leave_nothing_behind,
    several_memories_have_their_limit_together,
);

#[derive(Default)]
struct State {
    limits: MemoryLimiter,
    seen: Vec<i64>,
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.limits
    }
}

#[expect(clippy::disallowed_methods, reason = "one function, for tests")]
fn load(source: Source, wat: &str) -> Module<State> {
    let mut config = EngineConfig::default();
    match source {
        Source::Arena(memory_layout) => config.memory_layout = Some(memory_layout),
        Source::FewGuarded => {}
        Source::BeyondFew => use_all_guarded(),
        Source::Engine => config.without_arena = true,
    }
    let engine = Engine::new(&config).unwrap();
    let loader = Loader::new(&engine, [], |linker| {
        linker.func_wrap(
            "test",
            "see",
            |mut caller: Caller<'_, State>, value: i64| {
                caller.data_mut().seen.push(value);
            },
        )?;
        Ok(())
    })
    .unwrap();
    loader.load(wat.as_bytes()).unwrap()
}

/// Keeps an instance in each of the few guarded memories that this program has.
fn use_all_guarded() {
    static INSTANCES: OnceLock<Vec<Mutex<Instance<State>>>> = OnceLock::new();
    INSTANCES.get_or_init(|| {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
        let module = loader.load(b"(module (memory 1))").unwrap();
        let mut last = None;
        let instances = iter::from_fn(|| {
            let instance = instantiate(&module);
            let used = engine.stats().arena?.guarded?.used;
            (last.replace(used) != Some(used)).then_some(Mutex::new(instance))
        });
        instances.collect()
    });
}

fn instantiate(module: &Module<State>) -> Instance<State> {
    block_on(module.instantiate(State::default(), Budget::Unlimited)).unwrap()
}

/// What an export shows of a new instance.
fn seen(module: &Module<State>, export: &str) -> Vec<i64> {
    let mut instance = instantiate(module);
    block_on(instance.call(export, &[])).unwrap();
    std::mem::take(&mut instance.state().seen)
}

const IMPORT: &str = r#"(import "test" "see" (func $see (param i64)))"#;

/// Sums up every byte of the memory, and fills it.
const SPY: &str = r#"
    (func (export "sum") (local $at i32) (local $sum i64)
        (loop $next
            (local.set $sum (i64.add (local.get $sum)
                (i64.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at)
                (i32.mul (memory.size) (i32.const 65536)))))
        (call $see (local.get $sum)))
    (func (export "fill")
        (memory.fill (i32.const 0) (i32.const 255)
            (i32.mul (memory.size) (i32.const 65536))))
    (func (export "write") (param $at i32)
        (i64.store (local.get $at) (i64.const -1)))
    (func (export "touch")
        (i64.store (i32.const 5000) (i64.const -1))
        (i64.store (i32.const 60000) (i64.const -1)))
    (func (export "grow_and_fill") (param $pages i32)
        (call $see (i64.extend_i32_s (memory.grow (local.get $pages))))
        (memory.fill (i32.const 0) (i32.const 255)
            (i32.mul (memory.size) (i32.const 65536))))"#;

fn a_memory_shows_nothing_of_the_one_before_it(source: Source) {
    let module = load(
        source,
        &format!("(module {IMPORT} (memory (export \"memory\") 2) {SPY})"),
    );
    for export in ["touch", "fill", "touch"] {
        for _ in 0..4 {
            let mut instance = instantiate(&module);
            block_on(instance.call(export, &[])).unwrap();
        }
        assert_eq!(seen(&module, "sum"), [0], "after `{export}`");
    }
}

fn what_was_written_on_another_thread_is_not_seen_by_the_next(source: Source) {
    let module = load(
        source,
        &format!("(module {IMPORT} (memory (export \"memory\") 2) {SPY})"),
    );
    let by_guest = |instance: &mut Instance<State>, at: i32| {
        block_on(instance.call("write", &[Val::I32(at)])).unwrap();
    };
    let by_host = |instance: &mut Instance<State>, at: i32| {
        let memory = instance.memory().unwrap();
        memory.write(instance.store(), at as usize, &[255]).unwrap();
    };
    let writers: [fn(&mut Instance<State>, i32); 2] = [by_guest, by_host];
    // Other pages each time, after lives that wrote nothing.
    for number in 0..32 {
        assert_eq!(seen(&module, "sum"), [0], "after {number} lives");
        let mut instance = instantiate(&module);
        let write = writers[number as usize % writers.len()];
        thread::scope(|scope| {
            scope.spawn(|| write(&mut instance, number * 4096));
        });
    }
}

fn a_grown_memory_leaves_nothing_behind(source: Source) {
    let module = load(
        source,
        &format!("(module {IMPORT} (memory (export \"memory\") 1) {SPY})"),
    );
    // Out of its slot, and out of the next, where pages are moved.
    for pages in [1, 40, 300] {
        let mut instance = instantiate(&module);
        block_on(instance.call("grow_and_fill", &[Val::I32(pages)])).unwrap();
        drop(instance);
        for _ in 0..2 {
            assert_eq!(seen(&module, "sum"), [0]);
            let mut instance = instantiate(&module);
            let memory = instance.memory().unwrap();
            assert_eq!(memory.grow(instance.store(), pages as u64).unwrap(), 1);
            let data = memory.data(instance.store());
            assert!(data.iter().all(|byte| *byte == 0), "after {pages} pages");
        }
    }
}

fn what_a_process_writes_over_its_data_is_not_seen_by_the_next(source: Source) {
    // 20 KiB of ones, so that the image is mapped, and a memory without.
    let ones = "\\01".repeat(20 << 10);
    let module = load(
        source,
        &format!(
            "(module {IMPORT} (memory (export \"memory\") 1) (data (i32.const 300) \"{ones}\") {SPY})"
        ),
    );
    let other = load(
        source,
        &format!("(module {IMPORT} (memory (export \"memory\") 1) {SPY})"),
    );
    for export in ["touch", "fill", "touch", "touch"] {
        let mut instance = instantiate(&module);
        block_on(instance.call(export, &[])).unwrap();
        drop(instance);
        assert_eq!(seen(&module, "sum"), [20 << 10], "after `{export}`");
        assert_eq!(seen(&other, "sum"), [0], "after `{export}`");
    }
}

fn many_at_once_have_their_own(source: Source) {
    let module = load(
        source,
        &format!(
            "(module {IMPORT} (memory (export \"memory\") 1) (data (i32.const 0) \"\\07\") {SPY})"
        ),
    );
    let mut instances: Vec<_> = (0..200).map(|_| instantiate(&module)).collect();
    for (number, instance) in instances.iter_mut().enumerate() {
        let memory = instance.memory().unwrap();
        memory.data_mut(instance.store())[number] = 100;
    }
    for (number, instance) in instances.iter_mut().enumerate() {
        block_on(instance.call("sum", &[])).unwrap();
        let expected = if number == 0 { 100 } else { 107 };
        assert_eq!(instance.state().seen, [expected]);
    }
}

fn later_segments_lie_over_earlier_ones(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory 1)
            (data (i32.const 0) "\01\01\01\01") (data (i32.const 2) "\02\02\02")
            (func (export "look") (call $see (i64.load (i32.const 0)))))"#
        ),
    );
    assert_eq!(seen(&module, "look"), [0x0000_0002_0202_0101]);
}

fn a_start_function_sees_the_data(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory 1) (data (i32.const 8) "\2a")
            (func $start (call $see (i64.load (i32.const 8)))) (start $start)
            (func (export "nothing")))"#
        ),
    );
    assert_eq!(seen(&module, "nothing"), [42]);
}

fn a_passive_segment_can_be_copied_until_it_is_dropped(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory 1)
            (data (i32.const 0) "\01") (data $passive "\02\03")
            (func (export "copy")
                (memory.init $passive (i32.const 16) (i32.const 0) (i32.const 2))
                (call $see (i64.load (i32.const 16))))
            (func (export "copy_dropped")
                (data.drop $passive)
                (memory.init $passive (i32.const 16) (i32.const 0) (i32.const 1))))"#
        ),
    );
    assert_eq!(seen(&module, "copy"), [0x0302]);
    let mut instance = instantiate(&module);
    block_on(instance.call("copy_dropped", &[])).unwrap_err();
}

fn an_active_segment_counts_as_dropped_once_it_is_applied(source: Source) {
    let module = load(
        source,
        r#"(module (memory 1) (data $active (i32.const 0) "\01")
            (func (export "nothing_of_it")
                (memory.init $active (i32.const 16) (i32.const 0) (i32.const 0))
                (data.drop $active))
            (func (export "something_of_it")
                (memory.init $active (i32.const 16) (i32.const 0) (i32.const 1))))"#,
    );
    block_on(instantiate(&module).call("nothing_of_it", &[])).unwrap();
    block_on(instantiate(&module).call("something_of_it", &[])).unwrap_err();
}

fn a_segment_that_does_not_fit_traps(source: Source) {
    let module = load(
        source,
        r#"(module (memory 1) (data (i32.const 65535) "ab"))"#,
    );
    assert!(module.info().start_may_fail);
    block_on(module.instantiate(State::default(), Budget::Unlimited)).unwrap_err();
}

fn a_memory_keeps_its_contents_wherever_it_grows_to(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory (export "memory") 1)
            (data (i32.const 100) "\0b")
            (func (export "grow")
                (i64.store (i32.const 65528) (i64.const 22))
                ;; 128 KiB, 2 MiB, 8 MiB, 32 MiB, and a little further each time
                (call $grow_to (i32.const 3)) (call $grow_to (i32.const 33))
                (call $grow_to (i32.const 129)) (call $grow_to (i32.const 300))
                (call $grow_to (i32.const 600)))
            (func $grow_to (param $pages i32)
                (drop (memory.grow (i32.sub (local.get $pages) (memory.size))))
                (call $see (i64.load8_u (i32.const 100)))
                (call $see (i64.load (i32.const 65528)))
                ;; the last bytes are zeros, and then they are not
                (call $see (i64.load (i32.sub
                    (i32.mul (local.get $pages) (i32.const 65536)) (i32.const 8))))
                (i64.store (i32.sub
                    (i32.mul (local.get $pages) (i32.const 65536)) (i32.const 8))
                    (i64.const 1))))"#
        ),
    );
    for _ in 0..3 {
        assert_eq!(seen(&module, "grow"), [11, 22, 0].repeat(5));
    }
}

fn a_memory_does_not_grow_beyond_its_limit(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory 1)
            (func (export "grow")
                (call $see (i64.extend_i32_s (memory.grow (i32.const 1))))
                (call $see (i64.extend_i32_s (memory.grow (i32.const 1))))))"#
        ),
    );
    let limits = MemoryLimiter::new(MemoryLimits {
        max_memory: 2 << 16,
    });
    let state = State {
        limits,
        ..State::default()
    };
    let mut instance = block_on(module.instantiate(state, Budget::Unlimited)).unwrap();
    block_on(instance.call("grow", &[])).unwrap();
    assert_eq!(instance.state().seen, [1, -1]);
}

fn several_memories_are_apart_and_leave_nothing_behind(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory $one (export "memory") 1) (memory $two 2 300) (memory $three 0)
            (data (memory $one) (i32.const 10) "\01") (data (memory $two) (i32.const 70000) "\02")
            (func $show (param $at i32)
                (call $see (i64.load8_u $one (local.get $at)))
                (call $see (i64.load8_u $two (local.get $at))))
            (func (export "use")
                (call $show (i32.const 10))
                (call $see (i64.load8_u $two (i32.const 70000)))
                (call $show (i32.const 100))
                (memory.fill $two (i32.const 0) (i32.const 7) (i32.const 131072))
                (memory.copy $one $two (i32.const 100) (i32.const 0) (i32.const 65436))
                (call $see (i64.extend_i32_s (memory.grow $two (i32.const 100))))
                (call $see (i64.load8_u $two (i32.const 131072)))
                (call $see (i64.load8_u $two (i32.const 131071)))
                (memory.fill $two (i32.const 131072) (i32.const 7) (i32.const 65536))
                (call $see (i64.extend_i32_s (memory.size $three)))
                (call $show (i32.const 100)))
            (func (export "beyond") (i32.store8 $three (i32.const 0) (i32.const 1)))
            (func (export "beyond_one") (i32.store8 $one (i32.const 65536) (i32.const 1))))"#
        ),
    );
    for _ in 0..4 {
        assert_eq!(seen(&module, "use"), [1, 0, 2, 0, 0, 2, 0, 7, 0, 7, 7]);
        for export in ["beyond", "beyond_one"] {
            block_on(instantiate(&module).call(export, &[])).unwrap_err();
        }
    }
}

fn several_memories_have_their_limit_together(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory $one 1) (memory $two 1)
            (func (export "grow")
                (call $see (i64.extend_i32_s (memory.grow $two (i32.const 2))))
                (call $see (i64.extend_i32_s (memory.grow $one (i32.const 1))))
                (call $see (i64.extend_i32_s (memory.grow $two (i32.const 1))))
                (call $see (i64.extend_i32_s (memory.grow $one (i32.const 0))))))"#
        ),
    );
    let instantiate = |max_memory| {
        let limits = MemoryLimiter::new(MemoryLimits { max_memory });
        let state = State {
            limits,
            ..State::default()
        };
        block_on(module.instantiate(state, Budget::Unlimited))
    };
    let mut instance = instantiate(3 << 16).unwrap();
    block_on(instance.call("grow", &[])).unwrap();
    assert_eq!(instance.state().seen, [-1, 1, -1, 2]);
    assert!(instantiate((2 << 16) - 1).is_err());
}

/// With a table or a global of such references the engine asks for a heap before it asks for
/// the memory.
fn references_of_the_host_take_no_memory_of_the_guest(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory (export "memory") 1) (data (i32.const 0) "\07")
            (table 3 externref) (global $reference (mut externref) (ref.null extern))
            (func (export "use")
                (table.set (i32.const 1) (global.get $reference))
                (global.set $reference (table.get (i32.const 2)))
                (call $see (i64.load8_u (i32.const 0)))
                (call $see (i64.extend_i32_u (ref.is_null (table.get (i32.const 1)))))))"#
        ),
    );
    // More than there are guarded memories, so that none may be lost.
    for _ in 0..300 {
        assert_eq!(seen(&module, "use"), [7, 1]);
    }
    let _alive: Vec<_> = (0..100).map(|_| instantiate(&module)).collect();
    assert_eq!(seen(&module, "use"), [7, 1]);
}

fn an_access_outside_of_the_memory_traps_and_touches_no_neighbour(source: Source) {
    let module = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory (export "memory") 1)
            (func (export "beyond") (i32.store8 (i32.const 65536) (i32.const 1)))
            (func (export "far_beyond") (i32.store8 offset=4294967295 (i32.const -1) (i32.const 1))))"#
        ),
    );
    let mut neighbours: Vec<_> = (0..16).map(|_| instantiate(&module)).collect();
    for export in ["beyond", "far_beyond"] {
        block_on(instantiate(&module).call(export, &[])).unwrap_err();
    }
    for neighbour in &mut neighbours {
        let memory = neighbour.memory().unwrap();
        assert!(memory.data(neighbour.store()).iter().all(|byte| *byte == 0));
    }
}

fn an_access_outside_of_a_memory_traps_where_another_image_was_before(source: Source) {
    let ones = "\\01".repeat(40 << 10);
    let before = load(
        source,
        &format!(
            r#"(module (memory 2) (data (i32.const 60000) "{ones}") (func (export "nothing")))"#
        ),
    );
    let after = load(
        source,
        &format!(
            r#"(module {IMPORT} (memory 1)
            (func (export "outside") (i32.store8 (i32.const 65536) (i32.const 1)))
            (func (export "grow") (drop (memory.grow (i32.const 1)))
                (call $see (i64.load (i32.const 65536)))))"#
        ),
    );
    for _ in 0..3 {
        block_on(instantiate(&before).call("nothing", &[])).unwrap();
        block_on(instantiate(&after).call("outside", &[])).unwrap_err();
        assert_eq!(seen(&after, "grow"), [0]);
    }
}

fn an_access_outside_of_a_memory_is_a_trap(source: Source) {
    let module = load(
        source,
        r#"(module (memory (export "memory") 1 3)
            (func (export "load") (param i32) (drop (i32.load8_u (local.get 0))))
            (func (export "far") (param i32)
                (drop (i64.load offset=4294967288 (local.get 0))))
            (func (export "grow") (drop (memory.grow (i32.const 1)))))"#,
    );
    let load = |instance: &mut Instance<State>, export, address: u32| {
        block_on(instance.call(export, &[Val::I32(address as i32)]))
    };
    for _ in 0..2 {
        let mut instance = instantiate(&module);
        load(&mut instance, "load", 65_535).unwrap();
        for outside in [65_536, 131_071, 131_072, 1 << 31, u32::MAX] {
            load(&mut instance, "load", outside).unwrap_err();
        }
        load(&mut instance, "far", 0).unwrap_err();
        load(&mut instance, "far", u32::MAX).unwrap_err();
        block_on(instance.call("grow", &[])).unwrap();
        load(&mut instance, "load", 131_071).unwrap();
        load(&mut instance, "load", 131_072).unwrap_err();
    }
}
