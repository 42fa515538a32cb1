//! Which pages of a range have been written.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use crate::arena::system::PAGE;

/// Ranges are told up to this number of pages; more is a slot that is cheaper to
/// throw away than to clean.
pub(super) const MOST_PAGES: usize = 128;

/// So many runs of pages are told in one call.
const MOST_RUNS: usize = 32;

/// The pages of the process, if the kernel can tell of them (Linux 6.7).
static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| {
    let pagemap = File::open("/proc/self/pagemap").ok()?;
    let probe = [0u8; 2 * PAGE];
    let page = probe.as_ptr().addr().next_multiple_of(PAGE);
    scan(&pagemap, page..page + PAGE, |_| ()).map(|()| pagemap)
});

/// Calls `each` with every run of pages in a range of whole pages that has been
/// written since it was mapped, in memory or swapped out.
///
/// `None` if that cannot be told, or there are more than [`MOST_PAGES`]; then
/// some runs may have been told.
pub(super) fn written(range: Range<usize>, each: impl FnMut(Range<usize>)) -> Option<()> {
    scan(PAGEMAP.as_ref()?, range, each)
}

/// `struct pm_scan_arg` of the kernel.
#[repr(C)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    runs: u64,
    runs_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Run {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = 0xC060_6610;

/// The page is one of a mapped file: it has only been read.
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
/// The page is the one page of zeros that all share: it has only been read.
const SHARED_ZERO: u64 = 1 << 5;

fn scan(pagemap: &File, range: Range<usize>, mut each: impl FnMut(Range<usize>)) -> Option<()> {
    let mut runs = [Run::default(); MOST_RUNS];
    let mut pages = 0;
    let mut start = range.start;
    while start < range.end {
        let mut arguments = ScanArguments {
            size: size_of::<ScanArguments>() as u64,
            flags: 0,
            start: start as u64,
            end: range.end as u64,
            walk_end: 0,
            runs: runs.as_mut_ptr().addr() as u64,
            runs_len: MOST_RUNS as u64,
            max_pages: 0,
            category_inverted: FILE | SHARED_ZERO,
            category_mask: FILE | SHARED_ZERO,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: PRESENT,
        };
        // SAFETY: the kernel writes to `arguments` and to no more than `runs_len`
        // entries of `runs`; both outlive the call. It only looks at the range.
        let found = unsafe {
            libc::ioctl(
                pagemap.as_raw_fd(),
                PAGEMAP_SCAN as libc::Ioctl,
                &raw mut arguments,
            )
        };
        let found = usize::try_from(found).ok()?;
        for run in &runs[..found] {
            let run = run.start as usize..run.end as usize;
            pages += run.len() / PAGE;
            if pages > MOST_PAGES {
                return None;
            }
            each(run);
        }
        start = arguments.walk_end as usize;
    }
    Some(())
}
