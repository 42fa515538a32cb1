//! Whether there is memory for one more operation.

use lunatic_account::{Account, Charge, Exceeded, Kind};

/// The memory that an operation needs while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    /// An estimate.
    pub(crate) bytes: u64,
    /// The account that is charged; `None` if it is not counted.
    pub(crate) payer: Option<Account>,
}

/// The memory that the running operations need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    running: usize,
    bytes: u64,
}

/// The decision about an operation that needs memory.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The operation begins, and may have been refused what it needs.
    Begins(Granted),
    /// The operation waits until another one that needs memory has ended.
    Waits {
        /// Whether there is too little for all, and not only for one guest.
        for_all: bool,
    },
}

/// The memory that an operation is granted when it begins.
#[derive(Debug)]
pub(crate) enum Granted {
    /// The operation needs no memory.
    Nothing,
    /// The memory that it needs.
    Memory {
        bytes: u64,
        /// Released when the operation has ended.
        _charge: Option<Charge>,
    },
    /// The operation must not run, because it could not have the memory even if no other one ran.
    Refused(Exceeded),
}

impl Needs {
    /// Asks for memory.
    ///
    /// - `of_same_guest`: how many operations of the same guest run that need memory.
    pub(crate) fn begin(&mut self, need: &Need, of_same_guest: usize) -> Answer {
        let Some(payer) = &need.payer else {
            return self.grant(need, None);
        };
        let root = payer.root_account();
        let there_would_be = self.bytes.saturating_add(need.bytes);
        let refused = if there_would_be > root.memory_left() {
            Exceeded {
                kind: Kind::Memory,
                limit: root.limits().memory,
                account: root.id(),
            }
        } else {
            match Charge::new(payer, Kind::Memory, need.bytes) {
                Ok(charge) => return self.grant(need, Some(charge)),
                Err(refused) => refused,
            }
        };
        let is_of_all = refused.account == root.id();
        if of_same_guest > 0 || is_of_all && self.running > 0 {
            return Answer::Waits { for_all: is_of_all };
        }
        match payer.is(root) {
            // The program itself, and whom it trusts as itself, always may have one.
            true => self.grant(need, None),
            false => Answer::Begins(Granted::Refused(refused)),
        }
    }

    fn grant(&mut self, need: &Need, charge: Option<Charge>) -> Answer {
        self.running += 1;
        self.bytes = self.bytes.saturating_add(need.bytes);
        Answer::Begins(Granted::Memory {
            bytes: need.bytes,
            _charge: charge,
        })
    }

    /// An operation has ended.
    pub(crate) fn end(&mut self, bytes: u64) {
        self.running -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Granted {
    /// The memory, unless it is none.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Granted::Memory { bytes, .. } => Some(*bytes),
            Granted::Nothing | Granted::Refused(_) => None,
        }
    }
}
