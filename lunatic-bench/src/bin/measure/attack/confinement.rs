//! What keeps the program of an attack from taking the memory of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// A control group of Linux (version 2) with a limit, if one can be made.
#[derive(Debug)]
pub(super) struct Confinement {
    group: Option<PathBuf>,
}

const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes of memory that a program has if nothing else is said.
pub(super) const MEMORY: u64 = 600 << 20;

impl Confinement {
    /// - `memory`: how many bytes a program has.
    pub(super) fn new(memory: u64) -> Confinement {
        let group = Path::new(GROUPS).join(format!("lunatic-attack-{}", process::id()));
        let made = is_version_2()
            && fs::create_dir_all(&group).is_ok()
            && fs::write(group.join("memory.max"), memory.to_string()).is_ok();
        if made {
            // Not everywhere are there pages to swap to.
            let _ = fs::write(group.join("memory.swap.max"), "0");
        }
        Confinement {
            group: made.then_some(group),
        }
    }

    /// Puts a program into it.
    pub(super) fn take(&self, program: u32) {
        if let Some(group) = &self.group {
            // A program that has ended already needs no limit.
            let _ = fs::write(group.join("cgroup.procs"), program.to_string());
        }
    }

    /// Whether the system itself keeps a program from taking more.
    pub(super) fn is_kept(&self) -> bool {
        self.group.is_some()
    }

    /// What a program is in, in words.
    pub(super) fn kind() -> String {
        match Confinement::new(MEMORY).is_kept() {
            true => format!("in a control group with {} MiB", MEMORY >> 20),
            false => "without a control group, and only watched".to_owned(),
        }
    }
}

impl Drop for Confinement {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            // It is empty, unless a program has left others behind.
            let _ = fs::remove_dir(group);
        }
    }
}

fn is_version_2() -> bool {
    Path::new(GROUPS).join("cgroup.controllers").is_file()
}
