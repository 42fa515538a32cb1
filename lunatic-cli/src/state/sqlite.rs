//! The databases of a process.

use std::path::PathBuf;

use lunatic_abi::Misuse;
use lunatic_account::Charge;
use lunatic_fs::Dir;
use lunatic_mailbox::Pid;
use lunatic_sqlite::guest::SqliteHost;

use crate::state::State;

pub(super) use lunatic_sqlite::guest::{GuestSqlite, HOST_FUNCTIONS, add_to_linker};

impl SqliteHost for State {
    fn sqlite(&mut self) -> &mut GuestSqlite {
        &mut self.sqlite
    }

    fn pid(&self) -> Pid {
        self.process.handle().id()
    }

    fn find_file(&self, path: &str) -> Option<(Dir, PathBuf)> {
        self.wasi.opened_config().find(path)
    }

    fn begin_call(&mut self) -> Result<Charge, Misuse> {
        self.process.begin_call()
    }

    fn end_call(&mut self) {
        self.process.end_call();
    }
}
