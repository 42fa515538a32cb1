//! Writes log lines without making those who log wait.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use lunatic_blocking::Class;

/// Writes what it is given to standard error, in order with what processes print
/// there, or to a [file](write_to) of its own, but later: whoever logs may be a worker, and nobody
/// may be reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

/// The most bytes that wait to be written. What comes beyond is dropped.
const CAPACITY: usize = 1 << 20;

/// Where log lines are written instead of standard error.
static FILE: OnceLock<File> = OnceLock::new();

static IS_HURRIED: AtomicBool = AtomicBool::new(false);

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How many lines were dropped since the last one that was not.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Has what is logged from now on written to a file; only the first call counts. What is
/// [printed](print) still goes to standard error.
pub(crate) fn write_to(file: File) {
    FILE.set(file).ok();
}

/// Has the panics of this program reported in the same way, as whoever panics may be a
/// worker.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let backtrace = match backtrace.status() {
            BacktraceStatus::Captured => format!("{backtrace}"),
            _ => String::new(),
        };
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let report = format!("thread '{name}' {panic}\n{backtrace}");
        LogWriter.write_all(report.as_bytes()).ok();
    }));
}

/// Waits until everything has been written, but no longer than some seconds: it
/// may be that nobody reads any more.
pub(crate) fn flush() {
    tell_of_dropped();
    let queue = Class::Stderr.queue();
    // Most programs have logged nothing, and need no thread to know that.
    if queue.is_idle() {
        return;
    }
    let written = queue.run(|| ());
    let impatient = async {
        Timer::after(patience()).await;
    };
    future::block_on(future::or(written, impatient));
}

/// Has the program end without waiting for anything for long: somebody wants that now.
pub(crate) fn hurry() {
    IS_HURRIED.store(true, Ordering::Relaxed);
}

/// How long the program waits, when it ends, for what may never happen.
pub(crate) fn patience() -> Duration {
    const USUAL: Duration = Duration::from_secs(5);
    const HURRIED: Duration = Duration::from_millis(250);
    match IS_HURRIED.load(Ordering::Relaxed) {
        true => HURRIED,
        false => USUAL,
    }
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
            write_later(line.to_vec(), FILE.get());
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
        write_later(line.into_bytes(), FILE.get());
    }
}

/// Has something printed to standard error, after what is printed there already, however
/// much that is.
pub(crate) fn print(line: Vec<u8>) {
    WAITING.fetch_add(line.len(), Ordering::Relaxed);
    write_later(line, None);
}

/// Writes what is counted as waiting.
///
/// - `file`: where to; `None` for standard error.
fn write_later(line: Vec<u8>, file: Option<&'static File>) {
    Class::Stderr.queue().run_detached(move || {
        // There is nobody to be told that standard error is closed, or the disk full.
        match file {
            Some(mut file) => file.write_all(&line).ok(),
            None => io::stderr().write_all(&line).ok(),
        };
        WAITING.fetch_sub(line.len(), Ordering::Relaxed);
    });
}
