//! The pages of a slot that may have been written.

use std::num::NonZeroU16;
use std::ops::Range;

use crate::arena::page_size::PageSize;

/// How many runs of pages are remembered. Most guests write fewer: the top of their stack, their
/// globals and the start of their heap.
const MAX_RUNS: usize = 7;

/// All pages of the first part of a slot that have been written since it was mapped. They are in
/// memory or swapped out; writing to any other page costs a page fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenPages {
    runs: [Run; MAX_RUNS],
    count: u16,
    /// How many pages the part has.
    looked_at: NonZeroU16,
}

/// Pages by their number in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Run {
    start: u16,
    end: u16,
}

/// Collects the runs of pages that the kernel reports.
#[derive(Debug)]
pub(super) struct Gathered {
    pages: Option<WrittenPages>,
    page: PageSize,
}

impl Gathered {
    /// No pages of a part of so many bytes.
    pub(super) fn new(bytes: usize, page: PageSize) -> Gathered {
        let looked_at = u16::try_from(page.pages(bytes)).ok();
        let pages = looked_at
            .and_then(NonZeroU16::new)
            .map(|looked_at| WrittenPages {
                runs: [Run::default(); MAX_RUNS],
                count: 0,
                looked_at,
            });
        Gathered { pages, page }
    }

    /// Adds whole pages of the part. Runs come in the order of their addresses.
    pub(super) fn add(&mut self, part: &Range<usize>) {
        let pages = self.pages.take();
        self.pages = pages.and_then(|pages| pages.with(part, self.page));
    }

    /// Returns the collected pages; `None` if they are too many to remember.
    pub(super) fn pages(self) -> Option<WrittenPages> {
        self.pages
    }
}

impl WrittenPages {
    /// These and a part that lies behind them; `None` if there are too many.
    fn with(mut self, part: &Range<usize>, page: PageSize) -> Option<WrittenPages> {
        let number = |bytes| u16::try_from(page.pages(bytes)).ok();
        let (start, end) = (number(part.start)?, number(part.end)?);
        let count = usize::from(self.count);
        match self.runs[..count].last_mut() {
            // Two mappings meet there.
            Some(last) if last.end == start => last.end = end,
            _ => {
                *self.runs.get_mut(count)? = Run { start, end };
                self.count += 1;
            }
        }
        Some(self)
    }

    /// Returns every run of pages in the first bytes of the slot, in bytes from its start. `None`
    /// if not all of these have been recorded.
    pub(super) fn within(
        self,
        bytes: usize,
        page: PageSize,
    ) -> Option<impl Iterator<Item = Range<usize>>> {
        let in_bytes = move |pages: u16| usize::from(pages) * page.bytes();
        let end = page.round_up(bytes);
        if end > in_bytes(self.looked_at.get()) {
            return None;
        }
        let runs = self.runs.into_iter().take(usize::from(self.count));
        Some(runs.filter_map(move |run| {
            let part = in_bytes(run.start)..in_bytes(run.end).min(end);
            (!part.is_empty()).then_some(part)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(bytes: usize, page: PageSize, runs: &[Range<usize>]) -> Option<WrittenPages> {
        let mut gathered = Gathered::new(bytes, page);
        for run in runs {
            gathered.add(&(run.start * page.bytes()..run.end * page.bytes()));
        }
        gathered.pages()
    }

    fn within(pages: WrittenPages, bytes: usize, page: PageSize) -> Option<Vec<(usize, usize)>> {
        let number = |at| at / page.bytes();
        let runs = pages.within(bytes, page)?;
        Some(
            runs.map(|run| (number(run.start), number(run.end)))
                .collect(),
        )
    }

    #[test]
    fn what_is_gathered_is_told_as_far_as_it_lies_in_a_part() {
        for page in PageSize::all() {
            let size = page.bytes();
            let runs = [0..1, 5..9, 9..10, 12..13];
            let pages = gathered(20 * size, page, &runs).expect("few runs");
            let all = vec![(0, 1), (5, 10), (12, 13)];
            assert_eq!(within(pages, 20 * size, page), Some(all.clone()));
            assert_eq!(within(pages, 20 * size - 1, page), Some(all));
            assert_eq!(within(pages, 6 * size, page), Some(vec![(0, 1), (5, 6)]));
            assert_eq!(within(pages, 5 * size, page), Some(vec![(0, 1)]));
            assert_eq!(within(pages, 0, page), Some(Vec::new()));
        }
    }

    #[test]
    fn of_pages_that_were_not_looked_at_nothing_is_told() {
        for page in PageSize::all() {
            let pages = gathered(3 * page.bytes(), page, &[]).expect("no runs");
            assert_eq!(within(pages, 3 * page.bytes(), page), Some(Vec::new()));
            assert_eq!(within(pages, 3 * page.bytes() + 1, page), None);
        }
    }

    #[test]
    fn more_runs_or_pages_than_are_remembered_are_not_told() {
        let page = PageSize::all()[0];
        let runs: Vec<_> = (0..MAX_RUNS).map(|run| 2 * run..2 * run + 1).collect();
        assert!(gathered(1 << 20, page, &runs).is_some());
        let more: Vec<_> = (0..=MAX_RUNS).map(|run| 2 * run..2 * run + 1).collect();
        assert_eq!(gathered(1 << 20, page, &more), None);
        assert_eq!(gathered(0, page, &[]), None);
        assert_eq!(
            gathered(usize::from(u16::MAX) * page.bytes() + 1, page, &[]),
            None
        );
    }
}
