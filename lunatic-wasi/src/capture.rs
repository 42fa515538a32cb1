//! Output kept in memory.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;

/// A stream that keeps what is printed to it; it belongs to a family of streams (ABI
/// §14.3).
///
/// The first process of a test prints to the first stream of a family. Each of its
/// descendants gets a stream of its own in the same family. A clone is the same
/// stream.
///
/// ```
/// use lunatic_wasi::{Capture, Stdio};
///
/// let capture = Capture::root();
/// let stdio = Stdio::captured(capture.clone());
/// // A process is given `stdio`, and its child what it passes on.
/// let of_child = stdio.for_child();
/// # drop(of_child);
/// assert_eq!(capture.text(), "");
/// assert_eq!(capture.render(), "");
/// ```
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
    /// The most bytes that a stream keeps. Those that come later are only counted.
    pub const LIMIT: usize = 16 << 20;

    /// Returns the first stream of a new family.
    pub fn root() -> Capture {
        Capture::first(false)
    }

    /// Returns the first stream of a new family. What is printed to one of its streams
    /// is printed to the standard output of the runtime too.
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

    /// Returns a new stream of the same family.
    pub fn for_child(&self) -> Capture {
        let stream = Arc::<Stream>::default();
        self.family.streams.lock().push(stream.clone());
        Capture {
            stream,
            family: self.family.clone(),
        }
    }

    /// Returns what was printed to this stream; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        self.stream.text()
    }

    /// Returns what was printed to the whole family.
    ///
    /// If there is only one stream, this is its text. Otherwise a line
    /// ` --- process N stdout ---` comes before the text of each stream that has any;
    /// the first process is number 0.
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

    /// Returns whether both are the same stream.
    pub(crate) fn is_same(&self, other: &Capture) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Returns whether this is printed to the standard output of the runtime too.
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
