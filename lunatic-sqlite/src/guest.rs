//! The namespace `lunatic::sqlite` (ABI §10 and §28).

mod blobs;
mod connections;
mod results;
mod state;
mod statements;
mod watches;

use std::path::PathBuf;

use lunatic_abi::{Misuse, host_functions};
use lunatic_account::Charge;
use lunatic_fs::Dir;
use lunatic_mailbox::Pid;
use lunatic_mailbox::guest::MailboxHost;

pub use state::GuestSqlite;

/// What the state of a process offers to `lunatic::sqlite`.
pub trait SqliteHost: MailboxHost {
    /// The connections of this process.
    fn sqlite(&mut self) -> &mut GuestSqlite;

    /// The process.
    fn pid(&self) -> Pid;

    /// The directory of this process that a path lies in, and the path below it; `None` if it
    /// lies in none.
    fn find_file(&self, path: &str) -> Option<(Dir, PathBuf)>;

    /// A host function is to call the guest, on another stack. Returns what is charged for that
    /// until the call is over; [`end_call`](SqliteHost::end_call) is called then.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no other call may be open, or the account has no memory left.
    fn begin_call(&mut self) -> Result<Charge, Misuse>;

    /// A call that was [begun](SqliteHost::begin_call) is over.
    fn end_call(&mut self);
}

host_functions! {
    /// Registers `lunatic::sqlite`.
    pub fn add_to_linker<T: SqliteHost>(Linker<T>);
    /// The functions of `lunatic::sqlite`.
    pub const HOST_FUNCTIONS;

    use connections, statements, results, blobs, watches;
}
