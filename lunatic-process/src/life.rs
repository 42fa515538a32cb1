//! The task that runs the body of a process and, in one place, its death.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use event_listener::EventListener;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_reactor::Timer;
use tracing::Level;

use crate::death_notices::{DeathNotices, undisturbed};
use crate::exit::ExitReason;
use crate::failure::{Failure, FailureKind, panic_message};
use crate::process::{Process, Teardown};

/// A process as a task.
pub(crate) struct Life<F> {
    process: Process,
    /// The body, until the process dies.
    body: Option<Pin<Box<F>>>,
    /// Who is woken for a request to exit; kept to see cheaply whether it changed.
    waker: Option<Waker>,
    /// Rings when the process may run again, if its account has used up its CPU time.
    pause: Option<Box<Timer>>,
    /// The body is not polled before this.
    hold: Option<EventListener>,
    /// Somebody else tells of its failure.
    awaited: bool,
}

impl<F: Future<Output = Result<(), Failure>>> Life<F> {
    pub(crate) fn new(process: Process, body: F, awaited: bool) -> Life<F> {
        Life {
            process,
            body: Some(Box::pin(body)),
            waker: None,
            pause: None,
            hold: None,
            awaited,
        }
    }

    /// Lets the body run; why it is over, if it is.
    fn live(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        if let Some(reason) = self.process.pending_exit() {
            return Poll::Ready(reason);
        }
        let is_held = self.is_held(cx);
        let started = self.process.is_measured().then(Instant::now);
        let is_paused = !is_held && started.is_some_and(|now| self.is_paused(now, cx));
        if (is_held || is_paused) && !self.is_asked() {
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else {
            return Poll::Pending;
        };
        let only_answers = is_held || is_paused;
        if only_answers {
            self.process.set_only_answers(true);
        }
        let running = self.process.run();
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx)));
        drop(running);
        if only_answers {
            self.process.set_only_answers(false);
        }
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

    /// Whether there are requests that its body answers. For these it is polled even while it is
    /// paused or held, and runs no code of the guest then: it could not be found by what it runs
    /// otherwise.
    fn is_asked(&self) -> bool {
        self.process.has_requests() && self.process.answers_requests()
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

    /// Whether the process is held; see [`Process::hold_until`]. The task is woken when it
    /// is not any more.
    fn is_held(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(hold) = self.process.take_hold() {
            self.hold = Some(hold);
        }
        let Some(hold) = &mut self.hold else {
            return false;
        };
        let is_held = Pin::new(hold).poll(cx).is_pending();
        if !is_held {
            self.hold = None;
        }
        is_held
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
        let Poll::Ready(reason) = self.live(cx) else {
            return Poll::Pending;
        };
        let body = self.body.take();
        die(&self.process, body, &reason, self.awaited);
        Poll::Ready(())
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
    process.environment().count_end(reason);
    let queued = process.close_mailbox();
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
    DeathNotices::new(process, reason, queued, at_exit, relations).tell();
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
    let admits = || process.environment().admits_log_line(process.account());
    let shown = on_one_line(reason, MAX_LOGGED_BYTES);
    match reason {
        ExitReason::Normal => tracing::trace!(process = %id, name, "ended"),
        ExitReason::Failed(failure) if !awaited && is_origin(failure) => {
            if tracing::enabled!(Level::WARN) && admits() {
                tracing::warn!(process = %id, name, links, "failed: {shown}");
            }
        }
        _ => {
            if tracing::enabled!(Level::INFO) && admits() {
                tracing::info!(process = %id, name, links, "ended: {shown}");
            }
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ExitReason {
    let message = panic_message(panic);
    ExitReason::Failed(Failure::with_message(FailureKind::Panicked, message))
}
