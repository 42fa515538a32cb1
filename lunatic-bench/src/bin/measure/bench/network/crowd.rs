//! Connections that are all open at once, each with a process that echoes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::server::Server;
use super::{Measured, Measurement, NONE, row};
use crate::number::{self, Unit};

/// How long the runtime gets to come to rest before its memory is read.
const SETTLING: Duration = Duration::from_secs(1);

pub(super) fn open(count: u64) -> Measurement {
    Measurement {
        count,
        rows: vec![
            row(
                "TCP, all open: connecting, one echo",
                Unit::Microseconds,
                NONE,
            ),
            row(
                "TCP, all open: one more echo of each",
                Unit::Microseconds,
                NONE,
            ),
            row("TCP, all open: memory of each", Unit::Kibibytes, NONE),
        ],
        measure: Box::new(move || measure(count)),
    }
}

fn measure(count: u64) -> Result<Measured> {
    let server = Server::start("tcp_echo")?;
    // What the first connection alone sets up is not a connection's.
    let first = server.connect()?;
    echo(&first)?;
    thread::sleep(SETTLING);
    let before = server.memory()?;

    let start = Instant::now();
    let connections: Vec<TcpStream> = (0..count)
        .map(|number| {
            let stream = server.connect()?;
            echo(&stream).with_context(|| format!("connection number {number}"))?;
            Ok(stream)
        })
        .collect::<Result<_>>()?;
    let opening = number::seconds(start.elapsed()) / count as f64;

    let start = Instant::now();
    for stream in &connections {
        echo(stream)?;
    }
    let echoing = number::seconds(start.elapsed()) / count as f64;

    thread::sleep(SETTLING);
    let each = (server.memory()? - before) / count as f64;
    Ok(Measured::Values(vec![opening, echoing, each]))
}

fn echo(mut stream: &TcpStream) -> Result<()> {
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    ensure!(answer == *b"ping", "another answer");
    Ok(())
}
