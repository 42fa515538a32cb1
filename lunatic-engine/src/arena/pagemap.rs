//! Which pages of a range have been written.
#![allow(unsafe_code, reason = "asks the kernel for a list of pages")]

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::arena::page_size::PageSize;

/// The pages of this program, as reported by the kernel (Linux 6.7).
#[derive(Debug)]
pub(super) struct Pagemap {
    file: File,
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

/// The highest number of runs of pages in one call.
const MAX_RUNS: usize = 32;

impl Pagemap {
    /// `None` if the kernel cannot report pages.
    pub(super) fn open(page: PageSize) -> Option<Pagemap> {
        let file = File::open("/proc/self/pagemap").ok()?;
        let pagemap = Pagemap { file };
        let probe = vec![0u8; 2 * page.bytes()];
        let start = page.round_up(probe.as_ptr().addr());
        pagemap
            .for_each_written(start..start + page.bytes(), |_| ())
            .map(|()| pagemap)
    }

    /// Calls `each` with every run of pages in a range of whole pages that has been
    /// written since it was mapped, in memory or swapped out. All runs lie in the
    /// range.
    ///
    /// `None` if the kernel does not report them, or they are more than 512 KiB; then `each` may
    /// have been called with some runs. A slot with more is cheaper to empty than to clean.
    pub(super) fn for_each_written(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(Range<usize>),
    ) -> Option<()> {
        const MAX_BYTES: usize = 512 << 10;
        let mut runs = [Run::default(); MAX_RUNS];
        let mut bytes = 0;
        let mut start = range.start;
        while start < range.end {
            let (found, walk_end) = self.scan(start..range.end, &mut runs)?;
            for run in &runs[..found] {
                let run = run.start as usize..run.end as usize;
                bytes += run.len();
                if bytes > MAX_BYTES {
                    return None;
                }
                each(run);
            }
            start = walk_end;
        }
        Some(())
    }

    /// Asks for as many runs as `runs` has room for. Returns the number of runs, and the end of the
    /// range that the kernel has searched; `None` if it fails.
    fn scan(&self, range: Range<usize>, runs: &mut [Run; MAX_RUNS]) -> Option<(usize, usize)> {
        let mut arguments = ScanArguments {
            size: size_of::<ScanArguments>() as u64,
            flags: 0,
            start: range.start as u64,
            end: range.end as u64,
            walk_end: 0,
            runs: runs.as_mut_ptr().expose_provenance() as u64,
            runs_len: MAX_RUNS as u64,
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
                self.file.as_raw_fd(),
                PAGEMAP_SCAN as libc::Ioctl,
                &raw mut arguments,
            )
        };
        let found = usize::try_from(found).ok()?;
        Some((found, arguments.walk_end as usize))
    }
}
