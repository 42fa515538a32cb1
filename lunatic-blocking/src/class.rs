//! The classes of operations, with their number of threads.

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::thread;

use crate::queue::Queue;

/// The class of an operation, by what it waits for. Each class has one [`Queue`] for the whole
/// program, so that operations of one class never hold up those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The processor: the operation computes for long, as a compiler does. One thread per core.
    Cpu,
    /// A file system, which mostly answers from its cache. Such an operation
    /// needs a core rather than a disk, so there is one thread per core: more
    /// would only keep the threads that run processes waiting. With a thousand
    /// processes that read and write on two cores, eight threads make the worst
    /// waits four times as long as two. A signature that takes some milliseconds is made here, too.
    Cache,
    /// A disk, as `sync` does, and the end of a large file, whose blocks are freed. Eight threads.
    Disk,
    /// A name server. Sixty-four threads, so that a server that does not answer takes no thread
    /// from other classes.
    Lookup,
    /// A name server, for a rule of the network. Eight threads, separate from those of
    /// [`Lookup`](Class::Lookup), so that guests with many look-ups do not keep rules from being
    /// checked.
    RuleLookup,
    /// The kernel, which takes a large memory back. One thread, which no compiler and no disk holds
    /// up.
    Memory,
    /// Nothing: the operation drops a large value, see [`drop_later`](crate::drop_later). Two
    /// threads, of which one guest has at most one; compilers do not delay them.
    Drop,
    /// The reader of the standard output of the program. One thread, so that the output stays in
    /// order.
    Stdout,
    /// The reader of the standard error of the program. One thread, as for
    /// [`Stdout`](Class::Stdout).
    Stderr,
}

static CPU: LazyLock<Queue> = LazyLock::new(|| Queue::new(cores()));
static CACHE: LazyLock<Queue> = LazyLock::new(|| Queue::new(cores()));
static DISK: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(8)));
static LOOKUP: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(64)));
static RULE_LOOKUP: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(8)));
static MEMORY: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(1)));
static DROP: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(2)));
static STDOUT: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(1)));
static STDERR: LazyLock<Queue> = LazyLock::new(|| Queue::new(threads(1)));

impl Class {
    /// The queue that the whole program shares.
    pub fn queue(self) -> &'static Queue {
        match self {
            Class::Cpu => &CPU,
            Class::Cache => &CACHE,
            Class::Disk => &DISK,
            Class::Lookup => &LOOKUP,
            Class::RuleLookup => &RULE_LOOKUP,
            Class::Memory => &MEMORY,
            Class::Drop => &DROP,
            Class::Stdout => &STDOUT,
            Class::Stderr => &STDERR,
        }
    }
}

/// How many threads this program can run at the same time, as it was when it was first asked:
/// to ask the system reads a dozen files.
pub fn cores() -> NonZeroUsize {
    static CORES: LazyLock<NonZeroUsize> =
        LazyLock::new(|| thread::available_parallelism().unwrap_or(threads(2)));
    *CORES
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
