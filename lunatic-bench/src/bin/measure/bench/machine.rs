//! Says on what machine, when and with what code something was measured.

use std::fmt;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::{place, proc, program};

const BYTES_PER_GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The properties of the machine that the figures depend on.
#[derive(Debug)]
pub(super) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: f64,
    kernel: String,
    date: String,
    revision: String,
}

impl Machine {
    /// This machine, now, with the code of this tree.
    pub(super) fn here() -> Result<Machine> {
        Ok(Machine {
            processor: proc::processor()?,
            cores: thread::available_parallelism()
                .context("cannot count the cores")?
                .get(),
            memory_gib: proc::total_memory()? / BYTES_PER_GIB,
            kernel: proc::kernel()?,
            date: first_line("date", &["-u", "+%Y-%m-%d"])?,
            revision: first_line("git", &["describe", "--always", "--dirty"])?,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} × {}, {:.0} GiB of memory, Linux {}.",
            self.cores, self.processor, self.memory_gib, self.kernel
        )?;
        writeln!(f, "Revision {}, {}.", self.revision, self.date)
    }
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.current_dir(place::root()).args(arguments);
    let output = program::capture(&mut command)?;
    Ok(output.lines().next().unwrap_or_default().to_owned())
}
