//! Writes what took how long into a file, in the format of Chrome's traces.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::command_line::problem::Problem;

/// So many events wait to be written; what comes beyond is lost, and counted.
const QUEUE: usize = 1 << 16;

/// So many events are written at most: about half a gigabyte.
const MAX_EVENTS: u64 = 4_000_000;

/// Takes the events of [`crate::timeline`] and writes them on a thread of its own.
#[derive(Debug)]
pub(crate) struct Timeline {
    began: Instant,
    events: SyncSender<Option<Told>>,
}

/// Something that is over.
#[derive(Debug, Default)]
struct Told {
    what: String,
    process: u64,
    /// How long it took, in microseconds.
    us: u64,
    /// When it was over, in microseconds.
    end: u64,
}

static LOST: AtomicU64 = AtomicU64::new(0);

/// What is being written.
static WRITING: OnceLock<Writing> = OnceLock::new();

/// The thread that writes, and what it is given; `None` ends it.
#[derive(Debug)]
struct Writing {
    events: SyncSender<Option<Told>>,
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Timeline {
    /// Begins to write to a file.
    pub(crate) fn start(path: &Path) -> Result<Timeline, Problem> {
        let cannot = |error| {
            let path = path.display();
            Problem::new(format!("cannot write the trace `{path}`: {error}"))
        };
        let file = File::create(path).map_err(cannot)?;
        let (events, told) = sync_channel(QUEUE);
        let thread = thread::Builder::new()
            .name("timeline".into())
            .spawn(move || write(BufWriter::new(file), &told))
            .map_err(cannot)?;
        let writing = Writing {
            events: events.clone(),
            thread: Mutex::new(Some(thread)),
        };
        WRITING
            .set(writing)
            .map_err(|_| Problem::new("there is a trace already"))?;
        Ok(Timeline {
            began: Instant::now(),
            events,
        })
    }
}

/// Writes what is still to be written, if there is a trace.
pub(crate) fn finish() -> Result<(), Problem> {
    let Some(Writing { events, thread }) = WRITING.get() else {
        return Ok(());
    };
    // If it is full, the thread is not stuck: it writes.
    events.send(None).ok();
    match thread.lock().take().map(JoinHandle::join) {
        Some(Ok(Err(error))) => Err(Problem::new(format!("cannot write the trace: {error}"))),
        _ => Ok(()),
    }
}

fn write(mut file: impl Write, told: &Receiver<Option<Told>>) -> io::Result<()> {
    file.write_all(b"[\n")?;
    let about = json!({"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "lunatic"}});
    write!(file, "{about}")?;
    let mut written = 0;
    while let Ok(Some(told)) = told.recv() {
        if written == MAX_EVENTS {
            LOST.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        written += 1;
        let event = json!({
            "name": told.what,
            "cat": "lunatic",
            "ph": "X",
            "ts": told.end.saturating_sub(told.us),
            "dur": told.us,
            "pid": 1,
            // A track for each process; those of the runtime itself have 0.
            "tid": told.process,
        });
        write!(file, ",\n{event}")?;
    }
    let lost = LOST.load(Ordering::Relaxed);
    if lost > 0 {
        let event = json!({
            "name": format!("{lost} events were lost"),
            "ph": "i",
            "ts": 0,
            "pid": 1,
            "tid": 0,
            "s": "g",
        });
        write!(file, ",\n{event}")?;
    }
    file.write_all(b"\n]\n")?;
    file.flush()
}

impl<S: Subscriber> Layer<S> for Timeline {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told {
            end: self.began.elapsed().as_micros() as u64,
            ..Told::default()
        };
        event.record(&mut told);
        // A worker does not wait.
        if self.events.try_send(Some(told)).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Visit for Told {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "process" => self.process = value,
            "us" => self.us = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "what" {
            value.clone_into(&mut self.what);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_file_is_json_whatever_the_names_are() {
        let (events, told) = sync_channel(8);
        let hostile = Told {
            what: "a\"\n\u{1b}".into(),
            process: 7,
            us: 5,
            end: 12,
        };
        events.send(Some(hostile)).unwrap();
        events.send(None).unwrap();
        let mut file = Vec::new();
        write(&mut file, &told).unwrap();
        let events: Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(events[1]["name"], "a\"\n\u{1b}");
        assert_eq!(
            (&events[1]["ts"], &events[1]["dur"]),
            (&json!(7), &json!(5))
        );
    }
}
