//! Records what guests run, and what they were when they trapped.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lunatic_mailbox::Pid;
use parking_lot::Mutex;
use wasmtime::{AsContext, AsContextMut, GuestProfiler, Module, WasmCoreDump};

/// What is recorded of the processes of a runtime.
#[derive(Default)]
pub(crate) struct Recording {
    is_profiling: AtomicBool,
    profiler: Mutex<Option<GuestProfiler>>,
    samples: AtomicU64,
    core_dumps: Option<CoreDumps>,
}

/// Where core dumps are written to.
#[derive(Debug)]
pub(crate) struct CoreDumps {
    directory: PathBuf,
    written: AtomicUsize,
    writing: Mutex<Vec<JoinHandle<()>>>,
}

/// Core dumps of larger memories are not written: the worker that finds the trap copies it.
pub(crate) const MAX_CORE_DUMP_BYTES: u64 = 256 << 20;

/// So many core dumps are written in the life of a runtime.
pub(crate) const MAX_CORE_DUMPS: usize = 16;

/// A guest that runs is looked at so often: at each tick.
const INTERVAL: Duration = Duration::from_millis(1);

/// A profile has no more samples: some minutes of a busy core.
const MAX_SAMPLES: u64 = 500_000;

impl Recording {
    /// Writes a core dump of each process that traps into a directory.
    pub(crate) fn with_core_dumps(directory: Option<PathBuf>) -> Recording {
        let core_dumps = directory.map(|directory| CoreDumps {
            directory,
            written: AtomicUsize::new(0),
            writing: Mutex::default(),
        });
        Recording {
            core_dumps,
            ..Recording::default()
        }
    }

    /// Begins to record which functions of a module run. Code of other modules is left out.
    ///
    /// # Errors
    ///
    /// What wasmtime says.
    pub(crate) fn begin_profile(&self, name: &str, module: &Module) -> wasmtime::Result<()> {
        let modules = [(name.to_owned(), module.clone())];
        let profiler = GuestProfiler::new(module.engine(), name, INTERVAL, modules)?;
        *self.profiler.lock() = Some(profiler);
        self.is_profiling.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether [`sample`](Recording::sample) does anything.
    #[inline]
    pub(crate) fn is_profiling(&self) -> bool {
        self.is_profiling.load(Ordering::Relaxed)
    }

    /// Looks at what a process runs, which is called at each tick that finds it running.
    pub(crate) fn sample(&self, store: impl AsContext) {
        if self.samples.fetch_add(1, Ordering::Relaxed) >= MAX_SAMPLES {
            self.is_profiling.store(false, Ordering::Relaxed);
            return;
        }
        if let Some(profiler) = &mut *self.profiler.lock() {
            profiler.sample(store, INTERVAL);
        }
    }

    /// Ends the profile and writes it to a file. Returns how many samples it has, or `None`
    /// if there is none.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn end_profile(&self, path: &Path) -> io::Result<Option<u64>> {
        self.is_profiling.store(false, Ordering::Relaxed);
        let Some(profiler) = self.profiler.lock().take() else {
            return Ok(None);
        };
        let file = std::fs::File::create(path)?;
        let mut file = io::BufWriter::new(file);
        profiler.finish(&mut file).map_err(io::Error::other)?;
        file.flush()?;
        let samples = self.samples.load(Ordering::Relaxed);
        Ok(Some(samples.min(MAX_SAMPLES)))
    }

    /// A process has trapped.
    ///
    /// - `memory`: the size of its memory, in bytes.
    pub(crate) fn trapped(
        &self,
        process: Pid,
        memory: u64,
        error: &wasmtime::Error,
        store: impl AsContextMut,
    ) {
        if let (Some(core_dumps), Some(dump)) = (&self.core_dumps, error.downcast_ref()) {
            core_dumps.write(process, memory, dump, store);
        }
    }

    /// Waits until all core dumps are written.
    pub(crate) fn finish(&self) {
        let Some(core_dumps) = &self.core_dumps else {
            return;
        };
        let writing = std::mem::take(&mut *core_dumps.writing.lock());
        for thread in writing {
            thread.join().ok();
        }
    }
}

impl CoreDumps {
    fn write(&self, process: Pid, memory: u64, dump: &WasmCoreDump, store: impl AsContextMut) {
        if memory > MAX_CORE_DUMP_BYTES {
            tracing::warn!(%process, "no core dump: its memory has {memory} bytes");
            return;
        }
        if self.written.fetch_add(1, Ordering::Relaxed) >= MAX_CORE_DUMPS {
            return;
        }
        // Another runtime may have written into the directory before.
        let runtime = std::process::id();
        let name = format!("lunatic-{runtime}-process-{process}.coredump");
        let bytes = dump.serialize(store, &format!("process {process}"));
        let path = self.directory.join(name);
        let write = move || match write_new(&path, &bytes) {
            Ok(()) => tracing::warn!(%process, "core dump: {}", path.display()),
            Err(error) => {
                tracing::warn!(%process, "cannot write {}: {error}", path.display());
            }
        };
        match thread::Builder::new().name("coredump".into()).spawn(write) {
            Ok(thread) => self.writing.lock().push(thread),
            Err(error) => tracing::warn!(%process, "no core dump: {error}"),
        }
    }
}

/// Writes a file that was not there, and that only this user reads: it has all that the
/// guest knew.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("core_dumps", &self.core_dumps)
            .finish_non_exhaustive()
    }
}
