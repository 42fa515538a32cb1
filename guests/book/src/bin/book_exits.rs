//! What a monitor is told: OTP's exit reasons, and what they are here.

use lunatic::{Mailbox, Process};
use lunatic_guest::process::{self, Ended, ProcessId};

/// The tag of what the monitors tell.
const ENDED: i64 = 1;

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let start = |entry: fn((), Mailbox<()>)| {
        let process = ProcessId(Process::spawn((), entry).id());
        process::monitor_with_reason(ENDED, process);
        process
    };
    let tell = |erlang: &str| {
        let message = process::receive(&[ENDED]);
        let reason = Ended::of(&message, ENDED).map(|ended| ended.reason);
        println!("{erlang}: {reason:?}");
    };

    let patient = start(waits);
    process::shut_down(patient);
    tell("exit(Pid, shutdown)");

    let patient = start(waits);
    process::fail(patient, "no more work");
    tell("exit(Pid, no_more_work)");

    let patient = start(waits);
    process::kill(patient);
    tell("exit(Pid, kill)");

    process::monitor_with_reason(ENDED, patient);
    tell("monitor of who has ended");
}

fn waits(_: (), mailbox: Mailbox<()>) {
    mailbox.receive();
}
