//! Exceptions: thrown, caught and kept, and what is charged for them.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroU64;

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Charge, Kind};
use lunatic_engine::{
    Budget, Engine, EngineConfig, Instance, InstanceState, Loader, MemoryLimiter, MemoryLimits,
    Module,
};
use wasmtime::{ThrownException, Trap, Val};

#[derive(Default)]
struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

const FUEL: Budget = Budget::Fuel(NonZeroU64::new(1 << 40).unwrap());

/// The most that the heap of exceptions may have.
const HEAP_BYTES: u64 = 256 << 10;

/// What is charged beside it for references that may be on the stack.
const REFERENCES_BYTES: u64 = 2 << 20;

fn module(text: &str) -> Module<State> {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
    loader.load(text.as_bytes()).unwrap()
}

fn instantiate(module: &Module<State>, state: State, budget: Budget) -> Instance<State> {
    block_on(module.instantiate(state, budget)).unwrap()
}

/// A module whose export `f` traps unless the body results in this number.
fn checks(body: &str, expected: i32) -> Module<State> {
    module(&format!(
        r#"(module (tag $one (param i32)) (tag $other (param i32)) (tag $two (param i32 i64))
        (type $thrower (func (param i32)))
        (table funcref (elem $throw))
        (func $throw (type $thrower) (throw $one (local.get 0)))
        (func $through (param i32) (call $throw (local.get 0)) (unreachable))
        (func $last (param i32) (return_call $throw (local.get 0)))
        (func $last_in_block (param i32)
            (block $no (try_table (catch_all $no) (return_call $throw (local.get 0)))))
        (func $down (param i32) (param i32)
            (if (i32.eqz (local.get 0)) (then (throw $one (local.get 1))))
            (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
        (func $body (result i32) (local $i i32) (local $thrown exnref) {body})
        (func (export "f")
            (if (i32.ne (call $body) (i32.const {expected})) (then (unreachable)))))"#
    ))
}

#[test]
fn exceptions_are_caught_where_they_should_be() {
    let caught = |inside: &str| {
        format!("(block $h (result i32) (try_table (catch $one $h) {inside}) (unreachable))")
    };
    let cases = [
        (caught("(throw $one (i32.const 7))"), 7),
        (caught("(call $throw (i32.const 7))"), 7),
        (caught("(call $through (i32.const 7))"), 7),
        (caught("(call $last (i32.const 7))"), 7),
        // A last call is made when the block is left.
        (caught("(call $last_in_block (i32.const 7))"), 7),
        (
            caught("(call_indirect (type $thrower) (i32.const 7) (i32.const 0))"),
            7,
        ),
        (caught("(call $down (i32.const 3000) (i32.const 7))"), 7),
        // A handler is not inside of its own block.
        (
            caught(
                "(throw $one (block $k (result i32)
                    (try_table (catch $one $k) (throw $one (i32.const 7))) (unreachable)))",
            ),
            7,
        ),
        // Another handler comes first, and is for another tag.
        (
            caught(
                "(block $no (result i32) (try_table (catch $other $no) (throw $one (i32.const 7)))
                    (unreachable)) (unreachable)",
            ),
            7,
        ),
        // The first handler that fits.
        (
            "(block $a (block $b (try_table (catch_all $a) (catch_all $b)
                (throw $one (i32.const 1)))) (return (i32.const 9))) (i32.const 7)"
                .into(),
            7,
        ),
        // More values than one.
        (
            "(block $h (result i32 i64) (try_table (catch $two $h)
                (throw $two (i32.const 3) (i64.const 4))) (unreachable))
                (i32.wrap_i64) (i32.add)"
                .into(),
            7,
        ),
        // Caught with its values, kept, thrown again, and caught with its values again.
        (
            caught(
                "(block $k (result i32 exnref)
                    (try_table (catch_ref $one $k) (throw $one (i32.const 7))) (unreachable))
                (local.set $thrown) (drop) (throw_ref (local.get $thrown))",
            ),
            7,
        ),
        // A handler is the next round of a loop.
        (
            "(loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (try_table (catch_all $again)
                    (if (i32.lt_u (local.get $i) (i32.const 7)) (then (throw $one (i32.const 1))))))
                (local.get $i)"
                .into(),
            7,
        ),
        // A loop without calls throws, with points of preemption of its own.
        (
            caught(
                "(loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (if (i32.gt_u (local.get $i) (i32.const 1_000_000))
                        (then (throw $one (i32.const 7))))
                    (br $again))",
            ),
            7,
        ),
    ];
    for (body, expected) in &cases {
        let module = checks(body, *expected);
        for budget in [Budget::Unlimited, FUEL] {
            let called = block_on(instantiate(&module, State::default(), budget).call("f", &[]));
            assert!(called.is_ok(), "{body}: {}", called.unwrap_err());
        }
    }
}

#[test]
fn traps_are_not_caught_by_handlers() {
    let module = checks(
        "(block $h (try_table (catch_all $h) (unreachable))) (i32.const 0)",
        0,
    );
    let null = checks(
        "(block $h (try_table (catch_all $h) (throw_ref (local.get $thrown)))) (i32.const 0)",
        0,
    );
    for (module, trap) in [
        (module, Trap::UnreachableCodeReached),
        (null, Trap::NullReference),
    ] {
        let called =
            block_on(instantiate(&module, State::default(), Budget::Unlimited).call("f", &[]));
        assert_eq!(called.unwrap_err().downcast_ref(), Some(&trap));
    }
}

#[test]
fn an_exception_that_nobody_catches_is_an_error() {
    let module = checks(
        "(block $h (result i32) (try_table (catch $other $h) (throw $one (i32.const 1)))
            (i32.const 0))",
        0,
    );
    for budget in [Budget::Unlimited, FUEL] {
        let mut instance = instantiate(&module, State::default(), budget);
        // It can be called again.
        for _ in 0..2 {
            let error = block_on(instance.call("f", &[])).unwrap_err();
            assert!(error.is::<ThrownException>(), "{error:#}");
        }
    }
}

/// Throws and catches so many, and keeps as many of them.
const KEEPS: &str = r#"(module (tag $t (param i64)) (memory 1)
    (table $kept 90000 exnref)
    (func (export "nothing"))
    (func $throw (param i32) (throw $t (i64.extend_i32_u (local.get 0))))
    (func (export "keep") (param $count i32) (param $kept i32) (local $thrown exnref)
        (loop $again
            (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (call $throw (local.get $count)))
                (unreachable))
            (local.set $thrown)
            (if (i32.lt_u (local.get $count) (local.get $kept))
                (then (table.set $kept (local.get $count) (local.get $thrown))))
            (br_if $again
                (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "check") (param $count i32)
        (loop $again
            (block $caught (result i64)
                (try_table (catch $t $caught) (throw_ref (table.get $kept (local.get $count))))
                (unreachable))
            (if (i64.ne (i64.extend_i32_u (local.get $count))) (then (unreachable)))
            (br_if $again
                (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"#;

/// The state of an instance that is charged to a branch of this account.
fn charged(account: &Account, module: &Module<State>) -> State {
    let info = module.info();
    let charge = Charge::new(account, Kind::Memory, info.instance_bytes()).unwrap();
    State(MemoryLimiter::charged(
        MemoryLimits::default(),
        charge,
        info,
    ))
}

#[test]
fn the_heap_is_charged_when_it_is_used_and_what_is_not_kept_is_collected() {
    let module = module(KEEPS);
    let account = Account::root(AccountLimits::default());
    for budget in [Budget::Unlimited, FUEL] {
        let mut instance = instantiate(&module, charged(&account, &module), budget);
        let used = || account.used(Kind::Memory) - module.info().instance_bytes();
        block_on(instance.call("nothing", &[])).unwrap();
        assert_eq!(used(), 0);
        let keep = [Val::I32(100_000), Val::I32(1)];
        block_on(instance.call("keep", &keep)).unwrap();
        let few = used() - REFERENCES_BYTES;
        assert!(few > 0 && few < HEAP_BYTES, "{few}");
        // They are what they were, wherever they were moved to.
        block_on(instance.call("keep", &[Val::I32(10_000), Val::I32(3000)])).unwrap();
        block_on(instance.call("check", &[Val::I32(2999)])).unwrap();
        assert_eq!(used(), REFERENCES_BYTES + HEAP_BYTES);
        drop(instance);
        assert_eq!(account.used(Kind::Memory), 0);
    }
}

#[test]
fn a_full_heap_is_an_error_of_who_has_filled_it() {
    let module = module(KEEPS);
    let account = Account::root(AccountLimits::default());
    for budget in [Budget::Unlimited, FUEL] {
        let mut instance = instantiate(&module, charged(&account, &module), budget);
        let keep = [Val::I32(80_000), Val::I32(90_000)];
        for _ in 0..2 {
            let error = block_on(instance.call("keep", &keep)).unwrap_err();
            assert!(!error.is::<ThrownException>(), "{error:#}");
            let used = account.used(Kind::Memory) - module.info().instance_bytes();
            assert_eq!(used, REFERENCES_BYTES + HEAP_BYTES);
        }
        block_on(instance.call("nothing", &[])).unwrap();
        drop(instance);
        assert_eq!(account.used(Kind::Memory), 0);
    }
}

#[test]
fn an_account_without_memory_for_the_heap_is_an_error_of_who_throws() {
    let module = module(KEEPS);
    let limits = AccountLimits {
        memory: module.info().instance_bytes() + REFERENCES_BYTES + (64 << 10) - 1,
        ..AccountLimits::UNLIMITED
    };
    let account = Account::root(limits);
    let mut instance = instantiate(&module, charged(&account, &module), Budget::Unlimited);
    let error = block_on(instance.call("keep", &[Val::I32(1), Val::I32(0)])).unwrap_err();
    assert!(!error.is::<ThrownException>(), "{error:#}");
    block_on(instance.call("nothing", &[])).unwrap();
}

/// Runs it until it has yielded so often, and drops it then.
fn drop_after(module: &Module<State>, yields: usize) {
    let mut instance = instantiate(module, State::default(), FUEL);
    let call = [Val::I32(100_000), Val::I32(3000)];
    let mut run = Box::pin(instance.call("keep", &call));
    for _ in 0..yields {
        assert!(block_on(poll_once(&mut run)).is_none());
    }
}

#[test]
fn who_is_dropped_while_its_heap_is_collected_leaves_nothing_to_the_next() {
    let module = module(KEEPS);
    for yields in 0..60 {
        drop_after(&module, yields);
    }
    let mut next = instantiate(&module, State::default(), Budget::Unlimited);
    block_on(next.call("keep", &[Val::I32(10_000), Val::I32(3000)])).unwrap();
    block_on(next.call("check", &[Val::I32(2999)])).unwrap();
}
