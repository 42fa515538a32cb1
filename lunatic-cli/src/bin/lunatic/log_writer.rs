//! Writes log lines without making those who log wait.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use lunatic_blocking::Class;

/// Writes what it is given to standard error, in order with what processes print
/// there, but later: whoever logs may be a worker, and nobody may be reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

/// The most bytes that wait to be written. What comes beyond is dropped.
const CAPACITY: usize = 1 << 20;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How many lines were dropped since the last one that was not.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Waits until everything has been written, but no longer than some seconds: it
/// may be that nobody reads any more.
pub(crate) fn flush() {
    const PATIENCE: Duration = Duration::from_secs(5);
    tell_of_dropped();
    let written = Class::Stderr.queue().run(|| ());
    let impatient = async {
        Timer::after(PATIENCE).await;
    };
    future::block_on(future::or(written, impatient));
}

impl Write for LogWriter {
    /// Takes a line, or drops it if too much waits already.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let waiting = WAITING.fetch_add(line.len(), Ordering::Relaxed);
        if waiting + line.len() > CAPACITY {
            WAITING.fetch_sub(line.len(), Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            tell_of_dropped();
            print(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tell_of_dropped() {
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        let line = format!("{dropped} lines of the log were dropped: they were not read in time\n");
        WAITING.fetch_add(line.len(), Ordering::Relaxed);
        print(line.into_bytes());
    }
}

fn print(line: Vec<u8>) {
    Class::Stderr.queue().run_detached(move || {
        // There is nobody to be told that standard error is closed.
        io::stderr().write_all(&line).ok();
        WAITING.fetch_sub(line.len(), Ordering::Relaxed);
    });
}
