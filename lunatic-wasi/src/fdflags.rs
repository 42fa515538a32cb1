//! The flags of a file descriptor.

use lunatic_fs::Durability;

use crate::errno::Errno;

/// The flags of a file descriptor, with the bits of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FdFlags(u16);

impl FdFlags {
    pub(crate) const NONE: FdFlags = FdFlags(0);
    pub(crate) const APPEND: FdFlags = FdFlags(1 << 0);
    const DSYNC: u16 = 1 << 1;
    const NONBLOCK: u16 = 1 << 2;
    const RSYNC: u16 = 1 << 3;
    const SYNC: u16 = 1 << 4;
    const ALL: u16 =
        FdFlags::APPEND.0 | FdFlags::DSYNC | FdFlags::NONBLOCK | FdFlags::RSYNC | FdFlags::SYNC;

    /// Returns the flags with these bits; `inval` if one of them does not exist.
    pub(crate) fn from_bits(bits: u32) -> Result<FdFlags, Errno> {
        match u16::try_from(bits) {
            Ok(bits) if bits & !FdFlags::ALL == 0 => Ok(FdFlags(bits)),
            _ => Err(Errno::Invalid),
        }
    }

    /// Returns the bits of the specification.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// Returns whether writes go to the end.
    pub(crate) fn append(self) -> bool {
        self.0 & FdFlags::APPEND.0 != 0
    }

    /// Returns what a write waits for. `rsync` counts as `sync`, as on Linux.
    pub(crate) fn durability(self) -> Durability {
        match self.0 {
            bits if bits & (FdFlags::SYNC | FdFlags::RSYNC) != 0 => Durability::All,
            bits if bits & FdFlags::DSYNC != 0 => Durability::Data,
            _ => Durability::None,
        }
    }
}
