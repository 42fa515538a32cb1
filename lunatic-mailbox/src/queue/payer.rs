//! The number of an account in the list of payers of queued messages.

/// The number of the account to which a queued message is charged; 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Payer(u16);

impl Payer {
    /// The number of a message that is not charged.
    pub(crate) const NOBODY: Payer = Payer(0);

    /// The first payer, which is not in the list.
    pub(crate) const FIRST: Payer = Payer(1);

    /// The number of the one at index 0 of the list.
    const LISTED: u16 = 2;

    /// The highest number of accounts in the list.
    pub(crate) const MAX_LISTED: usize = (u16::MAX - Payer::LISTED) as usize + 1;

    pub(super) const BITS: u32 = u16::BITS;

    /// Returns the payer at an index of the list, or `None` if there are too many.
    pub(crate) fn of_index(index: usize) -> Option<Payer> {
        let index = u16::try_from(index).ok()?;
        index.checked_add(Payer::LISTED).map(Payer)
    }

    /// Returns the index in the list; `None` for [`NOBODY`](Payer::NOBODY) and
    /// [`FIRST`](Payer::FIRST).
    pub(crate) fn index(self) -> Option<usize> {
        self.0.checked_sub(Payer::LISTED).map(usize::from)
    }

    pub(super) const fn from_bits(bits: u16) -> Payer {
        Payer(bits)
    }

    pub(super) const fn to_bits(self) -> u16 {
        self.0
    }
}
