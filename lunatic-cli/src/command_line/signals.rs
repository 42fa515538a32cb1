//! The signals that tell the program to end.

use std::fs;
use std::sync::OnceLock;

use async_signal::Signal;
use futures_lite::{StreamExt, future};

use crate::command_line::problem::Problem;

/// Listens for the signals that tell the program to end: SIGINT, SIGTERM, SIGQUIT, and
/// SIGHUP unless whoever started the program has it ignore that, as `nohup` does.
#[derive(Debug)]
pub(crate) struct Signals(async_signal::Signals);

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Signals, Problem> {
        let mut signals = vec![Signal::Int, Signal::Term, Signal::Quit];
        if !is_hangup_ignored() {
            signals.push(Signal::Hup);
        }
        async_signal::Signals::new(signals)
            .map(Signals)
            .map_err(|error| Problem::new(format!("cannot listen for signals: {error}")))
    }

    /// Waits for the next signal, and returns the exit code that tells of it.
    pub(crate) async fn next(&mut self) -> u8 {
        match self.0.next().await {
            Some(Ok(signal)) => exit_code(signal),
            Some(Err(_)) => exit_code(Signal::Int),
            None => future::pending().await,
        }
    }
}

/// From now on, what would make a file larger than this program may make one fails, and does not
/// end the program.
pub(crate) fn outlive_file_size_limit() {
    /// Nobody reads it: the signal that is handled does nothing.
    static HANDLED: OnceLock<async_signal::Signals> = OnceLock::new();
    if let Ok(signals) = async_signal::Signals::new([Signal::Xfsz]) {
        HANDLED.set(signals).ok();
    }
}

fn exit_code(signal: Signal) -> u8 {
    /// What a shell adds to the number of a signal.
    const SIGNALLED: u8 = 128;
    SIGNALLED
        + match signal {
            Signal::Hup => 1,
            Signal::Quit => 3,
            Signal::Term => 15,
            _ => 2,
        }
}

fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|ignored| ignored & 1 != 0)
}

/// Returns the signals that `status` of a process says are ignored: bit 0 is signal 1.
fn ignored_signals(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
