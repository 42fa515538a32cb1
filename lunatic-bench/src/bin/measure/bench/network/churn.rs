//! Short connections one after another, and what they leave behind.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::server::Server;
use super::{Measured, Measurement, NONE, Target, http, row};
use crate::number::{self, Unit};

/// Pools and caches are as large as they get after so many.
const WARM_UP: u64 = 2000;

/// How long the last ones get to be gone.
const SETTLING: Duration = Duration::from_secs(1);

pub(super) fn one_after_another(count: u64) -> Measurement {
    Measurement {
        count,
        rows: vec![
            row(
                "HTTP, one connection after another: each",
                Unit::Microseconds,
                NONE,
            ),
            row("… descriptors left over", Unit::Count, Target::AtMost(0.0)),
            row(
                "… memory left over by each",
                Unit::Bytes,
                Target::AtMost(16.0),
            ),
        ],
        measure: Box::new(move || measure(count)),
    }
}

fn measure(count: u64) -> Result<Measured> {
    let server = Server::start("http_server")?;
    connect(&server, WARM_UP)?;
    thread::sleep(SETTLING);
    let (descriptors, memory) = (server.descriptors()?, server.memory()?);

    let start = Instant::now();
    connect(&server, count)?;
    let each = number::seconds(start.elapsed()) / count as f64;

    thread::sleep(SETTLING);
    Ok(Measured::Values(vec![
        each,
        server.descriptors()? - descriptors,
        (server.memory()? - memory) / count as f64,
    ]))
}

/// The server closes first, so that the client's ports are free at once.
fn connect(server: &Server, count: u64) -> Result<()> {
    (0..count).try_for_each(|_| http::ask_and_close(server.connect()?))
}
