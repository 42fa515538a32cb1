//! The size of the pages of memory that the kernel hands out.

/// The size of a page: a power of two, and no more than a page of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSize {
    log2: u32,
}

impl PageSize {
    /// Pages of so many bytes.
    ///
    /// `None` if that is not a power of two, or more than 64 KiB. A memory of
    /// WebAssembly is a multiple of 64 KiB; larger pages would let a guest access
    /// more than its memory.
    pub(super) fn new(bytes: usize) -> Option<PageSize> {
        const LARGEST: usize = 64 << 10;
        (bytes.is_power_of_two() && bytes <= LARGEST).then(|| PageSize {
            log2: bytes.trailing_zeros(),
        })
    }

    /// The bytes of one page.
    pub(super) fn bytes(self) -> usize {
        1 << self.log2
    }

    /// The start of the page that `address` is in.
    pub(super) fn round_down(self, address: usize) -> usize {
        address & !(self.bytes() - 1)
    }

    /// The first start of a page at or after `address`.
    pub(super) fn round_up(self, address: usize) -> usize {
        self.round_down(address + (self.bytes() - 1))
    }

    /// How many pages hold so many bytes.
    pub(super) fn pages(self, bytes: usize) -> usize {
        self.round_up(bytes) >> self.log2
    }
}

#[cfg(test)]
impl PageSize {
    /// All page sizes of existing machines.
    pub(super) fn all() -> [PageSize; 3] {
        [4 << 10, 16 << 10, 64 << 10].map(|bytes| PageSize::new(bytes).expect("a page size"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_up_to_a_page_of_webassembly_are_page_sizes() {
        for bytes in [0, 3, 4095, 5000, 12 << 10, 128 << 10, 1 << 21, usize::MAX] {
            assert_eq!(PageSize::new(bytes), None, "{bytes}");
        }
        for page in PageSize::all() {
            assert_eq!(PageSize::new(page.bytes()), Some(page));
        }
    }

    #[test]
    fn addresses_are_rounded_to_starts_of_pages() {
        for page in PageSize::all() {
            let bytes = page.bytes();
            for (address, down, up) in [
                (0, 0, 0),
                (1, 0, bytes),
                (bytes - 1, 0, bytes),
                (bytes, bytes, bytes),
                (bytes + 1, bytes, 2 * bytes),
            ] {
                assert_eq!(page.round_down(address), down);
                assert_eq!(page.round_up(address), up);
            }
        }
    }

    #[test]
    fn pages_are_counted_as_far_as_they_are_begun() {
        for page in PageSize::all() {
            let bytes = page.bytes();
            for (of, pages) in [(0, 0), (1, 1), (bytes, 1), (bytes + 1, 2), (10 * bytes, 10)] {
                assert_eq!(page.pages(of), pages);
            }
        }
    }
}
