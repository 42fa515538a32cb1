//! Processes that are plain Rust.

use divan::{Bencher, counter::ItemsCount};
use lunatic_mailbox::{DataMessage, Message, Pid, Wanted};
use lunatic_process::{Environment, SpawnOptions};
use lunatic_scheduler::Scheduler;

use crate::scheduler::run;

/// How often it is done for one measurement.
const TIMES: u32 = 10_000;

fn environment() -> Environment {
    Environment::new(1, Scheduler::builder().start().unwrap())
}

fn number() -> Message {
    DataMessage::new(None, *b"a number").into()
}

#[divan::bench]
fn spawn_and_end(bencher: Bencher<'_, '_>) {
    let environment = environment();
    bencher.counter(ItemsCount::new(TIMES)).bench_local(|| {
        let inner = environment.clone();
        run(environment.scheduler(), async move {
            for _ in 0..TIMES {
                let spawned = inner.spawn(SpawnOptions::default(), |_| async { Ok(()) });
                spawned.unwrap().wait().await;
            }
        });
    });
    environment.scheduler().stop();
}

#[divan::bench]
fn ping_pong(bencher: Bencher<'_, '_>) {
    let environment = environment();
    bencher.counter(ItemsCount::new(TIMES)).bench_local(|| {
        let echo = environment.clone();
        let partner = environment.spawn(SpawnOptions::default(), move |mut own| async move {
            // Its ids go up: the next one is that of the other.
            let other = Pid::from_bits(own.process.id().to_bits() + 1);
            for _ in 0..TIMES {
                let message = own.mailbox.receive(Wanted::Any).await;
                echo.send(None, other, message).ok();
            }
            Ok(())
        });
        let partner = partner.unwrap().id();
        let ping = environment.clone();
        let other = environment.spawn(SpawnOptions::default(), move |mut own| async move {
            for _ in 0..TIMES {
                ping.send(None, partner, number()).ok();
                own.mailbox.receive(Wanted::Any).await;
            }
            Ok(())
        });
        futures_lite::future::block_on(other.unwrap().wait());
    });
    environment.scheduler().stop();
}
