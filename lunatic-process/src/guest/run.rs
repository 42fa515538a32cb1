//! The body of a process that is a wasm instance.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;

use async_channel::Sender;
use lunatic_abi::UncaughtException;
use lunatic_account::Charge;
use lunatic_engine::{Budget, Call, Instance, InstantiateError, MemoryLimiter, Module, Results};
use lunatic_error::with_causes;
use lunatic_mailbox::Pid;
use lunatic_mailbox::guest::GuestMailbox;
use wasmtime::{
    AsContextMut, GcHeapOutOfMemory, ThrownException, Trap, Val, WasmBacktrace, WasmCoreDump,
};

use crate::config::FUEL_UNIT;
use crate::failure::{Failure, FailureKind};
use crate::guest::exchange::{self, Exchanged};
use crate::guest::post::ProcessPost;
use crate::guest::requests::AnsweringOutside;
use crate::guest::state::GuestProcess;
use crate::guest::{Config, ProcessHost, backtrace};
use crate::process::Process;
use crate::spawning::{Context, SpawnError, SpawnOptions};

/// Everything a new wasm process starts with.
pub struct Spawn<T: ProcessHost> {
    /// What it is an instance of.
    pub module: Module<T>,
    /// Its rights and limits.
    pub config: Arc<T::Config>,
    /// Whether the config is that of the parent: then the process shares the account of
    /// the parent, which has the limits of the config already.
    pub is_own_config: bool,
    /// The exported function that is its body. It must return nothing.
    pub export: String,
    /// The arguments of that function.
    pub params: Vec<Val>,
    /// Lets the function return something, and takes what that is.
    pub results: Option<Results>,
    /// What it has from its parent.
    pub child_environment: T::ChildEnvironment,
    /// Its links, its label and so on; the mailbox is limited by `config`.
    pub options: SpawnOptions,
}

/// Where the parent is told whether there is an instance, if it waits for that.
pub(super) type Report = Option<Sender<Result<(), SpawnError>>>;

/// The body. A process waits most of its life in its export, so what is needed to
/// get there lies in a box of its own, and is gone then.
///
/// - `spawn`: its options were taken out.
/// - `limiter`: the memory of its instance is charged to it already.
/// - `arguments`: what is charged for its arguments until they are given to the export.
/// - `linked_to`: the parent, if the two are linked.
pub(super) fn run<T: ProcessHost>(
    context: Context,
    spawn: Spawn<T>,
    limiter: MemoryLimiter,
    arguments: Option<Charge>,
    linked_to: Option<Pid>,
    report: Report,
) -> impl Future<Output = Result<(), Failure>> + Send {
    let begin = Box::pin(begin(context, spawn, limiter, arguments, linked_to, report));
    async move {
        let outcome = match begin.await {
            Ok(Begun {
                process,
                module,
                mut instance,
                call,
            }) => match AnsweringOutside::new(&process, &module, instance.run(call)).await {
                Ok(()) => Ok(()),
                Err(error) => match Exchanged::<T>::next(error) {
                    Ok(next) => {
                        drop(module);
                        Box::pin(exchange::go_on(process, instance, next)).await
                    }
                    Err(error) => {
                        T::trapped(instance.store().as_context_mut(), &error);
                        Err(error)
                    }
                },
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if T::exit_status(&error) == Some(0) => Ok(()),
            Err(error) => Err(failure::<T>(&error)),
        }
    }
}

/// An instance, and its export that is to be called.
struct Begun<T: ProcessHost> {
    process: Process,
    module: Module<T>,
    instance: Instance<T>,
    call: Call,
}

/// Makes the instance and finds its export.
async fn begin<T: ProcessHost>(
    context: Context,
    spawn: Spawn<T>,
    limiter: MemoryLimiter,
    arguments: Option<Charge>,
    linked_to: Option<Pid>,
    report: Report,
) -> wasmtime::Result<Begun<T>> {
    let process = context.process.clone();
    let module = spawn.module;
    // In one expression: a future that is kept before it is waited for takes its room twice.
    let started = AnsweringOutside::new(
        &process,
        &module,
        start(
            context,
            &module,
            spawn.config,
            spawn.child_environment,
            limiter,
        ),
    )
    .await;
    match started {
        Ok(mut instance) => {
            let memory = instance.memory();
            instance.state().process_mut().incarnation.start(memory);
            tell(&report, Ok(()));
            let call = instance.prepare(&spawn.export, spawn.params)?;
            drop(arguments);
            let call = match spawn.results {
                Some(results) => call.for_results(results),
                None => call,
            };
            Ok(Begun {
                process,
                module,
                instance,
                call,
            })
        }
        Err(error) => {
            // The parent has its result code; no link is made to what did not
            // start (ABI §3.3).
            if let Some(parent) = linked_to {
                process.unlink(parent);
            }
            let error = match error {
                InstantiateError::Start(error) => error,
                other => other.into(),
            };
            let why = SpawnError::StartFailed(failure::<T>(&error));
            tell(&report, Err(why));
            Err(error)
        }
    }
}

// Not an `async fn`, whose future would contain what it is given.
fn start<T: ProcessHost>(
    context: Context,
    module: &Module<T>,
    config: Arc<T::Config>,
    child_environment: T::ChildEnvironment,
    limiter: MemoryLimiter,
) -> impl Future<Output = Result<Instance<T>, InstantiateError>> {
    let Context { process, mailbox } = context;
    prepare_dense_in_time(&process, module);
    let budget = budget(config.process().max_fuel);
    let mailbox = GuestMailbox::new(mailbox, ProcessPost::new(process.clone()));
    let guest = GuestProcess::new(process, module.clone(), config, limiter);
    let state = T::new(guest, mailbox, child_environment);
    module.instantiate(state, budget)
}

/// Has a module compiled for dense memories if there will soon be no others, so that no process
/// waits for that. The time counts as that of the account of `process`.
pub(super) fn prepare_dense_in_time<T: ProcessHost>(process: &Process, module: &Module<T>) {
    if !module.needs_dense_soon() {
        return;
    }
    let module = module.clone();
    let share = process.account().share().cloned();
    let scheduler = process.environment().scheduler();
    scheduler.spawn_in(share, async move {
        // A process that needs it tries once more, and is told.
        if let Err(error) = module.prepare_dense().await {
            tracing::info!("{}", with_causes(&error));
        }
    });
}

fn budget(max_fuel: Option<NonZeroU64>) -> Budget {
    match max_fuel {
        Some(units) => {
            let unit = NonZeroU64::MIN.saturating_add(FUEL_UNIT - 1);
            Budget::Fuel(units.saturating_mul(unit))
        }
        None => Budget::Unlimited,
    }
}

fn tell(report: &Report, outcome: Result<(), SpawnError>) {
    if let Some(report) = report {
        // Whoever asked may have died meanwhile.
        report.try_send(outcome).ok();
    }
}

/// A guest that trapped, or exited with a status that is not 0.
fn failure<T: ProcessHost>(error: &wasmtime::Error) -> Failure {
    let kind = match T::exit_status(error) {
        Some(status) => FailureKind::ExitStatus(status),
        None if error.downcast_ref() == Some(&Trap::OutOfFuel) => FailureKind::OutOfFuel,
        None => FailureKind::Trap,
    };
    let failure = Failure::with_message(kind, cause_of(error));
    match error.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => failure.with_backtrace(backtrace::shown(backtrace)),
        None => failure,
    }
}

/// What went wrong, without the backtrace that the engine puts before it.
pub(super) fn cause_of(error: &wasmtime::Error) -> String {
    if error.is::<ThrownException>() {
        return UncaughtException.to_string();
    }
    if error.is::<GcHeapOutOfMemory<()>>() {
        return "there is no room for another exception: too many are kept, or a limit of memory is reached".to_owned();
    }
    let backtraces =
        usize::from(error.is::<WasmBacktrace>()) + usize::from(error.is::<WasmCoreDump>());
    let cause = error.chain().nth(backtraces);
    cause.map_or_else(String::new, |cause| with_causes(cause).to_string())
}

impl<T: ProcessHost> fmt::Debug for Spawn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn")
            .field("export", &self.export)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
