//! Timers that are set, cancelled and fired, up to a million at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use divan::{Bencher, counter::ItemsCount};
use futures_lite::future::{block_on, or};
use lunatic_timer::{Timer, Timers};

const MILLION: usize = 1_000_000;

/// Far enough away never to be due here.
const LATER: Duration = Duration::from_secs(3600);

/// Times in no order, between 0 and this.
fn scattered(number: usize, within: Duration) -> Duration {
    /// Spreads numbers that follow each other over all of 32 bits.
    const SPREAD: u32 = 0x9e37_79b1;
    let part = (number as u32).wrapping_mul(SPREAD);
    within.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

fn pending(number: usize) -> (Timers, Vec<Timer>) {
    let timers = Timers::new();
    let set = |number| timers.after(LATER + scattered(number, LATER), || ());
    let pending = (0..number).map(|number| set(number).unwrap()).collect();
    (timers, pending)
}

#[divan::bench(args = [0, MILLION])]
fn set_and_cancel(bencher: Bencher<'_, '_>, others: usize) {
    let (timers, _others) = pending(others);
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        let timer = timers.after(LATER + scattered(number, LATER), || ());
        assert!(timer.unwrap().cancel());
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn set_a_million(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(MILLION))
        .bench_local(|| pending(MILLION));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn cancel_a_million(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(MILLION))
        .with_inputs(|| pending(MILLION))
        .bench_local_values(|(timers, pending)| {
            for timer in pending {
                assert!(timer.cancel());
            }
            timers
        });
}

/// A million that are all due by the time the first fires.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn fire_a_million(bencher: Bencher<'_, '_>) {
    /// They are set for longer than that.
    const SOON: Duration = Duration::from_millis(50);
    bencher
        .counter(ItemsCount::new(MILLION))
        .with_inputs(|| {
            let timers = Timers::new();
            let left = Arc::new(AtomicUsize::new(MILLION));
            let (fired, all_fired) = async_channel::bounded(1);
            for number in 0..MILLION {
                let (left, fired) = (left.clone(), fired.clone());
                let action = move || {
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        fired.try_send(()).unwrap();
                    }
                };
                timers.after(scattered(number, SOON), action).unwrap();
            }
            std::thread::sleep(SOON);
            (timers, all_fired)
        })
        .bench_local_values(|(timers, all_fired)| {
            block_on(or(timers.run(), async {
                all_fired.recv().await.unwrap();
            }));
            timers
        });
}
