//! Instances: called, given budgets, limited.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_engine::{
    Budget, Engine, EngineConfig, ExceedsLimits, InstanceState, InstantiateError, LoadError,
    Loader, MemoryLimiter, MemoryLimits, Module,
};
use wasmtime::{Linker, Trap, Val};

#[derive(Default)]
struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

fn engine() -> Engine {
    Engine::new(&EngineConfig::default()).unwrap()
}

fn module(text: &str) -> Module<State> {
    let loader = Loader::new(&engine(), [], |_| Ok(())).unwrap();
    loader.load(text.as_bytes()).unwrap()
}

fn fuel(units: u64) -> Budget {
    Budget::Fuel(NonZeroU64::new(units).unwrap())
}

/// Calls an export of a new instance.
fn call(
    module: &Module<State>,
    budget: Budget,
    export: &str,
    params: &[Val],
) -> wasmtime::Result<()> {
    block_on(async {
        let mut instance = module.instantiate(State::default(), budget).await?;
        instance.call(export, params).await
    })
}

/// Runs through a loop as often as it is told; a round is a few instructions.
const LOOP: &str = r#"(module (func (export "loop") (param i64)
    (loop $again
        (br_if $again (i64.ne (i64.const 0)
            (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))))"#;

#[test]
fn an_export_is_called_with_its_parameters() {
    let module = module(
        r#"(module (func (export "traps unless 42") (param i32)
            (if (i32.ne (local.get 0) (i32.const 42)) (then unreachable))))"#,
    );
    let call = |value| call(&module, Budget::Unlimited, "traps unless 42", &[value]);
    call(Val::I32(42)).unwrap();
    let trap = call(Val::I32(41)).unwrap_err();
    assert_eq!(
        trap.downcast_ref::<Trap>(),
        Some(&Trap::UnreachableCodeReached)
    );
}

#[test]
fn what_cannot_be_called_is_an_error() {
    let module = module(
        r#"(module (func (export "wants") (param i32)) (func (export "gives") (result i32) (i32.const 1))
            (memory (export "memory") 0))"#,
    );
    for (export, params) in [
        ("missing", &[][..]),
        ("memory", &[]),
        ("wants", &[]),
        ("wants", &[Val::I64(1)]),
        ("wants", &[Val::I32(1), Val::I32(1)]),
        ("gives", &[]),
    ] {
        assert!(call(&module, Budget::Unlimited, export, params).is_err());
    }
}

#[test]
fn an_instance_without_a_budget_runs_as_long_as_it_wants() {
    call(
        &module(LOOP),
        Budget::Unlimited,
        "loop",
        &[Val::I64(5_000_000)],
    )
    .unwrap();
}

#[test]
fn a_budget_is_exact() {
    let module = module(LOOP);
    let enough = |units| call(&module, fuel(units), "loop", &[Val::I64(1000)]).is_ok();
    // Find the border by halving, then it is the same every time.
    let (mut less, mut more) = (1, 1_000_000);
    assert!(!enough(less) && enough(more));
    while more - less > 1 {
        let middle = (less + more) / 2;
        match enough(middle) {
            true => more = middle,
            false => less = middle,
        }
    }
    for _ in 0..10 {
        assert!(enough(more));
        assert!(!enough(less));
    }
    // A thousand rounds of a few instructions each.
    assert!((2_000..20_000).contains(&more), "{more}");
}

#[test]
fn a_budget_that_is_used_up_is_its_own_trap() {
    let error = call(&module(LOOP), fuel(1000), "loop", &[Val::I64(0)]).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel));
}

#[test]
fn an_instance_with_a_budget_yields_on_its_way() {
    let module = module(LOOP);
    block_on(async {
        let mut instance = module
            .instantiate(State::default(), fuel(100_000_000))
            .await
            .unwrap();
        let params = [Val::I64(1_000_000)];
        let mut running = Box::pin(instance.call("loop", &params));
        assert!(poll_once(&mut running).await.is_none());
        running.await.unwrap();
    });
}

#[test]
fn an_instance_can_be_dropped_while_it_runs() {
    let module = module(LOOP);
    block_on(async {
        for _ in 0..100 {
            let mut instance = module
                .instantiate(State::default(), fuel(u64::MAX))
                .await
                .unwrap();
            let params = [Val::I64(0)];
            let mut running = Box::pin(instance.call("loop", &params));
            assert!(poll_once(&mut running).await.is_none());
        }
    });
}

#[test]
fn an_instance_yields_at_a_tick_although_nothing_else_is_left_of_its_engine() {
    let mut instance = {
        let engine = engine();
        engine.ticker().enter();
        let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
        let module = loader.load(LOOP.as_bytes()).unwrap();
        block_on(module.instantiate(State::default(), Budget::Unlimited)).unwrap()
    };
    block_on(async {
        // Some seconds, unless it yields.
        let params = [Val::I64(10_000_000_000)];
        let mut running = Box::pin(instance.call("loop", &params));
        assert!(poll_once(&mut running).await.is_none());
    });
}

/// A loader that counts how often host functions are registered: once for each
/// of the two ways to compile.
#[expect(clippy::disallowed_methods, reason = "one function, for tests")]
fn counting_loader() -> (Loader<State>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let imports = move |linker: &mut Linker<State>| {
        counted.fetch_add(1, Ordering::SeqCst);
        linker.func_wrap("test", "set_budget", || {})?;
        Ok(())
    };
    let loader = Loader::with_budget_function(&engine(), [], imports, ("test", "set_budget"));
    (loader.unwrap(), count)
}

const GIVES_BUDGETS: &str = r#"(module (import "test" "set_budget" (func))
    (func (export "loop") (loop $again (br $again))))"#;

#[test]
fn a_module_that_can_give_budgets_is_compiled_to_count_fuel() {
    let (loader, variants) = counting_loader();
    loader.load(LOOP.as_bytes()).unwrap();
    assert_eq!(variants.load(Ordering::SeqCst), 1);
    let module = loader.load(GIVES_BUDGETS.as_bytes()).unwrap();
    assert_eq!(variants.load(Ordering::SeqCst), 2);
    // Without a budget it runs for ever, but yields: nobody ticks here.
    block_on(async {
        let mut instance = module
            .instantiate(State::default(), Budget::Unlimited)
            .await
            .unwrap();
        let mut running = Box::pin(instance.call("loop", &[]));
        for _ in 0..10 {
            assert!(poll_once(&mut running).await.is_none());
        }
    });
    let error = call(&module, fuel(1000), "loop", &[]).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel));
}

#[test]
fn a_module_that_cannot_is_compiled_to_count_fuel_when_it_is_given_a_budget() {
    let (loader, variants) = counting_loader();
    let module = loader.load(LOOP.as_bytes()).unwrap();
    call(&module, Budget::Unlimited, "loop", &[Val::I64(10)]).unwrap();
    assert_eq!(variants.load(Ordering::SeqCst), 1);
    call(&module, fuel(1000), "loop", &[Val::I64(10)]).unwrap();
    call(&module, fuel(1000), "loop", &[Val::I64(10)]).unwrap();
    assert_eq!(variants.load(Ordering::SeqCst), 2);
}

#[test]
fn nobody_waits_for_one_who_has_a_module_compiled_to_count_fuel_and_is_suspended() {
    let module = module(LOOP);
    let mut suspended = Box::pin(module.instantiate(State::default(), fuel(1000)));
    // It has asked the compiler, and is not polled any more.
    assert!(block_on(poll_once(&mut suspended)).is_none());
    call(&module, fuel(1000), "loop", &[Val::I64(10)]).unwrap();
    assert!(block_on(suspended).is_ok());
}

#[test]
fn limits_and_traps_of_the_start_are_told_apart() {
    let start = |text: &str, max_memory| {
        let state = State(MemoryLimiter::new(MemoryLimits { max_memory }));
        let module = module(text);
        block_on(module.instantiate(state, Budget::Unlimited)).unwrap_err()
    };
    let limits = start("(module (memory 2))", 65536);
    let exceeded = ExceedsLimits::Memory {
        needed: 2 << 16,
        limit: 65536,
    };
    assert!(
        matches!(limits, InstantiateError::Limits(limits) if limits == exceeded),
        "{limits:?}"
    );
    let trap = start("(module (start $f) (func $f unreachable))", 65536);
    assert!(matches!(trap, InstantiateError::Start(_)), "{trap:?}");
}

#[test]
fn a_very_deep_recursion_traps_and_hurts_nobody() {
    let module = module(r#"(module (func $f (export "f") (call $f) (call $f)))"#);
    for budget in [Budget::Unlimited, fuel(u64::MAX)] {
        let error = call(&module, budget, "f", &[]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
    }
}

#[test]
fn exported_functions_are_known_by_name_and_whether_they_are_plain() {
    let module = module(
        r#"(module (func (export "plain")) (func (export "wants") (param i32))
            (func (export "gives") (result i32) (i32.const 0)) (memory (export "memory") 0))"#,
    );
    let exports: Vec<_> = module.exported_functions().collect();
    assert_eq!(
        exports,
        [("plain", true), ("wants", false), ("gives", false)]
    );
}

#[test]
fn a_stack_shows_nothing_of_the_one_before_it() {
    // Every local of every call is looked at before it is written to, and is still
    // needed after, so it lies on the stack.
    let module = module(
        r#"(module
        (func $down (export "fill") (param i64)
            (local $a i64) (local $b i64) (local $c v128)
            (if (i64.ne (local.get $a) (i64.const 0)) (then unreachable))
            (if (i64.ne (local.get $b) (i64.const 0)) (then unreachable))
            (if (v128.any_true (local.get $c)) (then unreachable))
            (local.set $a (i64.const -1))
            (local.set $b (i64.const -1))
            (local.set $c (v128.const i64x2 -1 -1))
            (if (i64.eqz (local.get 0)) (then return))
            (call $down (i64.sub (local.get 0) (i64.const 1)))
            (if (i64.eqz (i64.and (local.get $a) (local.get $b)))
                (then unreachable))
            (if (i32.eqz (v128.any_true (local.get $c))) (then unreachable))))"#,
    );
    for _ in 0..4 {
        call(&module, Budget::Unlimited, "fill", &[Val::I64(2000)]).unwrap();
    }
}

/// Fills a memory of 128 MiB.
const FILL: &str = r#"(module (memory 2048) (func (export "fill") (param i32)
    (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))"#;

/// How often a fill of 128 MiB yields to others.
fn yields_of_a_fill(engine: &Engine, budget: Budget) -> usize {
    let loader: Loader<State> = Loader::new(engine, [], |_| Ok(())).unwrap();
    let module = loader.load(FILL.as_bytes()).unwrap();
    block_on(async {
        let mut instance = module.instantiate(State::default(), budget).await.unwrap();
        let mut running = Box::pin(instance.call("fill", &[Val::I32(128 << 20)]));
        let mut yields = 0;
        loop {
            match poll_once(&mut running).await {
                Some(result) => break result.unwrap(),
                None => yields += 1,
            }
        }
        yields
    })
}

#[test]
fn a_fill_of_a_large_memory_yields_on_its_way_with_a_budget() {
    // A byte is a unit of fuel.
    let yields = yields_of_a_fill(&engine(), fuel(1 << 40));
    assert!(yields > 1000, "{yields}");
}

#[test]
fn a_fill_of_a_large_memory_yields_on_its_way_without_a_budget() {
    let engine = engine();
    engine.ticker().enter();
    // It takes several ticks: no machine writes a gigabyte in eight of them.
    let yields = yields_of_a_fill(&engine, Budget::Unlimited);
    engine.ticker().leave();
    assert!(yields >= 2, "{yields}");
}

#[test]
fn a_module_is_charged_as_long_as_there_is_a_handle_of_it() {
    let account = Account::default();
    let module = module(LOOP);
    module.charge_to(&account).unwrap();
    let used = account.used(Kind::Memory);
    assert!(used >= module.size() as u64, "{used}");
    module.charge_to(&account).unwrap();
    assert_eq!(account.used(Kind::Memory), used);
    // The code that counts fuel comes later, and is charged then.
    let other = module.clone();
    call(&other, fuel(100_000), "loop", &[Val::I64(1)]).unwrap();
    assert!(account.used(Kind::Memory) > used);
    drop(module);
    assert!(account.used(Kind::Memory) > used);
    drop(other);
    // Another thread drops the code that came later.
    while account.used(Kind::Memory) != 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_module_that_cannot_be_paid_for_is_refused() {
    let poor = |memory| {
        Account::root(AccountLimits {
            memory,
            ..AccountLimits::UNLIMITED
        })
    };
    let account = poor(100);
    let module = module(LOOP);
    assert!(module.charge_to(&account).is_err());
    assert_eq!(account.used(Kind::Memory), 0);
    // There is room for the first code, and not for the one that counts fuel.
    let enough = Account::default();
    let measured = self::module(LOOP);
    measured.charge_to(&enough).unwrap();
    let account = poor(enough.used(Kind::Memory));
    let module = self::module(LOOP);
    module.charge_to(&account).unwrap();
    call(&module, Budget::Unlimited, "loop", &[Val::I64(1)]).unwrap();
    let refused = call(&module, fuel(100_000), "loop", &[Val::I64(1)]).unwrap_err();
    let error = refused.downcast_ref::<InstantiateError>();
    let is_exceeded = matches!(
        error,
        Some(InstantiateError::FuelVariant(LoadError::Exceeded(_)))
    );
    assert!(is_exceeded, "{refused:?}");
}
