//! The task that runs the body of a process and, in one place, its death.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_io::Timer;
use lunatic_mailbox::Leftover;

use crate::exit::ExitReason;
use crate::failure::{Failure, FailureKind};
use crate::process::{Process, Teardown};
use crate::signal::Signal;

/// A process as a task.
pub(crate) struct Life<F> {
    process: Process,
    /// The body, until the process dies.
    body: Option<Pin<Box<F>>>,
    /// Why it dies, while the messages of a long mailbox are being dropped.
    ending: Option<Box<Ending>>,
    /// Who is woken for a request to exit; kept to see cheaply whether it changed.
    waker: Option<Waker>,
    /// Rings when the process may run again, if its account has used up its CPU time.
    pause: Option<Box<Timer>>,
    /// Somebody else tells of its failure.
    awaited: bool,
}

impl<F: Future<Output = Result<(), Failure>>> Life<F> {
    pub(crate) fn new(process: Process, body: F, awaited: bool) -> Life<F> {
        Life {
            process,
            body: Some(Box::pin(body)),
            ending: None,
            waker: None,
            pause: None,
            awaited,
        }
    }

    /// Lets the body run; why it is over, if it is.
    fn live(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        if let Some(reason) = self.process.pending_exit() {
            return Poll::Ready(reason);
        }
        let started = self.process.is_measured().then(Instant::now);
        if started.is_some_and(|now| self.is_paused(now, cx)) {
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else {
            return Poll::Pending;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx)));
        if let Some(started) = started {
            self.process.add_cpu_time(started);
        }
        match polled {
            Ok(Poll::Pending) => self
                .process
                .pending_exit()
                .map_or(Poll::Pending, Poll::Ready),
            Ok(Poll::Ready(Ok(()))) => Poll::Ready(ExitReason::Normal),
            Ok(Poll::Ready(Err(failure))) => Poll::Ready(failure.into()),
            Err(panic) => Poll::Ready(panicked(&*panic)),
        }
    }

    /// Whether the process has to wait until its account has CPU time again. The task
    /// is woken then.
    fn is_paused(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let delay = self.process.account().cpu_delay(now);
        if delay.is_zero() {
            self.pause = None;
            return false;
        }
        let pause = self.pause.insert(Box::new(Timer::after(delay)));
        if Pin::new(&mut **pause).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        true
    }

    fn keep_waker(&mut self, waker: &Waker) {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if !known {
            self.process.wake_with(waker);
            self.waker = Some(waker.clone());
        }
    }
}

impl<F: Future<Output = Result<(), Failure>>> Future for Life<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.keep_waker(cx.waker());
        let mut ending = match self.ending.take() {
            Some(ending) => *ending,
            None => match self.live(cx) {
                Poll::Ready(reason) => Ending::begin(&self.process, reason),
                Poll::Pending => return Poll::Pending,
            },
        };
        if ending.drop_some(&self.process) {
            self.ending = Some(Box::new(ending));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let body = self.body.take();
        die(&self.process, body, &ending.reason, self.awaited);
        Poll::Ready(())
    }
}

/// The first part of a death, which may take several polls.
struct Ending {
    reason: ExitReason,
    mailbox: Leftover,
}

impl Ending {
    fn begin(process: &Process, reason: ExitReason) -> Ending {
        process.environment().remove(process.id());
        Ending {
            reason,
            mailbox: process.close_mailbox(),
        }
    }

    /// Drops messages; whether there are more.
    fn drop_some(&mut self, process: &Process) -> bool {
        /// So many are dropped in one poll.
        const PIECE: usize = 256;
        let mut more = true;
        undisturbed(process, || more = self.mailbox.drop_some(PIECE));
        more
    }
}

/// A task that is thrown away is a process that is killed.
impl<F> Drop for Life<F> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            die(&self.process, Some(body), &ExitReason::Killed, self.awaited);
        }
    }
}

/// Makes the body of a process; if that panics, the process has failed.
pub(crate) fn begin<F>(process: &Process, awaited: bool, make: impl FnOnce() -> F) -> Option<F> {
    catch_unwind(AssertUnwindSafe(make))
        .inspect_err(|panic| die::<F>(process, None, &panicked(&**panic), awaited))
        .ok()
}

/// Everything that happens when a process ends, in this order.
fn die<F>(process: &Process, body: Option<Pin<Box<F>>>, reason: &ExitReason, awaited: bool) {
    process.environment().remove(process.id());
    undisturbed(process, || drop(process.close_mailbox()));
    undisturbed(process, || drop(body));
    let Teardown {
        relations,
        at_exit,
        label,
        ..
    } = process.end(reason);
    log_death(
        process,
        label.as_deref(),
        reason,
        relations.link_count(),
        awaited,
    );
    for hook in at_exit {
        undisturbed(process, || hook(reason));
    }
    let environment = process.environment();
    for (peer, tag) in relations.links() {
        let died = Signal::LinkDied {
            peer: process.id(),
            tag,
            reason: reason.clone(),
        };
        // A process that has ended meanwhile need not be told.
        environment.signal(peer, died).ok();
    }
    for watcher in relations.watchers() {
        let died = Signal::ProcessDied {
            process: process.id(),
        };
        environment.signal(watcher, died).ok();
    }
    process.announce_end();
    environment.release(process.account());
}

/// Runs foreign code whose panic must not keep a death from being told.
fn undisturbed(process: &Process, foreign: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(foreign)) {
        tracing::error!(
            process = %process.id(),
            "a panic while the process ended: {}",
            panic_message(&*panic)
        );
    }
}

/// A failure is worth a warning where it began, not again for every process
/// that it takes along, nor where somebody else tells of it.
fn log_death(
    process: &Process,
    label: Option<&str>,
    reason: &ExitReason,
    links: usize,
    awaited: bool,
) {
    let is_origin = |failure: &Failure| !matches!(failure.kind(), FailureKind::LinkDied { .. });
    let id = process.id();
    let name = label.unwrap_or("unnamed");
    match reason {
        ExitReason::Normal => tracing::trace!(process = %id, name, "ended"),
        ExitReason::Failed(failure) if !awaited && is_origin(failure) => {
            tracing::warn!(process = %id, name, links, "failed: {reason}");
        }
        _ => tracing::info!(process = %id, name, links, "ended: {reason}"),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ExitReason {
    let message = panic_message(panic);
    ExitReason::Failed(Failure::with_message(FailureKind::Panicked, message))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_string())
}
