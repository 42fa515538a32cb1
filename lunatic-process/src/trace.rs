//! Tells those who ask what processes do while they ask.
//!
//! A process that is traced has a bit of its attention set; the others pay nothing. What
//! happens to it is queued for whoever traces it, up to a limit: who does not read loses
//! the rest, and is told how much.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TrySendError};
use lunatic_mailbox::{Message, Pid, PidSet, Tag};
use parking_lot::{Mutex, RwLock};

use crate::environment::{Environment, WeakEnvironment};
use crate::exit::ExitReason;
use crate::process::Process;
use crate::rate_limit::RateLimit;
use crate::signal::Signal;

/// Whom to trace, and what of them.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// These processes; `None` for all, those to come among them.
    pub processes: Option<Vec<Pid>>,
    /// Also what they spawn from now on, and what that spawns.
    pub children: bool,
    /// What they print, instead of what they do. Their ends are told in any case.
    pub output: bool,
    /// So many events are queued at most.
    pub queue: usize,
    /// So many events in a second at most.
    pub per_second: u32,
}

/// Something that a traced process has done, or that was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Who.
    pub process: Pid,
    /// When.
    pub at: Instant,
    /// What.
    pub event: TraceEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceEvent {
    /// It has spawned a process.
    Spawned {
        /// The new one.
        child: Pid,
        /// The name for people that the new one was given.
        label: Option<Arc<str>>,
    },
    /// It sends a message. That tells not whether it arrives.
    Sent {
        /// To whom.
        to: Pid,
        /// The tag.
        tag: Option<Tag>,
        /// The size of the data, in bytes.
        bytes: usize,
    },
    /// A message arrives in its mailbox.
    Received {
        /// Who has sent it; `None` if that is not known on this node.
        from: Option<Pid>,
        /// The tag.
        tag: Option<Tag>,
        /// The size of the data, in bytes.
        bytes: usize,
    },
    /// A signal has arrived.
    Signal(Signal),
    /// It has printed something.
    Printed {
        /// To standard error instead of standard output.
        is_error: bool,
        /// A piece of it, of [`MAX_PRINTED_BYTES`] at most.
        bytes: Vec<u8>,
    },
    /// It has ended.
    Ended(ExitReason),
    /// So many events before this one were lost, of whichever processes. The id is that of
    /// the process of the next event.
    Lost(u64),
}

/// What is printed at once is told in pieces of so many bytes.
pub const MAX_PRINTED_BYTES: usize = 4096;

/// Of what is printed at once, so many pieces are told; the others are lost.
const MAX_PIECES: usize = 16;

/// So many traces at once in an environment.
const MAX_TRACES: usize = 16;

/// So many processes are known by name to one trace; those spawned beyond are not traced.
const MAX_TRACED: usize = 100_000;

/// What happens to traced processes, in order. Nobody is traced for it any more when it is
/// dropped.
#[derive(Debug)]
pub struct Trace {
    tracer: Arc<Tracer>,
    events: Receiver<Traced>,
    environment: WeakEnvironment,
    /// The event before which the loss of others is told.
    next: Option<Traced>,
}

/// There are so many traces that no more are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTraces;

/// Who traces processes of an environment.
#[derive(Debug, Default)]
pub(crate) struct Tracers(RwLock<Vec<Arc<Tracer>>>);

#[derive(Debug)]
struct Tracer {
    /// `None` for all.
    processes: Option<Mutex<PidSet>>,
    children: bool,
    output: bool,
    events: Sender<Traced>,
    lost: AtomicU64,
    rate: Mutex<RateLimit>,
}

/// What of a process is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Interest {
    /// What it does.
    pub(crate) events: bool,
    /// What it prints.
    pub(crate) output: bool,
}

impl Default for TraceOptions {
    /// What all processes do: 1024 events queued, 10 000 in a second.
    fn default() -> TraceOptions {
        TraceOptions {
            processes: None,
            children: false,
            output: false,
            queue: 1024,
            per_second: 10_000,
        }
    }
}

impl TraceEvent {
    pub(crate) fn sent(to: Pid, message: &Message) -> TraceEvent {
        TraceEvent::Sent {
            to,
            tag: message.tag(),
            bytes: data_bytes(message),
        }
    }

    pub(crate) fn received(from: Option<Pid>, message: &Message) -> TraceEvent {
        TraceEvent::Received {
            from,
            tag: message.tag(),
            bytes: data_bytes(message),
        }
    }
}

fn data_bytes(message: &Message) -> usize {
    match message {
        Message::Data(data) => data.bytes().len(),
        _ => 0,
    }
}

impl Tracer {
    fn traces(&self, process: Pid) -> bool {
        let processes = self.processes.as_ref();
        processes.is_none_or(|processes| processes.lock().contains(&process))
    }

    fn wants(&self, event: &TraceEvent) -> bool {
        match event {
            TraceEvent::Ended(_) | TraceEvent::Lost(_) => true,
            TraceEvent::Printed { .. } => self.output,
            _ => !self.output,
        }
    }

    fn tell(&self, process: Pid, at: Instant, event: &TraceEvent) {
        let event = Traced {
            process,
            at,
            event: event.clone(),
        };
        let is_admitted = {
            let mut rate = self.rate.lock();
            // What it has counted is counted here too.
            rate.flush_if_due(at);
            rate.admits(at)
        };
        if !is_admitted || is_full(self.events.try_send(event)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether an event is lost; one that nobody waits for any more is not.
fn is_full(sent: Result<(), TrySendError<Traced>>) -> bool {
    matches!(sent, Err(TrySendError::Full(_)))
}

impl Tracers {
    /// Tells an event to all who want it.
    pub(crate) fn tell(&self, process: Pid, event: &TraceEvent) {
        let at = Instant::now();
        for tracer in self.0.read().iter() {
            if tracer.wants(event) && tracer.traces(process) {
                tracer.tell(process, at, event);
            }
        }
    }

    /// Tells what a process has printed.
    pub(crate) fn tell_printed(&self, process: Pid, is_error: bool, printed: &[u8]) {
        for (number, piece) in printed.chunks(MAX_PRINTED_BYTES).enumerate() {
            let event = match number {
                0..MAX_PIECES => TraceEvent::Printed {
                    is_error,
                    bytes: piece.to_vec(),
                },
                _ => {
                    let left_out = printed.len().div_ceil(MAX_PRINTED_BYTES) - number;
                    for tracer in self.0.read().iter() {
                        if tracer.output && tracer.traces(process) {
                            tracer.lost.fetch_add(left_out as u64, Ordering::Relaxed);
                        }
                    }
                    return;
                }
            };
            self.tell(process, &event);
        }
    }

    /// A process was spawned, and has not run yet. Returns what of it is traced.
    pub(crate) fn born(
        &self,
        parent: Option<Pid>,
        child: Pid,
        label: Option<Arc<str>>,
    ) -> Interest {
        let mut interest = Interest::default();
        let at = Instant::now();
        for tracer in self.0.read().iter() {
            let is_of_parent = parent.is_some_and(|parent| tracer.traces(parent));
            if let (true, Some(parent)) = (is_of_parent && !tracer.output, parent) {
                let label = label.clone();
                tracer.tell(parent, at, &TraceEvent::Spawned { child, label });
            }
            let is_traced = match &tracer.processes {
                None => true,
                Some(processes) if is_of_parent && tracer.children => {
                    let mut processes = processes.lock();
                    processes.len() < MAX_TRACED && processes.insert(child)
                }
                Some(_) => false,
            };
            interest.add(tracer, is_traced);
        }
        interest
    }

    /// A process is no more.
    pub(crate) fn ended(&self, process: Pid, reason: &ExitReason) {
        let (at, event) = (Instant::now(), TraceEvent::Ended(reason.clone()));
        for tracer in self.0.read().iter() {
            let processes = tracer.processes.as_ref();
            // Who is told that the last one has ended finds none left.
            if processes.is_none_or(|processes| processes.lock().remove(&process)) {
                tracer.tell(process, at, &event);
            }
        }
    }

    /// What of a process is traced.
    pub(crate) fn interest(&self, process: Pid) -> Interest {
        let mut interest = Interest::default();
        for tracer in self.0.read().iter() {
            interest.add(tracer, tracer.traces(process));
        }
        interest
    }
}

impl Interest {
    fn add(&mut self, tracer: &Tracer, is_traced: bool) {
        self.events |= is_traced && !tracer.output;
        self.output |= is_traced && tracer.output;
    }
}

impl Environment {
    /// Begins to trace processes.
    ///
    /// # Errors
    ///
    /// [`TooManyTraces`] if there are 16 already.
    ///
    /// # Examples
    ///
    /// ```
    /// use lunatic_process::{Environment, SpawnOptions, TraceEvent, TraceOptions};
    /// use lunatic_scheduler::Scheduler;
    ///
    /// let scheduler = Scheduler::builder().start().unwrap();
    /// let environment = Environment::new(1, scheduler.clone());
    /// let mut trace = environment.trace(TraceOptions::default()).unwrap();
    /// let process = environment
    ///     .spawn(SpawnOptions::default(), |_| async { Ok(()) })
    ///     .unwrap();
    /// let traced = futures_lite::future::block_on(trace.next()).unwrap();
    /// assert_eq!(traced.process, process.id());
    /// assert!(matches!(traced.event, TraceEvent::Ended(reason) if reason.is_normal()));
    /// scheduler.stop();
    /// ```
    pub fn trace(&self, options: TraceOptions) -> Result<Trace, TooManyTraces> {
        let (sender, events) = async_channel::bounded(options.queue.max(1));
        let named = options.processes.as_ref();
        let named = named.map(|named| named.iter().take(MAX_TRACED).copied().collect());
        let tracer = Arc::new(Tracer {
            processes: named.map(Mutex::new),
            children: options.children,
            output: options.output,
            events: sender,
            lost: AtomicU64::new(0),
            rate: Mutex::new(RateLimit::new(options.per_second, Duration::from_secs(1))),
        });
        {
            let mut tracers = self.tracers().0.write();
            if tracers.len() >= MAX_TRACES {
                return Err(TooManyTraces);
            }
            tracers.push(tracer.clone());
            self.set_traced(true);
        }
        // Who is born since is told of by `born`.
        let living = match &options.processes {
            None => self.processes(),
            Some(named) => named.iter().filter_map(|id| self.process(*id)).collect(),
        };
        self.look_again(&living);
        if let Some(processes) = &tracer.processes {
            // Not under the lock: who sends holds one of the table already.
            let is_gone = |id: &Pid| !self.process(*id).is_some_and(|it| it.is_alive());
            let named = options.processes.iter().flatten();
            for gone in named.copied().filter(is_gone).collect::<Vec<_>>() {
                processes.lock().remove(&gone);
            }
        }
        Ok(Trace {
            tracer,
            events,
            environment: self.downgrade(),
            next: None,
        })
    }

    /// Sets what of these processes is traced.
    fn look_again(&self, processes: &[Process]) {
        for process in processes {
            process.set_traced(self.tracers());
        }
    }
}

impl Trace {
    /// Waits for the next event; `None` if the environment is gone.
    ///
    /// If events were lost, [`TraceEvent::Lost`] comes first.
    pub async fn next(&mut self) -> Option<Traced> {
        let event = match self.next.take() {
            Some(event) => return Some(event),
            None => self.events.recv().await.ok()?,
        };
        match self.tracer.lost.swap(0, Ordering::Relaxed) {
            0 => Some(event),
            lost => {
                let lost = Traced {
                    event: TraceEvent::Lost(lost),
                    ..event
                };
                self.next = Some(event);
                Some(lost)
            }
        }
    }

    /// How many events were lost since the last one was told.
    pub fn take_lost(&self) -> u64 {
        self.tracer.lost.swap(0, Ordering::Relaxed)
    }

    /// Whether a process that was named, or one that it has spawned, still lives.
    pub fn has_processes(&self) -> bool {
        let processes = self.tracer.processes.as_ref();
        processes.is_none_or(|processes| !processes.lock().is_empty())
    }

    /// Whether no event is queued.
    pub fn is_empty(&self) -> bool {
        self.next.is_none() && self.events.is_empty()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let Some(environment) = self.environment.upgrade() else {
            return;
        };
        let tracers = environment.tracers();
        {
            let mut all = tracers.0.write();
            all.retain(|tracer| !Arc::ptr_eq(tracer, &self.tracer));
            environment.set_traced(!all.is_empty());
        }
        let traced = match &self.tracer.processes {
            None => environment.processes(),
            Some(named) => {
                let named: Vec<Pid> = named.lock().iter().copied().collect();
                let living = named.into_iter().filter_map(|id| environment.process(id));
                living.collect()
            }
        };
        environment.look_again(&traced);
    }
}

impl fmt::Display for TooManyTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAX_TRACES} traces go on already")
    }
}

impl std::error::Error for TooManyTraces {}
