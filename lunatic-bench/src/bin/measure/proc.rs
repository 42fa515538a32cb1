//! Reads the figures of a process and of the machine from `/proc`.

use std::fs;

use anyhow::{Context, Result};

use crate::number::Value;

/// The file with the memory of the machine.
const MEMORY: &str = "/proc/meminfo";

/// The unit of CPU time in `/proc`. Linux shows all programs a hundred ticks
/// per second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

const BYTES_PER_KB: f64 = 1024.0;

/// The bytes of memory that process `id` uses, page tables included. A page
/// that is mapped several times counts once.
pub(crate) fn memory(id: u32) -> Result<Value> {
    let pages = kilobytes(&format!("/proc/{id}/smaps_rollup"), "Pss:")?;
    let tables = kilobytes(&format!("/proc/{id}/status"), "VmPTE:")?;
    Ok(pages + tables)
}

/// The most bytes of memory that process `id` had until now.
pub(crate) fn peak(id: u32) -> Result<u64> {
    Ok(kilobytes(&format!("/proc/{id}/status"), "VmHWM:")? as u64)
}

/// The seconds of CPU time that process `id` used until now.
pub(crate) fn cpu_time(id: u32) -> Result<Value> {
    let path = format!("/proc/{id}/stat");
    let text = read(&path)?;
    let ticks = ticks(&text).with_context(|| format!("{path} is not as expected"))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// How many descriptors process `id` has open.
pub(crate) fn descriptors(id: u32) -> Result<usize> {
    let path = format!("/proc/{id}/fd");
    let open = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(open.count())
}

/// How many threads process `id` has.
pub(crate) fn threads(id: u32) -> Result<usize> {
    let path = format!("/proc/{id}/task");
    let threads = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(threads.count())
}

/// How many mappings process `id` has.
pub(crate) fn mappings(id: u32) -> Result<usize> {
    Ok(read(&format!("/proc/{id}/maps"))?.lines().count())
}

/// The bytes of memory the machine could still give to programs.
pub(crate) fn available_memory() -> Result<Value> {
    kilobytes(MEMORY, "MemAvailable:")
}

/// The bytes of memory the machine has.
pub(crate) fn total_memory() -> Result<Value> {
    kilobytes(MEMORY, "MemTotal:")
}

/// The name of the machine's processor.
pub(crate) fn processor() -> Result<String> {
    let text = read("/proc/cpuinfo")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    Ok(name.to_owned())
}

/// The version of Linux.
pub(crate) fn kernel() -> Result<String> {
    Ok(read("/proc/sys/kernel/osrelease")?.trim().to_owned())
}

/// The bytes in the line of `path` that starts with `label`.
fn kilobytes(path: &str, label: &str) -> Result<Value> {
    bytes(&read(path)?, label).with_context(|| format!("{path} has no `{label}`"))
}

fn bytes(text: &str, label: &str) -> Option<Value> {
    let number = text.lines().find_map(|line| line.strip_prefix(label))?;
    let kilobytes: f64 = number.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * BYTES_PER_KB)
}

/// User and system time, the 14th and 15th field. The second one is a name in
/// parentheses that may contain anything.
fn ticks(text: &str) -> Option<u64> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut field = || fields.next()?.parse::<u64>().ok();
    Some(field()? + field()?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use super::{bytes, ticks};

    #[test]
    fn sizes_are_found_by_their_label() {
        let text = "Rss:     8 kB\nPss:     3 kB\nPss_Dirty:   1 kB\n";
        assert_eq!(bytes(text, "Pss:"), Some(3072.0));
        assert_eq!(bytes(text, "Swap:"), None);
    }

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20";
        assert_eq!(ticks(text), Some(150));
        assert_eq!(ticks("7 (a) S 1"), None);
    }
}
