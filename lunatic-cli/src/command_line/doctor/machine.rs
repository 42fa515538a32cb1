//! Versions, the kernel and its limits, and directories.

use std::fs;
use std::path::Path;

use lunatic_admin::Directory;

use crate::command_line::cache;
use crate::command_line::doctor::Finding;
use crate::memory_watch;

pub(super) fn versions() -> Vec<Finding> {
    let own = env!("CARGO_PKG_VERSION");
    vec![
        Finding::new("lunatic", true, own, ""),
        Finding::new(
            "host interface",
            true,
            "0.13",
            "for the crate `lunatic` 0.13 and 0.14, and WASI preview 1",
        ),
    ]
}

pub(super) fn machine() -> Vec<Finding> {
    let mut findings = vec![processors(), memory()];
    findings.extend(linux());
    findings.extend([cache(), sockets()]);
    findings
}

fn processors() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Finding::new(
        "processors",
        true,
        count.to_string(),
        "as many threads run processes",
    )
}

fn memory() -> Finding {
    match memory_watch::available() {
        Some(bytes) => Finding::new(
            "memory",
            true,
            format!("{} MiB", bytes >> 20),
            "guests are refused more at nine tenths of four fifths of it; see --max-memory",
        ),
        None => Finding::new("memory", false, "unknown", "give a limit with --max-memory"),
    }
}

#[cfg(not(target_os = "linux"))]
fn linux() -> Vec<Finding> {
    vec![Finding::new(
        "memory arena",
        false,
        "only on Linux",
        "each memory and stack is mapped by itself: some thousands of processes",
    )]
}

#[cfg(target_os = "linux")]
fn linux() -> Vec<Finding> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let is_at_least = |wanted: (u64, u64)| version(release).is_some_and(|own| own >= wanted);
    let mut findings = vec![
        match is_at_least((6, 13)) {
            true => Finding::new("guard pages", true, release, "stacks cost no mappings"),
            false => Finding::new(
                "guard pages",
                false,
                format!("Linux {release}, before 6.13"),
                "every stack takes two mappings of vm.max_map_count",
            ),
        },
        match is_at_least((6, 7)) {
            true => Finding::new(
                "scan of pages",
                true,
                release,
                "memories are given back page by page",
            ),
            false => Finding::new(
                "scan of pages",
                false,
                format!("Linux {release}, before 6.7"),
                "memories that have grown are given back as a whole, which is slower",
            ),
        },
    ];
    if let Some(maps) = number("/proc/sys/vm/max_map_count") {
        const ENOUGH: u64 = 1 << 20;
        findings.push(Finding::new(
            "vm.max_map_count",
            maps >= ENOUGH,
            maps.to_string(),
            match maps >= ENOUGH {
                true => String::new(),
                false => format!(
                    "enough for {} processes with images of four pages or more in maps of their \
                     own, others are copied; more: sysctl vm.max_map_count={ENOUGH}",
                    maps / 8 * 7
                ),
            },
        ));
    }
    if let Some(mode) = number("/proc/sys/vm/overcommit_memory") {
        findings.push(match mode {
            2 => Finding::new(
                "vm.overcommit_memory",
                false,
                "2: never",
                "address space counts as memory: few processes; sysctl vm.overcommit_memory=0",
            ),
            mode => Finding::new(
                "vm.overcommit_memory",
                true,
                mode.to_string(),
                "address space does not count as memory: a process takes what it writes",
            ),
        });
    }
    findings.push(descriptors());
    findings
}

#[cfg(target_os = "linux")]
fn descriptors() -> Finding {
    use rustix::process::{Resource, getrlimit};
    const ENOUGH: u64 = 65_536;
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < ENOUGH => Finding::new(
            "open files",
            false,
            limit.to_string(),
            "each connection takes one; raise the hard limit (LimitNOFILE= of systemd)",
        ),
        Some(limit) => Finding::new("open files", true, limit.to_string(), ""),
        None => Finding::new("open files", true, "unlimited", ""),
    }
}

/// Major and minor number of a release of Linux.
#[cfg(target_os = "linux")]
fn version(release: &str) -> Option<(u64, u64)> {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn cache() -> Finding {
    let what = "compiled modules";
    let Some(directory) = cache::directory() else {
        return Finding::new(
            what,
            false,
            "there is no place for them",
            "set HOME, or XDG_CACHE_HOME to an absolute path",
        );
    };
    let found = directory.display().to_string();
    match is_writable(&directory) {
        true => Finding::new(what, true, found, ""),
        false => Finding::new(
            what,
            false,
            found,
            "cannot be written: each start compiles anew; set XDG_CACHE_HOME",
        ),
    }
}

/// Whether files can be made in a directory; if it is not there, in the one that it would be
/// made in.
fn is_writable(directory: &Path) -> bool {
    let Some(existing) = directory.ancestors().find(|it| it.exists()) else {
        return false;
    };
    let probe = existing.join(format!(".doctor-{}", std::process::id()));
    let made = fs::write(&probe, "");
    fs::remove_file(&probe).ok();
    made.is_ok()
}

fn sockets() -> Finding {
    let what = "admin sockets";
    match Directory::of_user() {
        Ok(directory) => Finding::new(what, true, directory.path().display().to_string(), ""),
        Err(error) => Finding::new(
            what,
            false,
            error.to_string(),
            "`lunatic ps` and others find no runtime; set XDG_RUNTIME_DIR",
        ),
    }
}
