//! Slow-loris: many who send a byte a second, and one who doesn't.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::server::Server;
use super::{Measured, Measurement, NONE, http, row};
use crate::number::{Unit, Value};

/// How long it goes on: less than the server's patience with a request.
const TIME: Duration = Duration::from_secs(8);
const QUICK_TIME: Duration = Duration::from_secs(2);

/// What a slow client sends, and how often.
const DRIP: &[u8] = b"x";
const PAUSE: Duration = Duration::from_secs(1);

/// How often the good client asks.
const GOOD_PAUSE: Duration = Duration::from_millis(1);

pub(super) fn loris(count: u64, quick: bool) -> Measurement {
    let time = if quick { QUICK_TIME } else { TIME };
    Measurement {
        count,
        rows: vec![
            row("HTTP, a good client alone: p99", Unit::Milliseconds, NONE),
            row(
                "… beside clients of a byte a second: p99",
                Unit::Milliseconds,
                NONE,
            ),
            row("… the same: longest", Unit::Milliseconds, NONE),
        ],
        measure: Box::new(move || measure(count, time)),
    }
}

fn measure(count: u64, time: Duration) -> Result<Measured> {
    let server = Server::start("http_server")?;
    let mut good = server.connect()?;
    let mut alone = ask_for(&mut good, time)?;
    let slow = (0..count)
        .map(|_| {
            let mut stream = server.connect()?;
            stream.write_all(http::BEGINNING)?;
            Ok(stream)
        })
        .collect::<Result<Vec<TcpStream>>>()?;
    let mut beside = thread::scope(|scope| {
        let dripping = scope.spawn(|| drip(&slow, time));
        let latencies = ask_for(&mut good, time)?;
        dripping.join().expect("it doesn't panic")?;
        Ok::<_, anyhow::Error>(latencies)
    })?;
    Ok(Measured::Values(vec![
        http::percentile(&mut alone, 99)?,
        http::percentile(&mut beside, 99)?,
        http::percentile(&mut beside, 100)?,
    ]))
}

/// Asks now and again; how long each answer took.
fn ask_for(stream: &mut TcpStream, time: Duration) -> Result<Vec<Value>> {
    let deadline = Instant::now() + time;
    let mut latencies = Vec::new();
    while Instant::now() < deadline {
        latencies.push(http::ask(stream)?);
        thread::sleep(GOOD_PAUSE);
    }
    Ok(latencies)
}

/// Sends a byte on each connection, spread over every second.
fn drip(slow: &[TcpStream], time: Duration) -> Result<()> {
    let deadline = Instant::now() + time;
    let pause = PAUSE / slow.len().max(1) as u32;
    for mut stream in slow.iter().cycle() {
        if Instant::now() >= deadline {
            break;
        }
        stream.write_all(DRIP)?;
        thread::sleep(pause);
    }
    Ok(())
}
