//! Few memories that the processor guards, and dense ones beyond.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_engine::{
    Budget, Engine, EngineConfig, Instance, InstanceState, InstantiateError, LoadError, Loader,
    MemoryLayout, MemoryLimiter, MemoryLimits, Module,
};
use wasmtime::{Trap, Val};

#[derive(Default)]
struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// A loader that counts its compilers.
struct Counted {
    loader: Loader<State>,
    compilers: Arc<AtomicUsize>,
}

/// The number of guarded memories of this program.
const GUARDED_MEMORIES: usize = 128;

impl Counted {
    fn new(config: &EngineConfig) -> Counted {
        let engine = Engine::new(config).unwrap();
        let compilers = Arc::new(AtomicUsize::new(0));
        let counts = compilers.clone();
        let loader = Loader::new(&engine, [], move |_| {
            counts.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        Counted {
            loader: loader.unwrap(),
            compilers,
        }
    }

    fn load(&self, text: &str) -> Module<State> {
        self.loader.load(text.as_bytes()).unwrap()
    }

    fn compilers(&self) -> usize {
        self.compilers.load(Ordering::SeqCst)
    }

    /// How many guarded memories are used.
    fn guarded(&self) -> usize {
        let arena = self.loader.engine().stats().arena.unwrap();
        arena.guarded.map_or(0, |guarded| guarded.used)
    }

    /// How many dense memories are used.
    fn dense(&self) -> usize {
        let arena = self.loader.engine().stats().arena.unwrap();
        arena.memories.iter().map(|slots| slots.used).sum()
    }
}

fn counted() -> Counted {
    Counted::new(&EngineConfig::default())
}

fn instantiate(module: &Module<State>) -> Instance<State> {
    block_on(module.instantiate(State::default(), Budget::Unlimited)).unwrap()
}

fn as_many_as(number: usize, module: &Module<State>) -> Vec<Instance<State>> {
    (0..number).map(|_| instantiate(module)).collect()
}

/// Adds a number to one in its memory, and traps unless it is another then.
const ADDS: &str = r#"(module (memory (export "memory") 1) (data (i32.const 70) "\07")
    (func (export "add") (param $more i32) (param $expected i32)
        (i32.store (i32.const 70) (i32.add (i32.load (i32.const 70)) (local.get $more)))
        (if (i32.ne (i32.load (i32.const 70)) (local.get $expected)) (then unreachable)))
    (func (export "load") (param $address i32) (drop (i32.load (local.get $address))))
    (func (export "grow") (param $pages i32) (param $expected i32)
        (if (i32.ne (memory.grow (local.get $pages)) (local.get $expected))
            (then unreachable))))"#;

fn call(instance: &mut Instance<State>, export: &str, params: &[i32]) -> wasmtime::Result<()> {
    let params: Vec<_> = params.iter().copied().map(Val::I32).collect();
    block_on(instance.call(export, &params))
}

#[test]
fn instances_beyond_the_few_have_dense_memories_and_compute_the_same() {
    let counted = counted();
    let module = counted.load(ADDS);
    let mut instances = as_many_as(GUARDED_MEMORIES, &module);
    assert_eq!((counted.guarded(), counted.dense()), (GUARDED_MEMORIES, 0));
    assert_eq!(counted.compilers(), 1);
    instances.extend(as_many_as(GUARDED_MEMORIES, &module));
    assert_eq!(
        (counted.guarded(), counted.dense()),
        (GUARDED_MEMORIES, GUARDED_MEMORIES)
    );
    assert_eq!(counted.compilers(), 2);
    for more in [1, 2] {
        for (number, instance) in instances.iter_mut().enumerate() {
            let number = number as i32;
            let expected = 7 + number * more + (more - 1) * 2;
            call(instance, "add", &[number + (more - 1) * 2, expected]).unwrap();
        }
    }
}

#[test]
fn a_guarded_memory_that_was_given_back_is_used_again() {
    let counted = counted();
    let module = counted.load(ADDS);
    let mut instances = as_many_as(GUARDED_MEMORIES + 10, &module);
    instances.drain(..GUARDED_MEMORIES / 2);
    assert_eq!(counted.guarded(), GUARDED_MEMORIES - GUARDED_MEMORIES / 2);
    instances.extend(as_many_as(GUARDED_MEMORIES / 2 + 10, &module));
    assert_eq!((counted.guarded(), counted.dense()), (GUARDED_MEMORIES, 20));
    drop(instances);
    assert_eq!((counted.guarded(), counted.dense()), (0, 0));
}

#[test]
fn traps_and_limits_are_the_same_in_both() {
    let counted = counted();
    let module = counted.load(ADDS);
    let limited = || {
        let max_memory = 3 << 16;
        let state = State(MemoryLimiter::new(MemoryLimits { max_memory }));
        block_on(module.instantiate(state, Budget::Unlimited)).unwrap()
    };
    let check = |mut instance: Instance<State>| {
        call(&mut instance, "load", &[65_532]).unwrap();
        call(&mut instance, "grow", &[1, 1]).unwrap();
        call(&mut instance, "load", &[131_068]).unwrap();
        call(&mut instance, "grow", &[2, -1]).unwrap();
        for outside in [131_069, 1 << 24, i32::MIN, -1] {
            let trap = call(&mut instance, "load", &[outside]).unwrap_err();
            let trap = trap.downcast_ref::<Trap>().copied();
            assert_eq!(trap, Some(Trap::MemoryOutOfBounds), "{outside}");
        }
    };
    check(limited());
    let guarded = as_many_as(GUARDED_MEMORIES, &module);
    let dense = limited();
    assert_eq!(counted.dense(), 1);
    check(dense);
    drop(guarded);
}

#[test]
fn who_has_few_instances_never_has_a_module_compiled_twice() {
    let counted = counted();
    let module = counted.load(ADDS);
    for _ in 0..3 {
        drop(as_many_as(GUARDED_MEMORIES / 2, &module));
        assert!(!module.needs_dense_soon());
    }
    assert_eq!(counted.compilers(), 1);
}

#[test]
fn dense_code_is_asked_for_once_when_half_of_the_few_are_used() {
    let counted = counted();
    let (module, other) = (counted.load(ADDS), counted.load(ADDS));
    let instances = as_many_as(GUARDED_MEMORIES / 2, &module);
    assert!(!module.needs_dense_soon());
    let one_more = instantiate(&module);
    assert!(module.needs_dense_soon());
    assert!(!module.needs_dense_soon());
    assert!(other.needs_dense_soon());
    block_on(module.prepare_dense()).unwrap();
    assert_eq!(counted.compilers(), 2);
    drop((instances, one_more));
    assert_eq!(counted.guarded(), 0);
}

#[test]
fn an_instance_waits_for_dense_code_and_holds_nobody_up() {
    let counted = counted();
    let module = counted.load(ADDS);
    let guarded = as_many_as(GUARDED_MEMORIES, &module);
    block_on(async {
        let mut first = Box::pin(module.instantiate(State::default(), Budget::Unlimited));
        let mut second = pin!(module.instantiate(State::default(), Budget::Unlimited));
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        // Who asked first is gone before there is an answer.
        drop(first);
        second.await.unwrap();
    });
    drop(guarded);
}

#[test]
fn a_module_without_a_memory_is_never_compiled_twice() {
    let counted = counted();
    let module = counted.load(r#"(module (func (export "nothing")))"#);
    let guarded = as_many_as(GUARDED_MEMORIES, &counted.load(ADDS));
    let mut instances = as_many_as(GUARDED_MEMORIES, &module);
    assert!(!module.needs_dense_soon());
    block_on(instances[GUARDED_MEMORIES - 1].call("nothing", &[])).unwrap();
    assert_eq!(counted.compilers(), 1);
    drop(guarded);
}

#[test]
fn instances_with_a_budget_have_dense_memories() {
    let counted = counted();
    let module = counted.load(ADDS);
    let budget = Budget::Fuel(NonZeroU64::new(1_000_000).unwrap());
    let with_budget = || block_on(module.instantiate(State::default(), budget)).unwrap();
    let mut instance = with_budget();
    assert_eq!((counted.guarded(), counted.dense()), (0, 1));
    call(&mut instance, "add", &[1, 8]).unwrap();
    assert!(call(&mut instance, "load", &[65_533]).is_err());
}

#[test]
fn dense_code_is_prepared_for_a_module_that_takes_the_place_of_one_that_has_it() {
    let counted = counted();
    let (old, new) = (counted.load(ADDS), counted.load(ADDS));
    block_on(new.prepare_like(&old)).unwrap();
    assert_eq!(counted.compilers(), 1);
    block_on(old.prepare_dense()).unwrap();
    block_on(new.prepare_like(&old)).unwrap();
    let guarded = as_many_as(GUARDED_MEMORIES, &old);
    let state = State::default();
    let mut making = pin!(new.instantiate(state, Budget::Unlimited));
    assert!(block_on(poll_once(&mut making)).is_some());
    drop(guarded);
}

#[test]
fn dense_code_is_charged_when_it_is_there_and_refused_to_who_cannot_pay() {
    let counted = counted();
    let enough = Account::default();
    let measured = counted.load(ADDS);
    measured.charge_to(&enough).unwrap();
    let first_code = enough.used(Kind::Memory);
    block_on(measured.prepare_dense()).unwrap();
    assert!(enough.used(Kind::Memory) > first_code);

    let poor = Account::root(AccountLimits {
        memory: first_code,
        ..AccountLimits::UNLIMITED
    });
    let module = counted.load(ADDS);
    module.charge_to(&poor).unwrap();
    let guarded = as_many_as(GUARDED_MEMORIES, &module);
    for _ in 0..2 {
        let state = State::default();
        let refused = block_on(module.instantiate(state, Budget::Unlimited)).unwrap_err();
        let is_exceeded = matches!(
            refused,
            InstantiateError::DenseVariant(LoadError::Exceeded(_))
        );
        assert!(is_exceeded, "{refused:?}");
        let text = lunatic_error::with_causes(&refused).to_string();
        assert!(text.contains("could not be compiled for others"), "{text}");
    }
    // Who has a guarded memory goes on, and so does who comes when there is one again.
    drop(guarded);
    call(&mut instantiate(&module), "add", &[1, 8]).unwrap();
    assert_eq!(poor.used(Kind::Memory), first_code);
}

#[test]
fn compiled_code_of_both_kinds_is_kept_for_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::default();
    config.cache = Some(directory.path().to_owned());
    let mut found = |memory_layout| {
        config.memory_layout = memory_layout;
        let counted = Counted::new(&config);
        let module = counted.load(ADDS);
        if memory_layout.is_none() {
            block_on(module.prepare_dense()).unwrap();
        }
        let stats = counted.loader.engine().stats();
        (stats.cache_hits, stats.cache_misses)
    };
    assert_eq!(found(None), (0, 2));
    assert_eq!(found(None), (2, 0));
    // They are what is compiled if all memories are alike.
    assert_eq!(found(Some(MemoryLayout::Dense)), (1, 0));
    assert_eq!(found(Some(MemoryLayout::Guarded)), (1, 0));
}

#[test]
fn instances_that_end_soon_after_they_have_grown_get_dense_memories_in_the_end() {
    let counted = counted();
    let module = counted.load(ADDS);
    let one = || {
        let mut instance = instantiate(&module);
        call(&mut instance, "grow", &[1, 1]).unwrap();
        (instance, counted.dense())
    };
    // Nobody ticks here, so each is gone at once.
    let many = || (0..300).map(|_| one().1).sum::<usize>();
    assert_eq!(many(), 0);
    assert!(module.needs_dense_soon());
    block_on(module.prepare_dense()).unwrap();
    assert_eq!(many(), 300);
    // Now and then guarded ones are tried again.
    let dense: usize = (0..20).map(|_| many()).sum();
    assert!((4000..6000).contains(&dense), "{dense}");
}
