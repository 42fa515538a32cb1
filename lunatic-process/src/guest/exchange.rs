//! The exchange of the code of a process: a new instance becomes the process while the
//! old one waits.
//!
//! A host function of the old instance calls [`attempt`], which makes a new instance of
//! another module, with a state of its own, and runs one of its exports. The old
//! instance stays suspended in that host function and is not touched. When the new one
//! calls [`take_over`], the host function moves the contents of the old state into the
//! new one and ends the old instance with the error `Exchanged`. In it the body of the
//! process finds the new instance, and goes on with that. If anything else happens, the
//! new instance is dropped, and the old one goes on as if there had been none.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::num::NonZeroU64;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lunatic_abi::Guest as _;
use lunatic_account::{Charge, Kind};
use lunatic_engine::{Budget, Instance, MemoryLimiter, MemoryLimits, Module};
use lunatic_mailbox::guest::GuestMailbox;
use lunatic_mailbox::{Mailbox, Message};
use lunatic_reactor::Timer;
use parking_lot::Mutex;
use wasmtime::{AsContextMut, Caller, Result};

use crate::failure::Failure;
use crate::guest::post::ProcessPost;
use crate::guest::requests::AnsweringOutside;
use crate::guest::run::{cause_of, prepare_dense_in_time};
use crate::guest::{Config, ProcessHost};
use crate::process::Process;

/// An attempt to exchange the code of a process.
pub struct Attempt<T: ProcessHost> {
    /// The new code.
    pub module: Module<T>,
    /// The exported function that takes over. It takes and returns nothing.
    pub export: String,
    /// What it finds in its scratch area.
    pub state: Message,
    /// How long it may take until it takes over.
    pub time_limit: Duration,
}

/// What two instances of a process share while one of them may take over from the
/// other.
#[derive(Debug)]
pub(super) struct Handover<T> {
    progress: Mutex<Progress<T>>,
}

#[derive(Debug)]
enum Progress<T> {
    /// The new instance has not taken over yet.
    Running,
    /// It asks for the state of the old one.
    Asking,
    /// This is the state of the old one.
    Given(Box<T>),
    /// The new instance has it.
    Over,
}

/// The future of an instance that runs an export. It returns the instance too, if there was
/// one: to give its memory back can take long, and need not be waited for.
type Running<T> = Pin<Box<dyn Future<Output = (Result<()>, Option<Instance<T>>)> + Send>>;

/// The error with which an instance ends whose process goes on with another one.
pub(super) struct Exchanged<T: ProcessHost> {
    /// Taken out by the body.
    next: Mutex<Option<Next<T>>>,
}

/// The instance with which a process goes on.
pub(super) struct Next<T: ProcessHost> {
    module: Module<T>,
    running: Running<T>,
}

/// Runs an attempt to exchange the code of the caller's process. Returns why the new
/// instance did not take over; the caller has not changed then.
///
/// - `given_up`: why the attempt is to end, if it is. It is asked whenever the process is woken,
///   and not after the new instance has begun to take over.
///
/// # Errors
///
/// If the new instance has taken over. The host function has to end with this error, and
/// not to touch the state of the caller, which is an empty one then.
pub async fn attempt<T: ProcessHost>(
    caller: &mut Caller<'_, T>,
    attempt: Attempt<T>,
    given_up: impl Fn() -> Option<Failure>,
) -> Result<Failure> {
    let handover = Arc::new(Handover {
        progress: Mutex::new(Progress::Running),
    });
    let time_limit = attempt.time_limit;
    // What could fail comes first: the new instance goes on for certain once it asks.
    let empty = match empty_state(caller.data()) {
        Ok(empty) => empty,
        Err(failure) => return Ok(failure),
    };
    let module = attempt.module.clone();
    let mut running = match begin(caller, attempt, handover.clone()) {
        Ok(running) => running,
        Err(failure) => return Ok(failure),
    };
    let mut expired = pin!(Timer::after(time_limit));
    let ended = poll_fn(|cx| {
        if let Some(failure) = given_up() {
            return Poll::Ready(Some(failure));
        }
        if let Poll::Ready((outcome, _)) = running.as_mut().poll(cx) {
            return Poll::Ready(Some(why_not(outcome)));
        }
        if matches!(*handover.progress.lock(), Progress::Asking) {
            return Poll::Ready(None);
        }
        // The new instance does not answer: it is not the process yet.
        caller.answer_requests();
        let time = expired.as_mut().poll(cx);
        time.map(|()| Some(Failure::new(TookTooLong(time_limit))))
    })
    .await;
    if let Some(failure) = ended {
        // Whatever it holds is given back before the old instance goes on.
        drop(running);
        return Ok(failure);
    }
    let state = mem::replace(caller.data_mut(), empty);
    *handover.progress.lock() = Progress::Given(Box::new(state));
    let next = Next { module, running };
    Err(wasmtime::Error::new(Exchanged {
        next: Mutex::new(Some(next)),
    }))
}

/// Makes the caller, which is an instance of an [`attempt`], the process: gives it the
/// state of the old instance. Returns false, and does nothing, if the caller is not one
/// of an attempt, or has taken over already.
pub async fn take_over<T: ProcessHost>(caller: &mut Caller<'_, T>) -> bool {
    let Some(handover) = caller.data_mut().process_mut().incarnation.handover.take() else {
        return false;
    };
    let state = poll_fn(|_| {
        let mut progress = handover.progress.lock();
        match mem::replace(&mut *progress, Progress::Over) {
            Progress::Given(state) => Poll::Ready(state),
            // Who polls this looks whether it is asked after each poll.
            _ => {
                *progress = Progress::Asking;
                Poll::Pending
            }
        }
    })
    .await;
    caller.data_mut().join(*state);
    true
}

/// Goes on with the instance that has taken over, and those after it, until one ends.
///
/// - `old`: the instance before. It is dropped when the new one has run for the first time,
///   so that the process does not wait for that.
pub(super) async fn go_on<T: ProcessHost>(
    process: Process,
    old: Instance<T>,
    mut next: Next<T>,
) -> Result<()> {
    let mut old = Some(old);
    loop {
        let Next { module, running } = next;
        let mut running = pin!(AnsweringOutside::new(&process, &module, running));
        let (outcome, instance) = poll_fn(|cx| {
            let polled = running.as_mut().poll(cx);
            drop(old.take());
            polled
        })
        .await;
        match outcome {
            Err(error) => match Exchanged::next(error) {
                Ok(exchanged) => next = exchanged,
                Err(error) => {
                    if let Some(mut instance) = instance {
                        T::trapped(instance.store().as_context_mut(), &error);
                    }
                    return Err(error);
                }
            },
            ended => return ended,
        }
        old = instance;
    }
}

/// Makes the new instance's state and returns the future in which it runs.
fn begin<T: ProcessHost>(
    caller: &mut Caller<'_, T>,
    attempt: Attempt<T>,
    handover: Arc<Handover<T>>,
) -> Result<Running<T>, Failure> {
    let Attempt {
        module,
        export,
        state: message,
        ..
    } = attempt;
    let budget = remaining_budget(caller)?;
    let state = caller.data();
    let limiter = limiter(state, &module)?;
    prepare_dense_in_time(&state.process().process, &module);
    let guest = state.process().successor(module.clone(), limiter);
    let mut guest = guest.map_err(Failure::new)?;
    guest.incarnation.handover = Some(handover);
    let mut successor = state.successor(guest, mailbox_of(state))?;
    successor.mailbox().put(message);
    Ok(Box::pin(async move {
        let mut instance = match module.instantiate(successor, budget).await {
            Ok(instance) => instance,
            Err(error) => return (Err(error.into()), None),
        };
        drop(module);
        let memory = instance.memory();
        instance.state().process_mut().incarnation.start(memory);
        let outcome = match instance.prepare(&export, Vec::new()) {
            Ok(call) => instance.run(call).await,
            Err(error) => Err(error),
        };
        (outcome, Some(instance))
    }))
}

/// What is left of the caller's budget.
fn remaining_budget<T: ProcessHost>(caller: &mut Caller<'_, T>) -> Result<Budget, Failure> {
    if caller.data().process().config.process().max_fuel.is_none() {
        return Ok(Budget::Unlimited);
    }
    let fuel = caller.as_context_mut().get_fuel();
    let fuel = fuel.map_err(|error| Failure::new(error.to_string()))?;
    let state = caller.data_mut().process_mut();
    let owed = state.incarnation.owed_fuel().map_or(0, |owed| *owed);
    let fuel = fuel.saturating_sub(owed);
    Ok(Budget::Fuel(
        NonZeroU64::new(fuel).unwrap_or(NonZeroU64::MIN),
    ))
}

/// Charges the memory of the new instance beside that of the old one.
fn limiter<T: ProcessHost>(state: &T, module: &Module<T>) -> Result<MemoryLimiter, Failure> {
    let process = state.process();
    let info = module.info();
    let limits = MemoryLimits {
        max_memory: process.config.process().max_memory,
    };
    info.check_limits(&limits).map_err(Failure::new)?;
    let account = process.process.account();
    let charge = Charge::new(account, Kind::LinearMemory, info.instance_bytes());
    let charge = charge.map_err(Failure::new)?;
    Ok(MemoryLimiter::charged(limits, charge, info))
}

/// A mailbox that nobody sends to.
fn mailbox_of<T: ProcessHost>(state: &T) -> GuestMailbox<ProcessPost> {
    let process = state.process();
    let limits = process.config.process().mailbox;
    let (_, mailbox) = Mailbox::new(limits);
    GuestMailbox::new(mailbox, ProcessPost::new(process.process.clone()))
}

/// What the old instance ends with when the new one has its state. It is made before
/// the new instance runs, so that nothing can fail when that has taken over.
fn empty_state<T: ProcessHost>(state: &T) -> Result<T, Failure> {
    let module = state.process().incarnation.module.clone();
    let guest = state.process().successor(module, MemoryLimiter::default());
    state.successor(guest.map_err(Failure::new)?, mailbox_of(state))
}

/// Why an instance that has ended did not take over.
fn why_not(outcome: Result<()>) -> Failure {
    match outcome {
        Ok(()) => Failure::new("the entry returned without taking over"),
        Err(error) => Failure::new(cause_of(&error)),
    }
}

impl<T: ProcessHost> Exchanged<T> {
    /// Returns the instance with which the process goes on, if that is what the error
    /// says.
    ///
    /// # Errors
    ///
    /// The error, if it is another one.
    pub(super) fn next(error: wasmtime::Error) -> Result<Next<T>> {
        let exchanged = error.downcast_ref::<Exchanged<T>>();
        match exchanged.and_then(|exchanged| exchanged.next.lock().take()) {
            Some(next) => Ok(next),
            None => Err(error),
        }
    }
}

/// The error with which a new instance ends that refuses to take over. `trap::catch` does
/// not catch it.
#[derive(Debug)]
pub struct Refused(
    /// Why.
    pub String,
);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// The error of a new instance that has not taken over in time.
#[derive(Debug)]
struct TookTooLong(Duration);

impl fmt::Display for TookTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the entry has not taken over within {:?}", self.0)
    }
}

impl Error for TookTooLong {}

impl<T: ProcessHost> fmt::Display for Exchanged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process goes on with another instance")
    }
}

impl<T: ProcessHost> fmt::Debug for Exchanged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchanged")
    }
}

impl<T: ProcessHost> Error for Exchanged<T> {}

impl<T: ProcessHost> fmt::Debug for Attempt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("module", &self.module)
            .field("export", &self.export)
            .finish_non_exhaustive()
    }
}
