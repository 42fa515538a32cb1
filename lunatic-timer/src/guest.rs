//! The namespace `lunatic::timer` (ABI §5).

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use lunatic_abi::{Misuse, Resource, Table, host_functions};
use lunatic_account::{Account, Charge, Kind};
use lunatic_blocking::Class;
use lunatic_mailbox::guest::{MailboxHost, Post};
use lunatic_mailbox::{Message, Pid};
use wasmtime::{Caller, Result};

use crate::timers::{MAX_TIMERS, Timer, Timers};

/// What the state of a process offers to `lunatic::timer`.
pub trait TimerHost: MailboxHost {
    /// Where timers run.
    fn timers(&self) -> &Timers;

    /// The timers that this process has started.
    fn started_timers(&mut self) -> &mut StartedTimers;
}

/// The timers that a process has started. They still fire after it has ended, unless it
/// is in a branch with limits of its own.
#[derive(Debug)]
pub struct StartedTimers {
    table: Table<GuestTimer>,
    /// The ids that are in the table, and some that were, in the order in which it is looked
    /// whether their timers have fired.
    to_check: VecDeque<u64>,
    /// Whether those that have not fired end with the process.
    end_with_process: bool,
}

/// A timer that a guest holds an id of.
#[derive(Debug)]
struct GuestTimer(Timer);

impl Resource for GuestTimer {
    const KIND: &'static str = "timer";
    const LIMIT: usize = 1 << 22;

    fn size(&self) -> usize {
        // The ids to check have room for twice as many.
        2 * size_of::<u64>()
    }
}

/// A branch of the root's account leaves the other timers to others.
const MAX_TIMERS_OF_BRANCH: u64 = MAX_TIMERS as u64 / 8;

/// Nothing is removed from a table that has had fewer entries.
const FEW_ENTRIES: usize = 64;

impl StartedTimers {
    /// Those of a new process: none.
    ///
    /// - `account`: that of the process. Unless it is the root of the tree of accounts,
    ///   timers end with the process, so that nothing is left of a branch that has ended.
    pub fn new(account: &Account) -> StartedTimers {
        StartedTimers {
            table: Table::new(),
            to_check: VecDeque::new(),
            end_with_process: account.is_branch(),
        }
    }

    /// Returns how many timers the process holds ids of. Some may have fired.
    pub fn count(&self) -> usize {
        self.table.len()
    }

    fn insert(&mut self, timer: Timer, account: &Account) -> Result<u64, Misuse> {
        // Two are looked at for each that is added, so that the table has hardly more than
        // twice as many as are pending, and none of its insertions takes long.
        for _ in 0..2 {
            self.check_one();
        }
        let inserted = self.table.insert(GuestTimer(timer), account);
        let id = inserted.map_err(|refused| {
            // Nobody could cancel it any more.
            refused.resource.0.cancel();
            refused.reason
        })?;
        self.to_check.push_back(id);
        Ok(id)
    }

    /// Removes the entry of a timer that has fired, if it is the next one to check.
    fn check_one(&mut self) {
        if self.to_check.len() < FEW_ENTRIES {
            return;
        }
        let Some(id) = self.to_check.pop_front() else {
            return;
        };
        match self.table.get(id).map(|timer| timer.0.is_pending()) {
            Ok(true) => self.to_check.push_back(id),
            Ok(false) => drop(self.table.remove(id)),
            // It was cancelled.
            Err(_) => {}
        }
    }
}

impl Drop for StartedTimers {
    fn drop(&mut self) {
        /// So many are dropped at once. More of them another thread drops, as this one may be a
        /// worker.
        const FEW: usize = 256;
        let table = mem::take(&mut self.table);
        let is_large = table.len() > FEW;
        let ends = self.end_with_process;
        let end = move || {
            for timer in table.into_resources() {
                if ends {
                    timer.0.cancel();
                }
            }
        };
        match is_large {
            true => Class::Drop.queue().run_detached(end),
            false => end(),
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
    // Who sent it may be gone: a message that is refused is dropped.
    let charges = charges(caller.data().account(), &message)?;
    let send = move || {
        // What is refused is dropped: nobody is there who could be told.
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

/// What a timer is charged with until it fires or is cancelled.
fn charges(account: &Account, message: &Message) -> Result<(Charge, Charge), Misuse> {
    /// The entry of a timer, with the message that is in it.
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
    let timer = caller.data_mut().started_timers().table.remove(timer_id);
    u32::from(timer.is_ok_and(|timer| timer.0.cancel()))
}
