//! Whose the time of the HTTP server under load is, as `perf` sees it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::server::Server;
use super::{Measured, Measurement, NONE, row, wrk};
use crate::number::{Unit, Value};
use crate::{place, program};

const CONNECTIONS: u64 = 32;

/// How long it is under load, and looked at in the midst of that.
const LOAD_SECONDS: u64 = 6;
const LOOK_SECONDS: &str = "4";

/// What `perf` calls the kernel, and compiled guests.
const KERNEL: &str = "[kernel";
const GUEST: &str = "[JIT]";

pub(super) fn shares() -> Measurement {
    Measurement {
        count: CONNECTIONS,
        rows: vec![
            row("HTTP, keep-alive: share of the guest", Unit::Percent, NONE),
            row("… of the runtime", Unit::Percent, NONE),
            row("… of the kernel", Unit::Percent, NONE),
        ],
        measure: Box::new(measure),
    }
}

fn measure() -> Result<Measured> {
    if Command::new("perf").arg("--version").output().is_err() {
        let reason = "`perf` isn't installed; on Debian it is in the package linux-perf";
        return Ok(Measured::Skipped(reason.to_owned()));
    }
    if !wrk::is_installed() {
        return Ok(wrk::not_installed());
    }
    let server = Server::start("http_server")?;
    let mut load = wrk::load(&server, CONNECTIONS, LOAD_SECONDS)
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start wrk")?;
    let samples = place::folder("samples")?.join("perf.data");
    let mut record = Command::new("perf");
    record
        .args(["record", "--quiet", "--freq=999", "--pid"])
        .arg(server.id().to_string())
        .arg("--output")
        .arg(&samples)
        .args(["--", "sleep", LOOK_SECONDS]);
    let recorded = program::capture(&mut record);
    load.wait()?;
    if let Err(error) = recorded {
        return Ok(Measured::Skipped(format!("perf may not look: {error:#}")));
    }
    let mut report = Command::new("perf");
    report
        .args(["report", "--stdio", "--sort=dso", "--field-separator=,"])
        .arg("--input")
        .arg(&samples);
    let shares = read(&program::capture(&mut report)?);
    ensure!(shares.iter().sum::<Value>() > 0.9, "perf saw nothing");
    Ok(Measured::Values(shares.to_vec()))
}

/// The shares of the guest, of the runtime with its libraries, and of the kernel,
/// each of 1.
fn read(report: &str) -> [Value; 3] {
    let mut shares = [0.0; 3];
    for line in report.lines() {
        let Some((share, object)) = line.split_once(',') else {
            continue;
        };
        let Ok(percent) = share.trim().trim_end_matches('%').parse::<Value>() else {
            continue;
        };
        let object = object.trim();
        let whose = match object {
            _ if object.starts_with(GUEST) => 0,
            _ if object.starts_with(KERNEL) => 2,
            _ => 1,
        };
        shares[whose] += percent / 100.0;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_neither_kernel_nor_guest_is_the_runtime() {
        let report = "# comment, with a comma\n    75.00,[kernel.kallsyms]\n    \
                      12.00,lunatic\n     6.00,[JIT] tid 7\n     4.00%,libc.so.6\n     3.00,[vdso]\n";
        let shares = read(report).map(|share| (share * 100.0).round());
        assert_eq!(shares, [6.0, 19.0, 75.0]);
    }
}
