//! What arrives in pieces.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use crate::frame::{MAX_FRAME_BYTES, PIECE_BYTES};
use crate::outgoing::MAX_IN_PIECES;

/// So many bytes of frames that are not whole there may be. A sender has no more than
/// [`MAX_IN_PIECES`] of them under way, but the last pieces of those may come behind the first
/// ones of others, as lanes do not wait for each other.
const MAX_BUFFERED_BYTES: usize = 2 * MAX_IN_PIECES;

/// Puts frames together again that were sent in pieces.
///
/// All pieces but the last have the same length, so that there cannot be many small ones.
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
        // It grows as the pieces come: a length alone takes no memory.
        let known = self.transfers.entry(key).or_insert(Transfer {
            length,
            bytes: Vec::new(),
        });
        known.bytes.extend_from_slice(bytes);
        self.buffered += bytes.len();
        if known.bytes.len() < length {
            return Ok(None);
        }
        self.buffered -= length;
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
