//! Gathers what all parts of a runtime count.

use std::time::{Duration, Instant};

use lunatic_admin::{Count, Measurements, SlotUse, WorkerUse};
use lunatic_engine::EngineStats;
use lunatic_process::END_REASONS;

use crate::admin::asking::before;
use crate::admin::{detail, nodes, stats};
use crate::memory_watch;
use crate::runtime::Runtime;

/// So many mailboxes are looked at. That takes some ten milliseconds, of no worker.
const MAX_MAILBOXES: usize = 200_000;

/// How long a task may wait for the workers until it is not waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a runtime has counted.
pub(super) async fn of(runtime: &Runtime, started: Instant) -> Measurements {
    let mut told = Measurements::default();
    told.version = env!("CARGO_PKG_VERSION").to_owned();
    told.uptime_ms = started.elapsed().as_millis() as u64;
    told.resident_memory = memory_watch::resident();
    told.cpu_us = stats::cpu_time().as_micros() as u64;
    told.account = detail::usage(runtime.environment().account());
    told.timers = runtime.timers().len() as u64;
    told.restarts = lunatic_supervisor::restarts();
    told.sockets = lunatic_net::open_sockets().map(count).into();
    told.reloads = runtime.reload_counts().map(count).into();
    add_processes(runtime, &mut told);
    add_scheduler(runtime, &mut told);
    add_engine(runtime.loader.engine().stats(), &mut told);
    told.delay_us = delay(runtime).await;
    if let Some(cluster) = &runtime.cluster {
        nodes::measure(&cluster.node, &mut told).await;
    }
    told
}

fn count((what, count): (&str, u64)) -> Count {
    Count {
        what: what.to_owned(),
        count,
    }
}

fn add_processes(runtime: &Runtime, told: &mut Measurements) {
    // All environments of a runtime count together, those that are gone too.
    let counts = runtime.environment().counters().get();
    told.messages = counts.messages;
    let ended = END_REASONS.into_iter().zip(counts.ended);
    told.ended = ended.map(count).collect();
    let mut max = MAX_MAILBOXES;
    for environment in runtime.environments() {
        told.processes += environment.process_count() as u64;
        let lengths = environment.mailbox_lengths(max);
        max = max.saturating_sub(lengths.mailboxes as usize);
        told.mailboxes += lengths.mailboxes;
        told.mailbox_messages += lengths.messages;
        told.mailbox_longest = told.mailbox_longest.max(lengths.longest);
    }
    // Whoever was spawned lives, or has ended.
    told.spawned = told.processes + counts.ended.iter().sum::<u64>();
}

fn add_scheduler(runtime: &Runtime, told: &mut Measurements) {
    let stats = runtime.scheduler.stats();
    let workers = stats.workers.iter().map(|worker| WorkerUse {
        busy_us: worker.busy.as_micros() as u64,
        tasks: worker.tasks,
        queued: worker.queued as u64,
    });
    told.workers = workers.collect();
    told.queued = stats.queued as u64;
}

fn add_engine(stats: EngineStats, told: &mut Measurements) {
    told.cache_hits = stats.cache_hits;
    told.cache_misses = stats.cache_misses;
    let Some(arena) = stats.arena else {
        return;
    };
    let slots = |kind: &str, slots: lunatic_engine::SlotUse| SlotUse {
        kind: kind.to_owned(),
        slot_bytes: slots.slot_bytes as u64,
        used: slots.used as u64,
        free: slots.free as u64,
    };
    told.slots.push(slots("stack", arena.stacks));
    let memories = arena.memories.into_iter();
    told.slots
        .extend(memories.map(|used| slots("memory", used)));
    let guarded = arena.guarded.into_iter();
    told.slots
        .extend(guarded.map(|used| slots("guarded memory", used)));
}

/// How long a task waits until a worker runs it.
async fn delay(runtime: &Runtime) -> Option<u64> {
    let (sender, receiver) = async_channel::bounded(1);
    let queued = Instant::now();
    runtime.scheduler.spawn(async move {
        sender.try_send(queued.elapsed()).ok();
    });
    let run = async { receiver.recv().await.ok() };
    let delay = before(queued + PATIENCE, run).await?;
    Some(delay.as_micros() as u64)
}
