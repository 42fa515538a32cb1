//! The HTTP server under `wrk`, which Debian has a package of.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::server::Server;
use super::{Measured, Measurement, NONE, Target, row};
use crate::number::{self, Unit, Value};
use crate::program;

/// How often the load is repeated; the table shows medians.
const RUNS: usize = 3;

/// How long it is under load each time.
const SECONDS: u64 = 10;
const QUICK_SECONDS: u64 = 1;

/// How long `wrk` may take beyond that.
const GRACE: Duration = Duration::from_secs(30);

/// Clients that ask as fast as they are answered.
pub(super) fn keep_alive(connections: u64, quick: bool, targets: [Target; 4]) -> Measurement {
    under_load(connections, quick, "keep-alive", targets, &[])
}

/// Clients that make a connection for each request.
pub(super) fn closing(connections: u64, quick: bool) -> Measurement {
    let header = &["-H", "Connection: close"];
    under_load(connections, quick, "a connection each", [NONE; 4], header)
}

fn under_load(
    connections: u64,
    quick: bool,
    kind: &str,
    targets: [Target; 4],
    options: &'static [&'static str],
) -> Measurement {
    let [requests, median, p99, longest] = targets;
    Measurement {
        count: connections,
        rows: vec![
            row(format!("HTTP, {kind}: requests"), Unit::PerSecond, requests),
            row("… median", Unit::Milliseconds, median),
            row("… p99", Unit::Milliseconds, p99),
            row("… longest", Unit::Milliseconds, longest),
        ],
        measure: Box::new(move || measure(connections, quick, options)),
    }
}

fn measure(connections: u64, quick: bool, options: &[&str]) -> Result<Measured> {
    if !is_installed() {
        return Ok(not_installed());
    }
    let (runs, seconds) = match quick {
        true => (1, QUICK_SECONDS),
        false => (RUNS, SECONDS),
    };
    let runs = (0..runs)
        .map(|_| run_once(connections, seconds, options))
        .collect::<Result<Vec<_>>>()?;
    let medians = (0..runs[0].len()).filter_map(|column| {
        let values: Vec<Value> = runs.iter().map(|run| run[column]).collect();
        number::median(&values)
    });
    Ok(Measured::Values(medians.collect()))
}

/// Puts a new server under load.
fn run_once(connections: u64, seconds: u64, options: &[&str]) -> Result<[Value; 4]> {
    let server = Server::start("http_server")?;
    let mut wrk = load(&server, connections, seconds);
    let limit = Duration::from_secs(seconds) + GRACE;
    let report = program::capture_within(wrk.args(options), limit).context("wrk failed")?;
    for bad in ["Non-2xx", "Socket errors"] {
        ensure!(!report.contains(bad), "{report}");
    }
    read(&report).with_context(|| format!("wrk says: {report}"))
}

/// `wrk` with so many connections, for so long.
pub(super) fn load(server: &Server, connections: u64, seconds: u64) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t2", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg(format!("http://{}/", server.address));
    wrk
}

pub(super) fn is_installed() -> bool {
    // It has no option that only tells whether it is there, and fails.
    Command::new("wrk").arg("-v").output().is_ok()
}

pub(super) fn not_installed() -> Measured {
    Measured::Skipped("`wrk` isn't installed; on Debian it is in the package wrk".to_owned())
}

/// Requests per second, and the median, 99th percentile and longest latency.
fn read(report: &str) -> Option<[Value; 4]> {
    let fields = |label: &str| {
        let line = report.lines().find(|line| line.trim().starts_with(label))?;
        Some(line.split_whitespace().collect::<Vec<_>>())
    };
    Some([
        fields("Requests/sec:")?.get(1)?.parse().ok()?,
        time(fields("50%")?.get(1)?)?,
        time(fields("99%")?.get(1)?)?,
        time(fields("Latency  ").or_else(|| fields("Latency "))?.get(3)?)?,
    ])
}

fn time(text: &str) -> Option<Value> {
    const UNITS: [(&str, f64); 4] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    UNITS.into_iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * seconds)
    })
}

#[cfg(test)]
mod tests {
    use super::{read, time};

    #[test]
    fn what_wrk_reports_is_understood() {
        let report = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    \
                      Latency   594.76us  599.10us   9.93ms   91.99%\n    \
                      Req/Sec    28.82k     6.12k   35.33k    72.00%\n  \
                      Latency Distribution\n     50%  484.00us\n     75%  698.00us\n     \
                      99%    3.24ms\n  286880 requests in 5.01s, 41.31MB read\n\
                      Requests/sec:  57308.86\n";
        let expected = [57308.86, 484e-6, 3.24e-3, 9.93e-3];
        let values = read(report).expect("four values");
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        }
        assert_eq!(read("nothing"), None);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("2.00s"), Some(2.0));
        assert_eq!(time("1.50m"), Some(90.0));
        assert_eq!(time("3"), None);
    }
}
