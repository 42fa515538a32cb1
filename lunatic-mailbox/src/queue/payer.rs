//! The number of an account in the list of those that pay for queued messages.

/// To which account a queued message is charged, as a number; 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Payer(u16);

impl Payer {
    /// The message is charged to nobody.
    pub(crate) const NOBODY: Payer = Payer(0);

    pub(crate) const BITS: u32 = u16::BITS;

    pub(super) const fn from_bits(bits: u16) -> Payer {
        Payer(bits)
    }

    pub(super) const fn to_bits(self) -> u16 {
        self.0
    }
}
