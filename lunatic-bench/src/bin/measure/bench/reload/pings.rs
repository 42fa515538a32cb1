//! Processes that take part in no reload, and what they notice of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_io::Timer;
use futures_lite::future::block_on;
use lunatic_cli::Runtime;
use lunatic_mailbox::{DataMessage, Wanted};
use lunatic_process::{Context, Environment, Process, SpawnOptions};
use parking_lot::Mutex;

/// How long it is between two pings.
const PING_INTERVAL: Duration = Duration::from_micros(200);

/// Two processes that send a message to and fro, and measure how long that takes.
pub(super) struct Pings {
    stop: Arc<AtomicBool>,
    times: Arc<Mutex<Vec<Duration>>>,
    ping: Process,
    pong: Process,
}

impl Pings {
    pub(super) fn start(environment: &Environment) -> Result<Pings> {
        let (stop, times) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let answer_to = Arc::new(Mutex::new(None::<Process>));
        let asked_by = answer_to.clone();
        let pong = environment.spawn(SpawnOptions::default(), |mut own: Context| async move {
            loop {
                own.mailbox.receive(Wanted::Any).await;
                let asked_by = asked_by.lock().clone();
                if let Some(ping) = asked_by {
                    ping.send(DataMessage::default().into()).ok();
                }
            }
        })?;
        let (asked, stopped, noted) = (pong.clone(), stop.clone(), times.clone());
        let ping = environment.spawn(SpawnOptions::default(), |mut own: Context| async move {
            *answer_to.lock() = Some(own.process.clone());
            while !stopped.load(Ordering::Relaxed) {
                let begin = Instant::now();
                asked.send(DataMessage::default().into()).ok();
                own.mailbox.receive(Wanted::Any).await;
                noted.lock().push(begin.elapsed());
                Timer::after(PING_INTERVAL).await;
            }
            Ok(())
        })?;
        Ok(Pings {
            stop,
            times,
            ping,
            pong,
        })
    }

    pub(super) fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        block_on(self.ping.wait());
        self.pong.kill();
        std::mem::take(&mut self.times.lock())
    }

    /// Sorted.
    pub(super) fn for_a_while(runtime: &Runtime, time: Duration) -> Result<Vec<Duration>> {
        let pings = Pings::start(runtime.environment()).context("no ping")?;
        thread::sleep(time);
        let mut times = pings.stop();
        times.sort_unstable();
        Ok(times)
    }
}

/// Runs processes that compute for a while, each alone, and returns the time of each by the clock.
/// Only a worker thread that the system stops during the computation makes it longer.
pub(super) fn computing(
    runtime: &Runtime,
    processes: usize,
    time: Duration,
) -> Result<Vec<Duration>> {
    /// The number of processes at a time.
    const BATCH: usize = 64;
    let times = Arc::new(Mutex::new(Vec::with_capacity(processes)));
    let mut left = processes;
    while left > 0 {
        let batch = left.min(BATCH);
        let spawned: Vec<Process> = (0..batch)
            .map(|_| {
                let noted = times.clone();
                let spins = move |_: Context| async move {
                    let begin = Instant::now();
                    while begin.elapsed() < time {
                        std::hint::spin_loop();
                    }
                    noted.lock().push(begin.elapsed());
                    Ok(())
                };
                runtime.environment().spawn(SpawnOptions::default(), spins)
            })
            .collect::<Result<_, _>>()?;
        for process in spawned {
            block_on(process.wait());
        }
        left -= batch;
    }
    let mut times = std::mem::take(&mut *times.lock());
    times.sort_unstable();
    Ok(times)
}
