//! What instances write of their stacks is charged to their branch.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::{Duration, Instant};

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{Account, AccountLimits, Charge, Exceeded, Kind};
use lunatic_engine::{
    Budget, Engine, EngineConfig, InstanceState, Loader, MemoryLimiter, MemoryLimits, Module,
};

struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// Exports of it go on for ever: one after some hundred KiB of its stack have been written, the
/// other with a shallow one.
const GUEST: &str = r#"(module
    (func $descend (param $more i32) (result i32)
        (if (result i32) (local.get $more)
            (then (i32.add (local.get $more)
                (call $descend (i32.sub (local.get $more) (i32.const 1)))))
            (else (i32.const 0))))
    (func (export "deep") (drop (call $descend (i32.const 6000))) (loop (br 0)))
    (func (export "shallow") (loop (br 0))))"#;

/// The least that is charged for the deep stack.
const DEEP: u64 = 64 << 10;

/// The module, and an engine whose clock ticks as long as there is a [`Working`].
fn guest() -> (Engine, Module<State>) {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
    let module = loader.load(GUEST.as_bytes()).unwrap();
    (engine, module)
}

/// This thread runs instances.
struct Working<'e>(&'e Engine);

impl Working<'_> {
    fn begin(engine: &Engine) -> Working<'_> {
        engine.ticker().enter();
        Working(engine)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.ticker().leave();
    }
}

/// Calls an export of a new instance until something holds, at most for a while. Returns whether
/// it does, or why the instance has ended.
fn run_until(
    module: &Module<State>,
    account: &Account,
    export: &str,
    holds: impl Fn() -> bool,
) -> Result<bool, wasmtime::Error> {
    let info = module.info();
    let charge = Charge::new(account, Kind::LinearMemory, info.instance_bytes()).unwrap();
    let state = State(MemoryLimiter::charged(
        MemoryLimits::default(),
        charge,
        info,
    ));
    block_on(async {
        let mut instance = module.instantiate(state, Budget::Unlimited).await?;
        let mut running = Box::pin(instance.call(export, &[]));
        let begun = Instant::now();
        while !holds() && begun.elapsed() < Duration::from_secs(20) {
            if let Some(ended) = poll_once(&mut running).await {
                ended?;
            }
        }
        Ok(holds())
    })
}

/// Whether stacks can be measured here; says so if they cannot.
#[expect(clippy::print_stderr, reason = "tells that a test is skipped")]
fn is_measured() -> bool {
    let is_measured = Engine::measures_stacks();
    if !is_measured {
        eprintln!("skipped: the kernel does not tell what is in memory");
    }
    is_measured
}

#[test]
fn what_is_written_of_a_stack_is_charged_to_a_branch_until_the_instance_ends() {
    if !is_measured() {
        return;
    }
    let (engine, module) = guest();
    let _working = Working::begin(&engine);
    let root = Account::default();
    let branch = root.branch(AccountLimits::UNLIMITED).unwrap();
    let instance = module.info().instance_bytes();
    let is_charged = || branch.used(Kind::Memory) >= instance + DEEP;
    assert!(run_until(&module, &branch, "deep", is_charged).unwrap());
    assert!(branch.has_deep_stacks());
    assert_eq!(branch.used(Kind::Memory), 0);
}

#[test]
fn who_has_no_memory_left_for_what_it_has_written_of_its_stack_ends() {
    if !is_measured() {
        return;
    }
    let (engine, module) = guest();
    let _working = Working::begin(&engine);
    let limits = AccountLimits {
        memory: module.info().instance_bytes() + DEEP,
        ..AccountLimits::UNLIMITED
    };
    let branch = Account::default().branch(limits).unwrap();
    let ended = run_until(&module, &branch, "deep", || false).unwrap_err();
    let exceeded = ended.downcast_ref::<Exceeded>().unwrap();
    assert_eq!(
        (exceeded.kind, exceeded.limit),
        (Kind::Memory, limits.memory)
    );
    assert_eq!(branch.used(Kind::Memory), 0);
}

/// Runs an export for some time slices. Returns whether more was charged meanwhile than for each
/// instance.
fn is_charged_more(module: &Module<State>, account: &Account, export: &str) -> bool {
    let instance = module.info().instance_bytes();
    let begun = Instant::now();
    let is_more = || account.used(Kind::LinearMemory) > instance;
    let is_over = || begun.elapsed() > Duration::from_millis(100);
    run_until(module, account, export, || is_more() || is_over()).unwrap();
    // The instance has ended meanwhile.
    begun.elapsed() <= Duration::from_millis(100)
}

#[test]
fn a_shallow_stack_and_one_of_the_root_are_not_charged() {
    let (engine, module) = guest();
    let _working = Working::begin(&engine);
    let root = Account::default();
    let branch = root.branch(AccountLimits::UNLIMITED).unwrap();
    assert!(!is_charged_more(&module, &branch, "shallow"));
    assert!(!branch.has_deep_stacks());
    assert!(!is_charged_more(&module, &root, "deep"));
}
