//! The properties of the machine that the arena depends on.

use std::io;

use crate::arena::free_list::{Contents, FreeLists};
use crate::arena::page_size::PageSize;
use crate::arena::system;

/// The sizes and limits of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    /// The size of a page of memory.
    pub(super) page: PageSize,
    /// How many threads run at the same time.
    pub(super) cores: usize,
    /// How many mappings the kernel lets a program have.
    pub(super) mappings: usize,
}

impl Machine {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// Fails if the arena cannot work with the kernel's pages.
    pub(super) fn detect() -> io::Result<Machine> {
        let bytes = system::page_bytes()?;
        let page = PageSize::new(bytes).ok_or_else(|| {
            io::Error::other(format!("pages of {bytes} bytes are too large for it"))
        })?;
        Ok(Machine {
            page,
            cores: lunatic_blocking::cores().get(),
            mappings: max_mappings(),
        })
    }

    /// Free lists for the slots of one slab.
    pub(super) fn free_lists<C: Contents>(&self) -> FreeLists<C> {
        /// The bytes that the warm slots of one slab may occupy.
        const WARM_BYTES: usize = 128 << 20;
        FreeLists::new(self.cores, self.page.pages(WARM_BYTES))
    }
}

fn max_mappings() -> usize {
    /// The kernel's default.
    const DEFAULT: usize = 65_530;
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT)
}

#[cfg(test)]
impl Machine {
    /// This machine, as if its pages had another size, which must not be smaller than
    /// they are, and with few mappings: a test has several arenas, and address space
    /// for one.
    pub(super) fn with_pages(page: PageSize) -> Machine {
        let machine = Machine::detect().expect("this machine has an arena");
        assert!(machine.page.bytes() <= page.bytes());
        Machine {
            page,
            mappings: 1000,
            ..machine
        }
    }
}
