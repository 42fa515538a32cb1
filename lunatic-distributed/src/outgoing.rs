//! What waits to be sent to a node.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use lunatic_account::{Account, Exceeded, Kind};
use lunatic_mailbox::Pid;

use crate::frame::{Frame, LANES, PIECE_BYTES};

/// From so many bytes on, who sends more to the node is held.
pub(crate) const HIGH_WATER: usize = 8 << 20;

/// When no more than so many bytes are left, those who are held go on.
pub(crate) const LOW_WATER: usize = 4 << 20;

/// A unit that has so many bytes is given no more frames.
const UNIT_BYTES: usize = 16 << 10;

/// No more bytes of frames are on their way in pieces, unless it is one frame alone.
pub(crate) const MAX_IN_PIECES: usize = 128 << 20;

/// The frames for one node, in lanes. Frames of one pair of processes leave in order; a
/// long one leaves in pieces, between the frames of other pairs.
#[derive(Debug)]
pub(crate) struct Outgoing {
    lanes: Vec<Lane>,
    /// All bytes that wait.
    queued: usize,
    /// The bytes of frames of which some pieces have left.
    in_pieces: usize,
    next_transfer: u32,
    /// The last unit of each lane says that the node leaves.
    is_leaving: bool,
}

#[derive(Debug, Default)]
struct Lane {
    units: VecDeque<Unit>,
    /// How many units have left.
    taken: u64,
    transfers: VecDeque<Transfer>,
    /// A piece of a transfer left last.
    piece_was_last: bool,
    /// The last unit has left.
    has_left: bool,
}

/// Frames that leave together.
#[derive(Debug, Default)]
struct Unit {
    /// It is one frame, and may be longer than a piece.
    is_long: bool,
    bytes: Vec<u8>,
    payers: Payers,
}

/// A frame that leaves in pieces.
#[derive(Debug)]
struct Transfer {
    pair: (Pid, Pid),
    id: u32,
    frame: Unit,
    sent: usize,
    /// It begins when so many units of the lane have left: there may be some of the same
    /// pair among them.
    after: u64,
    /// What the same pair has sent since.
    behind: VecDeque<Unit>,
}

/// Who has paid for a unit. What was paid is given back when it is dropped.
#[derive(Debug, Default)]
struct Payers(Vec<(Account, u64)>);

impl Outgoing {
    pub(crate) fn new() -> Outgoing {
        Outgoing {
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            queued: 0,
            in_pieces: 0,
            next_transfer: 0,
            is_leaving: false,
        }
    }

    /// The node leaves: each lane says so behind all that waits in it.
    pub(crate) fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// How many bytes wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0 && !self.lanes.iter().any(|lane| lane.leaves(self.is_leaving))
    }

    /// Queues a frame.
    ///
    /// - `pair`: who sends, and who receives.
    /// - `payer`: to whom it is charged until it leaves.
    ///
    /// # Errors
    ///
    /// The payer has no memory left for it.
    pub(crate) fn push(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        payer: Option<(&Account, usize)>,
    ) -> Result<(), Exceeded> {
        if let Some((account, bytes)) = payer {
            account.charge(Kind::Memory, bytes as u64)?;
        }
        self.push_paid(lane, pair, frame, payer);
        Ok(())
    }

    /// Queues a frame that must not be lost.
    ///
    /// - `payer`: to whom it is charged until it leaves, beyond a limit if need be.
    pub(crate) fn push_beyond_limits(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        payer: Option<(&Account, usize)>,
    ) {
        if let Some((account, bytes)) = payer {
            account.charge_beyond_limits(Kind::Memory, bytes as u64);
        }
        self.push_paid(lane, pair, frame, payer);
    }

    /// Queues a frame.
    ///
    /// - `paid`: to whom it was charged.
    fn push_paid(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        paid: Option<(&Account, usize)>,
    ) {
        let Some(lane) = self.lanes.get_mut(usize::from(lane)) else {
            return;
        };
        let is_long = is_long(frame);
        let behind = lane.transfers.iter_mut().find(|other| other.pair == pair);
        let units = match behind {
            Some(transfer) => &mut transfer.behind,
            None => &mut lane.units,
        };
        let is_open = |unit: &Unit| !is_long && !unit.is_long && unit.bytes.len() < UNIT_BYTES;
        if !units.back().is_some_and(is_open) {
            units.push_back(Unit {
                is_long,
                ..Unit::default()
            });
        }
        let Some(unit) = units.back_mut() else {
            return;
        };
        let before = unit.bytes.len();
        frame.append_to(&mut unit.bytes);
        self.queued += unit.bytes.len() - before;
        if let Some((account, bytes)) = paid {
            unit.payers.add(account, bytes as u64);
        }
        lane.begin_transfers(&mut self.next_transfer, pair);
    }

    /// Takes the next unit of a lane out, if there is one.
    pub(crate) fn take(&mut self, lane: u8) -> Option<Vec<u8>> {
        let lane = self.lanes.get_mut(usize::from(lane))?;
        let piece_first = !lane.piece_was_last || lane.units.is_empty();
        let piece = match piece_first {
            true => lane.take_piece(&mut self.in_pieces, &mut self.next_transfer),
            false => None,
        };
        lane.piece_was_last = piece.is_some();
        if let Some((unit, length)) = piece {
            self.queued -= length;
            return Some(unit);
        }
        let Some(unit) = lane.units.pop_front() else {
            let leaves = lane.leaves(self.is_leaving);
            lane.has_left |= leaves;
            return leaves.then(|| Frame::Leave.to_bytes());
        };
        lane.taken += 1;
        self.queued -= unit.bytes.len();
        Some(unit.bytes)
    }

    /// Whether something of a lane can be [taken](Outgoing::take). A long frame may have to
    /// wait until those of other lanes have left.
    pub(crate) fn has(&self, lane: u8) -> bool {
        let lane = self.lanes.get(usize::from(lane));
        lane.is_some_and(|lane| {
            !lane.units.is_empty()
                || lane.next_transfer(self.in_pieces).is_some()
                || lane.leaves(self.is_leaving)
        })
    }
}

impl Lane {
    /// Whether all has left but that the node leaves.
    fn leaves(&self, is_leaving: bool) -> bool {
        is_leaving && !self.has_left && self.units.is_empty() && self.transfers.is_empty()
    }

    /// Makes a transfer of the last unit, if that is long.
    fn begin_transfers(&mut self, next: &mut u32, pair: (Pid, Pid)) {
        if let Some(frame) = self.units.pop_back_if(|unit| unit.needs_pieces()) {
            self.begin_transfer(next, pair, frame, VecDeque::new());
        }
    }

    /// The next piece of the transfer that waits longest, and how many bytes of its frame
    /// that is.
    fn take_piece(&mut self, in_pieces: &mut usize, next: &mut u32) -> Option<(Vec<u8>, usize)> {
        let next_one = self.next_transfer(*in_pieces)?;
        let mut transfer = self.transfers.remove(next_one)?;
        let length = transfer.frame.bytes.len();
        if transfer.sent == 0 {
            *in_pieces += length;
        }
        let end = length.min(transfer.sent + PIECE_BYTES);
        let bytes = &transfer.frame.bytes[transfer.sent..end];
        let count = bytes.len();
        let piece = Frame::Piece {
            transfer: transfer.id,
            length: length as u32,
            bytes,
        };
        let unit = piece.to_bytes();
        transfer.sent = end;
        if end < length {
            self.transfers.push_back(transfer);
        } else {
            *in_pieces -= length;
            self.release(transfer, next);
        }
        Some((unit, count))
    }

    /// Which transfer may go on, or begin: there may be too much in pieces already.
    fn next_transfer(&self, in_pieces: usize) -> Option<usize> {
        self.transfers.iter().position(|transfer| {
            let length = transfer.frame.bytes.len();
            let has_room = in_pieces == 0 || in_pieces + length <= MAX_IN_PIECES;
            transfer.after <= self.taken && (transfer.sent > 0 || has_room)
        })
    }

    fn begin_transfer(
        &mut self,
        next: &mut u32,
        pair: (Pid, Pid),
        frame: Unit,
        behind: VecDeque<Unit>,
    ) {
        *next = next.wrapping_add(1);
        self.transfers.push_back(Transfer {
            pair,
            id: *next,
            frame,
            sent: 0,
            after: self.taken + self.units.len() as u64,
            behind,
        });
    }

    /// What waited behind a transfer leaves next, up to the next long one.
    fn release(&mut self, transfer: Transfer, next: &mut u32) {
        let mut behind = transfer.behind;
        while let Some(unit) = behind.pop_front() {
            if unit.needs_pieces() {
                return self.begin_transfer(next, transfer.pair, unit, behind);
            }
            self.units.push_back(unit);
        }
    }
}

impl Unit {
    fn needs_pieces(&self) -> bool {
        self.is_long && self.bytes.len() > PIECE_BYTES
    }
}

/// Whether a frame may be longer than a piece.
fn is_long(frame: &Frame<'_>) -> bool {
    match frame {
        Frame::Message {
            bytes, resources, ..
        } => bytes.len() > PIECE_BYTES || !resources.is_empty(),
        Frame::Request { request: bytes, .. }
        | Frame::Response {
            response: bytes, ..
        } => bytes.len() > PIECE_BYTES,
        Frame::Revocations(list) => list.len() > PIECE_BYTES,
        // Many changes may be in it.
        Frame::Groups(_) => true,
        _ => false,
    }
}

impl Payers {
    fn add(&mut self, account: &Account, bytes: u64) {
        match self.0.last_mut() {
            Some((last, sum)) if last.is(account) => *sum += bytes,
            _ => self.0.push((account.clone(), bytes)),
        }
    }
}

impl Drop for Payers {
    fn drop(&mut self) {
        for (account, bytes) in &self.0 {
            account.release(Kind::Memory, *bytes);
        }
    }
}
