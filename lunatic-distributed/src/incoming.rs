//! What arrives in pieces.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use crate::frame::{MAX_MESSAGE_BYTES, PIECE_BYTES};
use crate::outgoing::MAX_IN_PIECES;

/// A frame has so many bytes beside those of its message at most.
const MAX_OVERHEAD_BYTES: usize = 1 << 20;

/// Puts frames together again that were sent in pieces.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// By lane and number; the numbers are chosen by the peer.
    transfers: HashMap<(u8, u32), Transfer>,
    /// The lengths of all of them.
    announced: usize,
}

#[derive(Debug)]
struct Transfer {
    length: usize,
    bytes: Vec<u8>,
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
    /// # Errors
    ///
    /// [`BadPiece`].
    pub(crate) fn piece(
        &mut self,
        lane: u8,
        transfer: u32,
        length: u32,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, BadPiece> {
        let length = length as usize;
        if length > MAX_MESSAGE_BYTES + MAX_OVERHEAD_BYTES || bytes.len() > PIECE_BYTES {
            return Err(BadPiece::TooLong);
        }
        let key = (lane, transfer);
        if !self.transfers.contains_key(&key) {
            if self.announced > 0 && self.announced + length > MAX_IN_PIECES {
                return Err(BadPiece::TooMany);
            }
            self.announced += length;
            // It grows as the pieces come: a length alone takes no memory.
            let bytes = Vec::new();
            self.transfers.insert(key, Transfer { length, bytes });
        }
        let Some(known) = self.transfers.get_mut(&key) else {
            return Err(BadPiece::Mismatch);
        };
        let whole = known.bytes.len() + bytes.len();
        if known.length != length || whole > length || bytes.is_empty() {
            return Err(BadPiece::Mismatch);
        }
        known.bytes.extend_from_slice(bytes);
        if whole < length {
            return Ok(None);
        }
        self.announced -= length;
        Ok(self.transfers.remove(&key).map(|transfer| transfer.bytes))
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
