//! Tasks that wake each other, and tasks that yield.

use std::future::Future;

use divan::{Bencher, counter::ItemsCount};
use futures_lite::future;
use lunatic_scheduler::Scheduler;

/// How often it is done for one measurement, so that the way to the worker and
/// back counts little.
const TIMES: u32 = 10_000;

/// Runs a future as a task, and waits for its end.
pub(crate) fn run(scheduler: &Scheduler, task: impl Future<Output = ()> + Send + 'static) {
    let (ended, end) = async_channel::bounded(1);
    scheduler.spawn(async move {
        task.await;
        ended.send(()).await.unwrap();
    });
    end.recv_blocking().unwrap();
}

#[divan::bench]
fn spawn_task(bencher: Bencher<'_, '_>) {
    let scheduler = Scheduler::builder().start().unwrap();
    bencher.counter(ItemsCount::new(TIMES)).bench_local(|| {
        let (sender, receiver) = async_channel::unbounded();
        let inner = scheduler.clone();
        run(&scheduler, async move {
            for _ in 0..TIMES {
                let sender = sender.clone();
                inner.spawn(async move { sender.try_send(()).unwrap() });
            }
            for _ in 0..TIMES {
                receiver.recv().await.unwrap();
            }
        });
    });
    scheduler.stop();
}

#[divan::bench]
fn ping_pong(bencher: Bencher<'_, '_>) {
    let scheduler = Scheduler::builder().start().unwrap();
    bencher.counter(ItemsCount::new(TIMES)).bench_local(|| {
        let (ping, pings) = async_channel::bounded(1);
        let (pong, pongs) = async_channel::bounded(1);
        scheduler.spawn(async move {
            while let Ok(()) = pings.recv().await {
                pong.send(()).await.unwrap();
            }
        });
        run(&scheduler, async move {
            for _ in 0..TIMES {
                ping.send(()).await.unwrap();
                pongs.recv().await.unwrap();
            }
        });
    });
    scheduler.stop();
}

#[divan::bench]
fn yield_to_nobody(bencher: Bencher<'_, '_>) {
    let scheduler = Scheduler::builder().start().unwrap();
    bencher.counter(ItemsCount::new(TIMES)).bench_local(|| {
        run(&scheduler, async {
            for _ in 0..TIMES {
                future::yield_now().await;
            }
        });
    });
    scheduler.stop();
}
