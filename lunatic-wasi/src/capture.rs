//! Output kept in memory.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

/// One stream of a family of streams that keep what is printed (ABI §14.3).
///
/// The first process of a test prints to the root stream; each process that it
/// spawns, and each that those spawn, gets a stream of its own in the same
/// family. A clone is the same stream.
#[derive(Clone)]
pub struct Capture {
    stream: Arc<Stream>,
    family: Arc<Family>,
}

#[derive(Default)]
struct Stream(Mutex<Printed>);

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    /// How many bytes came after the stream was full.
    dropped: u64,
}

struct Family {
    streams: Mutex<Vec<Arc<Stream>>>,
    echo: bool,
}

impl Capture {
    /// What one stream keeps at most; what comes later is counted.
    pub const LIMIT: usize = 16 << 20;

    /// The first stream of a new family.
    pub fn root() -> Capture {
        Capture::first(false)
    }

    /// The first stream of a new family whose streams are also printed to the
    /// runtime's own standard output.
    pub fn echoing_root() -> Capture {
        Capture::first(true)
    }

    fn first(echo: bool) -> Capture {
        let stream = Arc::<Stream>::default();
        let streams = Mutex::new(vec![stream.clone()]);
        Capture {
            stream,
            family: Arc::new(Family { streams, echo }),
        }
    }

    /// A new stream of the same family.
    pub fn for_child(&self) -> Capture {
        let stream = Arc::<Stream>::default();
        self.family.streams.lock().push(stream.clone());
        Capture {
            stream,
            family: self.family.clone(),
        }
    }

    /// What was printed to this stream; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        self.stream.text()
    }

    /// What was printed to the whole family.
    ///
    /// The text alone if there is only one stream. Otherwise each stream that
    /// has any text stands under a line ` --- process N stdout ---`, where the
    /// first process is number 0.
    pub fn render(&self) -> String {
        let streams = self.family.streams.lock();
        if let [only] = streams.as_slice() {
            return only.text();
        }
        let mut rendered = String::new();
        for (number, stream) in streams.iter().enumerate() {
            let text = stream.text();
            if !text.is_empty() {
                let _ = writeln!(rendered, " --- process {number} stdout ---");
                rendered.push_str(&text);
            }
        }
        rendered
    }

    /// Whether both are one stream.
    pub(crate) fn is_same(&self, other: &Capture) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Whether this is also printed to the runtime's own standard output.
    pub(crate) fn echoes(&self) -> bool {
        self.family.echo
    }

    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut printed = self.stream.0.lock();
        let room = Capture::LIMIT - printed.bytes.len();
        let (kept, dropped) = bytes.split_at(bytes.len().min(room));
        printed.bytes.extend_from_slice(kept);
        printed.dropped += dropped.len() as u64;
    }
}

impl Stream {
    fn text(&self) -> String {
        let printed = self.0.lock();
        let mut text = String::from_utf8_lossy(&printed.bytes).into_owned();
        if printed.dropped > 0 {
            let _ = writeln!(text, "\n… and {} more bytes", printed.dropped);
        }
        text
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("echo", &self.family.echo)
            .finish_non_exhaustive()
    }
}
