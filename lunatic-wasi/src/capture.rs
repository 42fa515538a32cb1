//! Output kept in memory.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// One of a family.
struct Stream {
    /// Which of its family; the first is 0.
    number: u64,
    printed: Mutex<Printed>,
}

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    /// How many bytes came after the stream was full.
    dropped: u64,
}

struct Family {
    streams: Mutex<Streams>,
    /// How many bytes all of them have.
    kept: AtomicUsize,
    echo: bool,
}

/// Those of a family that a process has, or that something was printed to.
#[derive(Default)]
struct Streams {
    list: Vec<Arc<Stream>>,
    /// How many there have been.
    count: u64,
    /// How long the list may become before those are left out that nobody needs.
    most: usize,
}

impl Capture {
    /// The most bytes that a stream keeps. Those that come later are only counted.
    pub const LIMIT: usize = 16 << 20;

    /// The most bytes that a family keeps, beside the first stream, with some for each stream. Those
    /// that come later are only counted.
    pub const FAMILY_LIMIT: usize = 64 << 20;

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
        let family = Arc::new(Family {
            streams: Mutex::default(),
            kept: AtomicUsize::new(0),
            echo,
        });
        let stream = family.streams.lock().add();
        Capture { stream, family }
    }

    /// Returns a new stream of the same family.
    pub fn for_child(&self) -> Capture {
        Capture {
            stream: self.family.streams.lock().add(),
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
        if streams.count == 1 {
            return streams.list.iter().map(|only| only.text()).collect();
        }
        let mut rendered = String::new();
        for stream in &streams.list {
            let text = stream.text();
            if !text.is_empty() {
                let _ = writeln!(rendered, " --- process {} stdout ---", stream.number);
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
        let mut printed = self.stream.printed.lock();
        let room = Capture::LIMIT - printed.bytes.len();
        let wanted = bytes.len().min(room);
        let kept = match self.stream.number {
            // Where a test says why it has failed; nobody else leaves it less room.
            0 => wanted,
            _ => self.family.reserve(wanted, printed.bytes.is_empty()),
        };
        let (kept, dropped) = bytes.split_at(kept);
        printed.bytes.extend_from_slice(kept);
        printed.dropped += dropped.len() as u64;
    }
}

impl Family {
    /// Takes room for so many bytes of a stream, as far as there is some, and returns for how many.
    ///
    /// - `is_first`: whether the stream has none yet.
    fn reserve(&self, bytes: usize, is_first: bool) -> usize {
        /// What a stream takes beside what is printed to it.
        const STREAM_BYTES: usize = 256;
        let own = if is_first { STREAM_BYTES } else { 0 };
        let mut reserved = 0;
        let reserve = |kept: usize| {
            let room = Capture::FAMILY_LIMIT.saturating_sub(kept + own);
            reserved = bytes.min(room);
            (reserved > 0).then(|| kept + own + reserved)
        };
        let (taken, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        self.kept.fetch_update(taken, seen, reserve).ok();
        reserved
    }
}

impl Streams {
    fn add(&mut self) -> Arc<Stream> {
        const FEW: usize = 64;
        if self.list.len() >= self.most.max(FEW) {
            let is_needed = |stream: &Arc<Stream>| {
                Arc::strong_count(stream) > 1 || !stream.printed.lock().bytes.is_empty()
            };
            self.list.retain(is_needed);
            self.most = 2 * self.list.len();
        }
        let stream = Arc::new(Stream {
            number: self.count,
            printed: Mutex::default(),
        });
        self.count += 1;
        self.list.push(stream.clone());
        stream
    }
}

impl Stream {
    fn text(&self) -> String {
        let printed = self.printed.lock();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_nobody_prints_to_any_more_are_forgotten_unless_they_have_something() {
        let root = Capture::root();
        for number in 1..=10_000 {
            let child = root.for_child();
            if number % 1000 == 0 {
                child.append(b"x");
            }
        }
        assert!(root.family.streams.lock().list.len() < 200);
        assert!(root.render().starts_with(" --- process 1000 stdout ---\nx"));
        assert!(root.render().ends_with(" --- process 10000 stdout ---\nx"));
    }

    #[test]
    fn a_family_keeps_so_many_bytes_at_most_and_the_first_stream_its_own() {
        let root = Capture::root();
        let piece = vec![b'x'; 10 << 20];
        for _ in 0..10 {
            root.for_child().append(&piece);
        }
        root.append(b"why");
        let kept: usize = {
            let streams = root.family.streams.lock();
            let lengths = streams
                .list
                .iter()
                .map(|stream| stream.printed.lock().bytes.len());
            lengths.sum()
        };
        assert!(kept <= Capture::FAMILY_LIMIT + 3, "{kept}");
        assert!(kept > Capture::FAMILY_LIMIT - 10_000, "{kept}");
        assert_eq!(root.text(), "why");
        // What comes when nothing more is kept is counted.
        let late = root.for_child();
        late.append(b"late");
        assert_eq!(late.text(), "\n… and 4 more bytes\n");
    }
}
