//! Faults in the state machines, which only tests have: the simulation has to find each.

use std::cell::Cell;

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// When a session ends, links across it are not told.
    LostLinksAreNotTold,
    /// A link that was said before an unlink was known counts.
    UnlinksAreNotAwaited,
    /// A name is not given up for an older claim.
    YoungerClaimIsKept,
    /// A claim is granted before all have agreed.
    ClaimsAreNotAgreedOn,
    /// Names of a node are kept when its session ends.
    NamesOfTheLostAreKept,
    /// Of two nodes with one name or number the earlier start ends.
    EarlierStartEnds,
    /// Nodes do not agree on which of two nodes was started earlier.
    StartsHaveNoCommonOrder,
}

/// Plants a fault for the rest of a test, which has a thread of its own.
pub(crate) fn plant(fault: Fault) {
    PLANTED.set(Some(fault));
}

/// Whether a fault is planted in this thread.
pub(crate) fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}
