//! Standard input, which many processes may read.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Read};
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use event_listener::Event;
use lunatic_blocking::Queue;
use parking_lot::Mutex;

/// What processes read as standard input: that of the runtime, or any reader.
///
/// A clone is the same input, and no two processes read the same byte. The reader is
/// read when a process asks for input, one chunk at a time, on a thread that may
/// block. If that process has ended when the chunk arrives, the next one gets it.
///
/// ```
/// use lunatic_wasi::{Input, Stdio};
///
/// let stdio = Stdio::default().with_input(Input::from_reader(&b"typed\n"[..]));
/// # drop(stdio);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Input(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    /// That of the runtime. It is not counted who has it, so that a process costs
    /// nothing for it.
    #[default]
    Stdin,
    Reader(Arc<Shared>),
    /// It has nothing.
    Empty,
}

static EMPTY: LazyLock<Arc<Shared>> = LazyLock::new(|| Shared::new(io::empty()));

static STDIN: LazyLock<Arc<Shared>> = LazyLock::new(|| Shared::new(io::stdin()));

impl Input {
    /// Returns an input that is at its end.
    pub fn empty() -> Input {
        Input(Source::Empty)
    }

    /// Returns an input from which processes read what `reader` reads.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Input {
        Input(Source::Reader(Shared::new(reader)))
    }

    /// Waits for input and returns at least one byte and at most `max`, or nothing at
    /// the end. If the future is dropped, no byte is lost.
    pub(crate) async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            let available = self.readable().await?;
            let bytes = self.shared().take(max);
            if available == 0 || !bytes.is_empty() {
                return Ok(bytes);
            }
        }
    }

    /// Waits until something can be read, and returns how many bytes; 0 is the end.
    pub(crate) async fn readable(&self) -> io::Result<usize> {
        let shared = self.shared();
        loop {
            let arrival = shared.arrived.listen();
            if let Some(available) = shared.available_or_fetch() {
                return available;
            }
            arrival.await;
        }
    }

    /// Returns how many bytes can be read now, if that is known; 0 is the end.
    pub(crate) fn available(&self) -> Option<io::Result<usize>> {
        self.shared().available_or_fetch()
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.0, Source::Stdin) && io::stdin().is_terminal()
    }

    fn shared(&self) -> &Arc<Shared> {
        match &self.0 {
            Source::Stdin => &STDIN,
            Source::Reader(shared) => shared,
            Source::Empty => &EMPTY,
        }
    }
}

/// Bytes taken from a reader at a time.
const CHUNK: usize = 8 << 10;

struct Shared {
    state: Mutex<State>,
    /// Notified when a chunk, the end, or an error has arrived.
    arrived: Event,
    /// It serves this input alone, as a read may take for ever.
    queue: Queue,
}

struct State {
    buffer: VecDeque<u8>,
    /// Absent while a chunk is being fetched.
    reader: Option<Box<dyn Read + Send>>,
    end: Option<End>,
}

/// Why no more input comes.
enum End {
    Reached,
    Failed(io::ErrorKind),
}

impl Shared {
    fn new(reader: impl Read + Send + 'static) -> Arc<Shared> {
        Arc::new(Shared {
            state: Mutex::new(State {
                buffer: VecDeque::new(),
                reader: Some(Box::new(reader)),
                end: None,
            }),
            arrived: Event::new(),
            queue: Queue::new(NonZeroUsize::MIN),
        })
    }

    fn take(&self, max: usize) -> Vec<u8> {
        let mut state = self.state.lock();
        let count = state.buffer.len().min(max);
        state.buffer.drain(..count).collect()
    }

    /// Returns how many bytes can be read now. If there are none, it has a chunk read
    /// and returns `None`.
    fn available_or_fetch(self: &Arc<Shared>) -> Option<io::Result<usize>> {
        let mut state = self.state.lock();
        if !state.buffer.is_empty() {
            return Some(Ok(state.buffer.len()));
        }
        match state.end {
            Some(End::Reached) => return Some(Ok(0)),
            Some(End::Failed(kind)) => return Some(Err(kind.into())),
            None => {}
        }
        if let Some(reader) = state.reader.take() {
            let shared = self.clone();
            self.queue.run_detached(move || shared.fetch(reader));
        }
        None
    }

    fn fetch(&self, mut reader: Box<dyn Read + Send>) {
        let mut chunk = vec![0; CHUNK];
        let outcome = loop {
            match reader.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        let mut state = self.state.lock();
        match outcome {
            Ok(0) => state.end = Some(End::Reached),
            Ok(count) => state.buffer.extend(&chunk[..count]),
            Err(error) => state.end = Some(End::Failed(error.kind())),
        }
        state.reader = Some(reader);
        drop(state);
        self.arrived.notify(usize::MAX);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
