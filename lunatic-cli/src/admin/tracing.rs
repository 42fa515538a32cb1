//! Tells clients what processes do and print.

use std::time::{Duration, Instant};

use futures_lite::stream;
use lunatic_admin::{
    Answer, MAX_TRACE_MS, Refusal, RefusalKind, Response, Traced, TracedEvent, cut,
};
use lunatic_mailbox::{Pid, PidSet, Tag};
use lunatic_process::{Environment, Process, Signal, Trace, TraceEvent, TraceOptions};

use crate::admin::asking::before;
use crate::admin::{NOBODY, processes};

/// A trace, and when it ends.
struct Tracing {
    trace: Trace,
    began: Instant,
    deadline: Option<Instant>,
    /// So many events may come yet.
    left: u64,
}

/// Tells what a process does, or all below it too.
pub(super) fn trace(process: &Process, request: &lunatic_admin::Trace) -> Result<Answer, Refusal> {
    let options = TraceOptions {
        processes: Some(named(process, request.tree)),
        children: request.tree,
        ..TraceOptions::default()
    };
    let time = Duration::from_millis(request.for_ms.min(MAX_TRACE_MS));
    let left = request.count.unwrap_or(u64::MAX);
    begin(process.environment(), options, Some(time), left)
}

/// Tells what processes print, and how they end.
///
/// - `process`: `None` for all.
pub(super) fn logs(
    environment: &Environment,
    process: Option<&Process>,
    tree: bool,
) -> Result<Answer, Refusal> {
    let options = TraceOptions {
        processes: process.map(|process| named(process, tree)),
        children: tree,
        output: true,
        ..TraceOptions::default()
    };
    begin(environment, options, None, u64::MAX)
}

fn begin(
    environment: &Environment,
    options: TraceOptions,
    time: Option<Duration>,
    left: u64,
) -> Result<Answer, Refusal> {
    let trace = environment.trace(options);
    let trace = trace.map_err(|error| Refusal::new(RefusalKind::Busy, error))?;
    let began = Instant::now();
    let tracing = Tracing {
        trace,
        began,
        deadline: time.map(|time| began + time),
        left,
    };
    Ok(Answer::stream(stream::unfold(
        tracing,
        |mut tracing| async {
            let response = tracing.next().await?;
            Some((response, tracing))
        },
    )))
}

impl Tracing {
    /// The next event; `None` if there are no more.
    async fn next(&mut self) -> Option<Response> {
        if self.left == 0 || !self.trace.has_processes() && self.trace.is_empty() {
            return self.last();
        }
        let next = self.trace.next();
        let next = match self.deadline {
            Some(deadline) => before(deadline, next).await,
            None => next.await,
        };
        let Some(traced) = next else {
            return self.last();
        };
        self.left -= 1;
        let at = traced.at.saturating_duration_since(self.began);
        Some(Response::Traced(Traced {
            pid: processes::id(traced.process),
            at_us: at.as_micros() as u64,
            event: event(traced.event),
        }))
    }

    /// Tells at the end what was lost.
    fn last(&mut self) -> Option<Response> {
        self.left = 0;
        let count = self.trace.take_lost();
        (count > 0).then(|| {
            Response::Traced(Traced {
                pid: processes::id(NOBODY),
                at_us: self.began.elapsed().as_micros() as u64,
                event: TracedEvent::Lost { count },
            })
        })
    }
}

/// A process, or also the living ones below it.
fn named(process: &Process, tree: bool) -> Vec<Pid> {
    if !tree {
        return vec![process.id()];
    }
    let mut all = process.environment().processes();
    // Parents are older than their children.
    all.sort_unstable_by_key(Process::id);
    let mut below = PidSet::default();
    below.insert(process.id());
    for other in all {
        if other.parent().is_some_and(|parent| below.contains(&parent)) {
            below.insert(other.id());
        }
    }
    below.into_iter().collect()
}

fn event(event: TraceEvent) -> TracedEvent {
    let tag = |tag: Option<Tag>| tag.map(Tag::get);
    match event {
        TraceEvent::Spawned { child, label } => TracedEvent::Spawned {
            child: processes::id(child),
            label: label.as_deref().map(cut),
        },
        TraceEvent::Sent { to, tag: of, bytes } => TracedEvent::Sent {
            to: processes::id(to),
            tag: tag(of),
            bytes: bytes as u64,
        },
        TraceEvent::Received {
            from,
            tag: of,
            bytes,
        } => TracedEvent::Received {
            from: from.map(processes::id),
            tag: tag(of),
            bytes: bytes as u64,
        },
        TraceEvent::Signal(signal) => signalled(signal),
        TraceEvent::Printed { is_error, bytes } => TracedEvent::Printed {
            stderr: is_error,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        },
        TraceEvent::Ended(reason) => TracedEvent::Ended {
            reason: cut(&reason.to_string()),
        },
        TraceEvent::Lost(count) => TracedEvent::Lost { count },
        _ => TracedEvent::Other,
    }
}

fn signalled(signal: Signal) -> TracedEvent {
    match signal {
        Signal::Kill => TracedEvent::Killed,
        Signal::DieWhenLinkDies(die) => TracedEvent::TrapsExits { traps: !die },
        Signal::TrapExits => TracedEvent::TrapsExits { traps: true },
        Signal::Exit { from, reason, .. } => TracedEvent::ExitSignal {
            from: (from != NOBODY).then(|| processes::id(from)),
            reason: cut(&reason.to_string()),
        },
        Signal::Link { peer, .. } => TracedEvent::Linked {
            peer: processes::id(peer),
        },
        Signal::Unlink { peer } => TracedEvent::Unlinked {
            peer: processes::id(peer),
        },
        Signal::LinkDied { peer, reason, .. } => TracedEvent::LinkDied {
            peer: processes::id(peer),
            reason: cut(&reason.to_string()),
        },
        Signal::Monitor { watcher } => TracedEvent::Monitored {
            by: processes::id(watcher),
        },
        Signal::StopMonitoring { watcher } => TracedEvent::NotMonitored {
            by: processes::id(watcher),
        },
        Signal::ProcessDied { process, .. } => TracedEvent::ProcessDied {
            process: processes::id(process),
        },
        _ => TracedEvent::Other,
    }
}
