//! The namespace `lunatic::timer` (ABI §5).

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use lunatic_abi::{Misuse, Resource, Table, host_functions};
use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::DropLater;
use lunatic_mailbox::guest::{MailboxHost, Post};
use lunatic_mailbox::{Message, Pid};
use wasmtime::{Caller, Result};

use crate::timers::{MAX_TIMERS, Timer, Timers};

/// The state of a process that can use `lunatic::timer`.
pub trait TimerHost: MailboxHost {
    /// The timers of the runtime.
    fn timers(&self) -> &Timers;

    /// The timers that this process has started.
    fn started_timers(&mut self) -> &mut StartedTimers;
}

/// The timers that a process has started. They still fire after it has ended, unless it
/// is in a branch with limits of its own.
#[derive(Debug)]
pub struct StartedTimers {
    timers: DropLater<TimerTable>,
    /// The ids in the table, and some that were removed, in the order in which it is checked
    /// whether their timers have fired.
    to_check: VecDeque<u64>,
}

/// The timers by id.
#[derive(Debug)]
struct TimerTable {
    table: Table<GuestTimer>,
    /// Whether the timers that have not fired end with the process.
    end_with_process: bool,
}

impl Drop for TimerTable {
    fn drop(&mut self) {
        if self.end_with_process {
            for timer in mem::take(&mut self.table).into_resources() {
                timer.0.cancel();
            }
        }
    }
}

/// A timer whose id a guest has.
#[derive(Debug)]
struct GuestTimer(Timer);

impl Resource for GuestTimer {
    const KIND: &'static str = "timer";
    const LIMIT: usize = 1 << 22;

    fn size(&self) -> usize {
        // `to_check` has room for twice as many ids.
        2 * size_of::<u64>()
    }
}

/// The highest number of pending timers in a branch directly below the root, so that others have
/// timers left.
const MAX_TIMERS_OF_BRANCH: u64 = MAX_TIMERS as u64 / 8;

/// The number of ids below which fired timers are not removed from the table.
const MIN_IDS_TO_CHECK: usize = 64;

impl StartedTimers {
    /// The timers of a new process, which has started none.
    ///
    /// - `account`: the account of the process. Unless it is the root of the tree of accounts,
    ///   timers end with the process, so that nothing is left of a branch that has ended.
    pub fn new(account: &Account) -> StartedTimers {
        /// The number of timers above which they are dropped on another thread.
        const DROP_LATER_TIMERS: usize = 256;
        let timers = TimerTable {
            table: Table::new(),
            end_with_process: account.is_branch(),
        };
        StartedTimers {
            timers: DropLater::new(timers, |timers| timers.table.len() > DROP_LATER_TIMERS),
            to_check: VecDeque::new(),
        }
    }

    /// Returns the number of timers whose ids the process has. Some of them may have fired.
    pub fn count(&self) -> usize {
        self.timers.table.len()
    }

    fn insert(&mut self, timer: Timer, account: &Account) -> Result<u64, Misuse> {
        // Two timers are checked for each that is added, so that the table has hardly more than
        // twice as many as are pending, and no insertion takes long.
        for _ in 0..2 {
            self.check_one();
        }
        let inserted = self.timers.table.insert(GuestTimer(timer), account);
        let id = inserted.map_err(|refused| {
            // The guest gets no id with which it could cancel the timer.
            refused.resource.0.cancel();
            refused.reason
        })?;
        self.to_check.push_back(id);
        Ok(id)
    }

    /// Removes the entry of a timer that has fired, if it is the next one to check.
    fn check_one(&mut self) {
        if self.to_check.len() < MIN_IDS_TO_CHECK {
            return;
        }
        let Some(id) = self.to_check.pop_front() else {
            return;
        };
        match self.timers.table.get(id).map(|timer| timer.0.is_pending()) {
            Ok(true) => self.to_check.push_back(id),
            Ok(false) => drop(self.timers.table.remove(id)),
            // It was cancelled.
            Err(_) => {}
        }
    }
}

host_functions! {
    /// Registers `lunatic::timer`.
    pub fn add_to_linker<T: TimerHost>(Linker<T>);
    /// The functions of `lunatic::timer`.
    pub const HOST_FUNCTIONS;

    in "lunatic::timer" {
        fn send_after(process_id: u64, delay: u64) -> u64;
        fn cancel_timer(timer_id: u64) -> u32;
    }
}

/// `lunatic::timer::send_after` (ABI §5): takes the scratch message and sends it
/// later. Returns a timer id.
///
/// - `delay`: milliseconds.
///
/// Traps if scratch is empty, or there are too many timers.
fn send_after<T: TimerHost>(mut caller: Caller<'_, T>, process_id: u64, delay: u64) -> Result<u64> {
    let to = Pid::from_bits(process_id);
    let mailbox = caller.data_mut().mailbox();
    let message = mailbox.take()?;
    let mut post = mailbox.post().clone();
    // The sender may have ended by then, so a message that is refused is dropped.
    let charges = charges(caller.data().account(), &message)?;
    let send = move || {
        post.deliver(to, &mut Some(message)).ok();
        drop(charges);
    };
    // Branches take turns when their timers are due.
    let line = caller.data().account().below_root().id().to_bits();
    let timer = caller
        .data()
        .timers()
        .after_in(line, Duration::from_millis(delay), send)
        .map_err(|full| Misuse::refused(full.to_string()))?;
    let account = caller.data().account().clone();
    let started = caller.data_mut().started_timers();
    Ok(started.insert(timer, &account)?)
}

/// Charges a timer, until it fires or is cancelled.
fn charges(account: &Account, message: &Message) -> Result<(Charge, Charge), Misuse> {
    /// The bytes of a timer's entry, with the message in it.
    const TIMER_BYTES: usize = 384;
    let timer = Charge::new(account, Kind::Timers, 1)?;
    if account.is_branch() && account.below_root().used(Kind::Timers) > MAX_TIMERS_OF_BRANCH {
        return Err(Misuse::refused(format!(
            "{MAX_TIMERS_OF_BRANCH} timers are pending in the branch, as many as may be"
        )));
    }
    let bytes = (message.heap_bytes() + TIMER_BYTES) as u64;
    Ok((timer, Charge::new(account, Kind::Memory, bytes)?))
}

/// `lunatic::timer::cancel_timer` (ABI §5): 1 if the message will not be sent
/// now, 0 if it has been, or there is no such timer.
fn cancel_timer<T: TimerHost>(mut caller: Caller<'_, T>, timer_id: u64) -> u32 {
    let timer = caller
        .data_mut()
        .started_timers()
        .timers
        .table
        .remove(timer_id);
    u32::from(timer.is_ok_and(|timer| timer.0.cancel()))
}
