//! How many files and sockets the program may have open.

/// Raises the limit as far as the system lets us. What shells set is low for the
/// sake of programs that use `select`; a server has a descriptor for each
/// connection.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, it stays what it was; whoever reaches it is told.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Does nothing: there is no such limit here.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
