//! What arrives in pieces.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use lunatic_account::{Account, Kind};

use crate::frame::{MAX_FRAME_BYTES, PIECE_BYTES};
use crate::outgoing::MAX_IN_PIECES;

/// So many bytes of frames that are not whole there may be. A sender has no more than
/// [`MAX_IN_PIECES`] of them under way, but the last pieces of those may come behind the first
/// ones of others, as lanes do not wait for each other.
const MAX_BUFFERED_BYTES: usize = 2 * MAX_IN_PIECES;

/// Puts frames together again that were sent in pieces.
///
/// All pieces but the last have the same length, so that there cannot be many small ones. What has come
/// of a frame is charged to the account of the other node until it is whole, beyond its limits if need
/// be: then that node has no room for anything else.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// By lane and number; the numbers are chosen by the peer.
    transfers: HashMap<(u8, u32), Transfer>,
    /// The bytes of all of them that have come.
    buffered: usize,
}

#[derive(Debug)]
struct Transfer {
    length: usize,
    bytes: Vec<u8>,
    /// To whom what is allocated is charged.
    payer: Option<Account>,
    charged: u64,
}

/// A piece that no node sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPiece {
    TooLong,
    TooMany,
    Mismatch,
}

impl Incoming {
    /// Takes a piece in, and returns the whole frame if it is the last.
    ///
    /// - `payer`: returns the account of the other node, if there is one.
    ///
    /// # Errors
    ///
    /// [`BadPiece`].
    pub(crate) fn piece(
        &mut self,
        lane: u8,
        transfer: u32,
        length: u32,
        bytes: &[u8],
        payer: impl FnOnce() -> Option<Account>,
    ) -> Result<Option<Vec<u8>>, BadPiece> {
        let length = length as usize;
        if length > MAX_FRAME_BYTES || bytes.len() > PIECE_BYTES {
            return Err(BadPiece::TooLong);
        }
        let key = (lane, transfer);
        let known = self.transfers.get(&key);
        let begun = known.map_or(0, |known| known.bytes.len());
        let fits = known.is_none_or(|known| known.length == length);
        if !fits || bytes.is_empty() || bytes.len() != PIECE_BYTES.min(length - begun) {
            return Err(BadPiece::Mismatch);
        }
        if self.buffered + bytes.len() > MAX_BUFFERED_BYTES {
            return Err(BadPiece::TooMany);
        }
        let known = self.transfers.entry(key).or_insert_with(|| Transfer {
            length,
            bytes: Vec::new(),
            payer: payer(),
            charged: 0,
        });
        known.append(bytes);
        self.buffered += bytes.len();
        if known.bytes.len() < length {
            return Ok(None);
        }
        self.buffered -= length;
        let whole = self.transfers.remove(&key);
        Ok(whole.map(|mut transfer| std::mem::take(&mut transfer.bytes)))
    }
}

impl Transfer {
    /// It grows as the pieces come, as a length alone is to take no memory: to twice as much each time,
    /// but not beyond the length.
    fn append(&mut self, piece: &[u8]) {
        let (begun, capacity) = (self.bytes.len(), self.bytes.capacity());
        if begun + piece.len() > capacity {
            let wanted = (2 * capacity).max(begun + piece.len()).min(self.length);
            self.bytes.reserve_exact(wanted - begun);
        }
        self.bytes.extend_from_slice(piece);
        let added = self.bytes.capacity() as u64 - self.charged;
        if let Some(payer) = &self.payer {
            payer.charge_beyond_limits(Kind::Memory, added);
        }
        self.charged += added;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(payer) = &self.payer {
            payer.release(Kind::Memory, self.charged);
        }
    }
}

impl fmt::Display for BadPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadPiece::TooLong => "a message is longer than messages may be",
            BadPiece::TooMany => "there are more messages in pieces than there may be at once",
            BadPiece::Mismatch => "a piece does not belong to the message it names",
        })
    }
}

impl Error for BadPiece {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::AccountLimits;

    use super::*;

    #[test]
    fn what_has_come_of_a_frame_is_charged_until_it_is_whole_or_nobody_waits_for_it() {
        const LENGTH: usize = 5 * PIECE_BYTES + 7;
        let account = Account::root(AccountLimits {
            memory: 3 * PIECE_BYTES as u64,
            ..AccountLimits::UNLIMITED
        });
        let used = || account.used(Kind::Memory) as usize;
        let mut incoming = Incoming::default();
        let mut come = |transfer, bytes: usize| {
            let piece = vec![7; bytes];
            let payer = || Some(account.clone());
            let whole = incoming.piece(1, transfer, LENGTH as u32, &piece, payer);
            whole.unwrap()
        };
        for pieces in 1..=5 {
            assert_eq!(come(1, PIECE_BYTES), None);
            let charged = used();
            assert!(
                (pieces * PIECE_BYTES..=LENGTH).contains(&charged),
                "{charged}"
            );
        }
        assert!(
            account.check(Kind::Memory, 1).is_err(),
            "it has no more room"
        );
        assert_eq!(come(2, PIECE_BYTES), None);
        assert_eq!(come(1, 7), Some(vec![7; LENGTH]));
        assert_eq!(used(), PIECE_BYTES);
        drop(incoming);
        assert_eq!(used(), 0);
    }
}
