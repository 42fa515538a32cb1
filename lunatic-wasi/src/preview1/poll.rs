//! Waiting for a time or for a descriptor.

use std::time::Duration;

use futures_lite::future;
use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_reactor::Timer;
use wasmtime::{Caller, Result};

use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::{Outcome, answer};
use crate::subscription::{PollEvent, Subscription};

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents_ptr: u32) -> i32;
    }
}

/// The highest number of subscriptions in one call.
const MAX_SUBSCRIPTIONS: u32 = 4096;

/// So many are not charged.
const FREE_SUBSCRIPTIONS: usize = 64;

/// `poll_oneoff`: waits until at least one of `count` subscriptions has
/// happened, and writes an event for each that has.
///
/// `inval` for no subscriptions, too many, or a malformed one; `badf` for a
/// descriptor that is not open. Traps if the account has no memory left for many.
async fn poll_oneoff<T: WasiHost>(
    mut caller: Caller<'_, T>,
    subscriptions: u32,
    events: u32,
    count: u32,
    nevents_ptr: u32,
) -> Outcome {
    caller.records::<{ PollEvent::BYTES }>(events, count)?;
    caller.bytes(nevents_ptr, 4)?;
    let records = caller.records::<{ Subscription::BYTES }>(subscriptions, count)?;
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::Invalid.into());
    }
    let records = records.to_vec();
    // They are kept while it waits.
    let bytes = records.len() * size_of::<Subscription>();
    let _charge = match records.len() <= FREE_SUBSCRIPTIONS {
        true => None,
        false => Some(
            Charge::new(caller.data().account(), Kind::Memory, bytes as u64)
                .map_err(Misuse::Exceeded)?,
        ),
    };
    let descriptors = caller.data_mut().wasi().descriptors();
    let subscriptions = records
        .iter()
        .map(|record| Subscription::parse(record, descriptors))
        .collect::<Result<Vec<_>, Errno>>()?;
    drop(records);
    let happened = caller.wait(first_events(&subscriptions)).await;
    caller.write(events, happened.as_flattened())?;
    Ok(caller.write_u32(nevents_ptr, happened.len() as u32)?)
}

/// Waits until at least one subscription has happened, and returns the events of all
/// that have.
async fn first_events(subscriptions: &[Subscription]) -> Vec<[u8; PollEvent::BYTES]> {
    loop {
        let happened: Vec<_> = subscriptions
            .iter()
            .filter_map(Subscription::happened)
            .map(PollEvent::into_record)
            .collect();
        if !happened.is_empty() {
            return happened;
        }
        future::or(a_time(subscriptions), an_input(subscriptions)).await;
    }
}

/// Waits for the earliest of the times.
async fn a_time(subscriptions: &[Subscription]) {
    let times = subscriptions.iter().filter_map(Subscription::remaining);
    match times.min() {
        Some(nanoseconds) => {
            Timer::after(Duration::from_nanos(nanoseconds)).await;
        }
        None => future::pending().await,
    }
}

/// Waits for input. All subscriptions of a process that wait for input wait for the
/// same one.
async fn an_input(subscriptions: &[Subscription]) {
    match subscriptions.iter().find_map(Subscription::input) {
        // An error is found when the subscriptions are looked at again.
        Some(input) => drop(input.readable().await),
        None => future::pending().await,
    }
}
