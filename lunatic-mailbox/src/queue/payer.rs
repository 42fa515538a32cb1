//! The number of an account in the list of those that pay for queued messages.

/// To which account a queued message is charged, as a number; 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Payer(u16);

impl Payer {
    /// The message is charged to nobody.
    pub(crate) const NOBODY: Payer = Payer(0);

    pub(super) const BITS: u32 = u16::BITS;

    /// Returns the payer at an index of the list, or `None` if there are too many.
    pub(crate) fn of_index(index: usize) -> Option<Payer> {
        u16::try_from(index + 1).ok().map(Payer)
    }

    /// Returns the index in the list; `None` for nobody.
    pub(crate) fn index(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }

    pub(super) const fn from_bits(bits: u16) -> Payer {
        Payer(bits)
    }

    pub(super) const fn to_bits(self) -> u16 {
        self.0
    }
}
