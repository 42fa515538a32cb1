//! How many files and sockets the program may have open.

#[cfg(unix)]
use rustix::process::{Resource, getrlimit, setrlimit};

/// So many are left to the runtime: for its log, its admin socket, its cluster, the images of
/// modules, and those that are open for a moment only.
#[cfg(unix)]
const OF_RUNTIME: u64 = 384;

/// Raises the limit as far as the system lets us. What shells set is low for the
/// sake of programs that use `select`; a server has a descriptor for each
/// connection.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, it stays what it was; whoever reaches it is told.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Does nothing: there is no such limit here.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}

/// How many descriptors guests may have together: what the system allows the program now, less
/// some for the runtime itself. `u64::MAX` if there is no limit.
#[cfg(unix)]
pub(crate) fn for_guests() -> u64 {
    match getrlimit(Resource::Nofile).current {
        Some(limit) => limit - OF_RUNTIME.min(limit / 2),
        None => u64::MAX,
    }
}

/// As many as they want: there is no such limit here.
#[cfg(not(unix))]
pub(crate) fn for_guests() -> u64 {
    u64::MAX
}
