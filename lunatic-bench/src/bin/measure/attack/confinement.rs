//! The confinement that keeps the program of an attack from taking all memory of the machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// A control group of Linux with a limit, if one can be made.
#[derive(Debug)]
pub(super) struct Confinement {
    group: Option<(Version, PathBuf)>,
}

/// The two interfaces to control groups. Where both are mounted, one of them has the
/// controller of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes of memory that a program has if nothing else is said.
pub(super) const MEMORY: u64 = 600 << 20;

impl Confinement {
    /// - `memory`: how many bytes a program has.
    pub(super) fn new(memory: u64) -> Confinement {
        Confinement::below(Path::new(GROUPS), memory)
    }

    /// - `groups`: where control groups are mounted.
    fn below(groups: &Path, memory: u64) -> Confinement {
        let name = format!("lunatic-attack-{}", process::id());
        let made = Version::of(groups).and_then(|version| {
            let group = version.folder(groups).join(&name);
            let made = version.make(&group, memory);
            made.inspect_err(|_| drop(fs::remove_dir(&group))).ok()?;
            Some((version, group))
        });
        Confinement { group: made }
    }

    /// Puts a program into it.
    pub(super) fn take(&self, program: u32) {
        if let Some((_, group)) = &self.group {
            // A program that has ended already needs no limit.
            let _ = fs::write(group.join("cgroup.procs"), program.to_string());
        }
    }

    /// The interface by which the system itself keeps a program from taking more; `None` if it
    /// does not.
    pub(super) fn version(&self) -> Option<Version> {
        self.group.as_ref().map(|(version, _)| *version)
    }

    /// Returns the kind of confinement, in words.
    pub(super) fn kind() -> String {
        match Confinement::new(MEMORY).version() {
            Some(version) => format!(
                "in a control group ({}) with {} MiB",
                version.name(),
                MEMORY >> 20
            ),
            None => "without a control group, and only watched".to_owned(),
        }
    }
}

impl Version {
    /// The interface that has the controller of memory, if one has.
    fn of(groups: &Path) -> Option<Version> {
        let is_file = |name: &str| groups.join(name).is_file();
        if is_file("cgroup.controllers") {
            return Some(Version::Two);
        }
        is_file("memory/memory.limit_in_bytes").then_some(Version::One)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Version::One => "version 1",
            Version::Two => "version 2",
        }
    }

    /// Returns the group above those with a limit of memory.
    fn folder(self, groups: &Path) -> PathBuf {
        match self {
            Version::One => groups.join("memory"),
            Version::Two => groups.to_owned(),
        }
    }

    /// Makes a group with so much memory.
    fn make(self, group: &Path, memory: u64) -> io::Result<()> {
        let memory = memory.to_string();
        fs::create_dir_all(group)?;
        // Not everywhere are there pages to swap to, so the second limit may be missing. That
        // of version 1 is one of both together, and cannot be below the first.
        let (limit, with_swap, swapped) = match self {
            Version::One => (
                "memory.limit_in_bytes",
                "memory.memsw.limit_in_bytes",
                memory.as_str(),
            ),
            Version::Two => ("memory.max", "memory.swap.max", "0"),
        };
        fs::write(group.join(limit), &memory)?;
        let _ = fs::write(group.join(with_swap), swapped);
        Ok(())
    }
}

impl Drop for Confinement {
    fn drop(&mut self) {
        if let Some((_, group)) = &self.group {
            // It is empty, unless a program has left others behind.
            let _ = fs::remove_dir(group);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::env;

    use super::*;

    /// A folder that looks like mounted control groups, apart from what the system does.
    struct Mounted(PathBuf);

    impl Mounted {
        fn new(name: &str, files: &[&str]) -> Mounted {
            let folder = env::temp_dir().join(format!("lunatic-{name}-{}", process::id()));
            fs::create_dir_all(folder.join("memory")).unwrap();
            for file in files {
                fs::write(folder.join(file), "").unwrap();
            }
            Mounted(folder)
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn read(confinement: &Confinement, file: &str) -> String {
        let (_, group) = confinement.group.as_ref().unwrap();
        fs::read_to_string(group.join(file)).unwrap()
    }

    #[test]
    fn the_interface_is_the_one_that_has_the_controller_of_memory() {
        let mounted = Mounted::new("two", &["cgroup.controllers"]);
        let confinement = Confinement::below(&mounted.0, 1000);
        assert_eq!(confinement.version(), Some(Version::Two));
        confinement.take(7);
        assert_eq!(read(&confinement, "memory.max"), "1000");
        assert_eq!(read(&confinement, "memory.swap.max"), "0");
        assert_eq!(read(&confinement, "cgroup.procs"), "7");

        let mounted = Mounted::new("one", &["memory/memory.limit_in_bytes"]);
        let confinement = Confinement::below(&mounted.0, 1000);
        assert_eq!(confinement.version(), Some(Version::One));
        confinement.take(7);
        assert_eq!(read(&confinement, "memory.limit_in_bytes"), "1000");
        assert_eq!(read(&confinement, "memory.memsw.limit_in_bytes"), "1000");
        assert_eq!(read(&confinement, "cgroup.procs"), "7");
    }

    #[test]
    fn without_a_controller_of_memory_there_is_no_group() {
        let mounted = Mounted::new("none", &[]);
        let confinement = Confinement::below(&mounted.0, 1000);
        assert_eq!(confinement.version(), None);
        assert_eq!(fs::read_dir(mounted.0.join("memory")).unwrap().count(), 0);
    }
}
