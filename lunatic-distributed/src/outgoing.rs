//! What waits to be sent to a node.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use event_listener::{Event, EventListener};
use lunatic_account::{Account, Exceeded, Kind};
use lunatic_mailbox::{DataMessage, EncodedResource, Pid};

use crate::chunks::Chunks;
use crate::frame::{CONTROL, Frame, LANES, PIECE_BYTES};

/// From so many bytes on, who sends more to the node is held until that has left.
pub(crate) const HIGH_WATER: usize = 8 << 20;

/// When no more than so many bytes are left, all who are held go on.
pub(crate) const LOW_WATER: usize = 4 << 20;

/// From so many bytes on that are about the nodes themselves, changes of groups are kept back and
/// merged, and no names are claimed. What processes send does not count: it leaves behind all of that.
pub(crate) const CONTROL_HIGH_WATER: usize = 1 << 20;

/// When no more than so many of these bytes are left, they are told, and names claimed.
pub(crate) const CONTROL_LOW_WATER: usize = CONTROL_HIGH_WATER / 2;

/// A unit that has so many bytes is given no more frames, and a frame that has more is a unit
/// of its own.
const UNIT_BYTES: usize = 16 << 10;

/// A frame that has no more than this beyond a piece is not cut, in bytes: what there is in a
/// message beside its bytes.
const BESIDE_BYTES: usize = 64;

/// No more bytes of frames are on their way in pieces, unless it is one frame alone.
pub(crate) const MAX_IN_PIECES: usize = 128 << 20;

/// The frames for one node, in lanes. Frames of one pair of processes leave in order; a
/// long one leaves in pieces, between the frames of other pairs.
#[derive(Debug)]
pub(crate) struct Outgoing {
    lanes: Vec<Lane>,
    /// All bytes that wait.
    queued: usize,
    /// Those of them that are about the nodes themselves.
    control: usize,
    /// The bytes of frames of which some pieces have left.
    in_pieces: usize,
    next_transfer: u32,
    /// The last unit of each lane says that the node leaves.
    is_leaving: bool,
    /// The lanes of which something can be taken, a bit for each.
    ready: u64,
    /// Those who wait for these go on.
    released: Vec<Event>,
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
pub(crate) struct Unit {
    content: Content,
    payers: Payers,
    /// What those wait for who are held until it has left.
    left: Option<Event>,
}

#[derive(Debug)]
enum Content {
    /// One or more short frames, one behind the other.
    Short(Vec<u8>),
    /// One frame, which may be longer than a piece.
    Long(Chunks),
}

/// A frame that is to be queued.
pub(crate) enum Prepared<'a> {
    /// It is written into a unit with others.
    Short {
        frame: &'a Frame<'a>,
        /// To whom it will be charged.
        payer: Option<(&'a Account, usize)>,
    },
    /// It is a unit of its own, written and paid for.
    Long(Unit),
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
            control: 0,
            in_pieces: 0,
            next_transfer: 0,
            is_leaving: false,
            ready: 0,
            released: Vec::new(),
        }
    }

    /// The node leaves: each lane says so behind all that waits in it.
    pub(crate) fn leave(&mut self) {
        self.is_leaving = true;
        self.find_ready();
    }

    /// How many bytes wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// How many bytes wait that are about the nodes themselves.
    pub(crate) fn control(&self) -> usize {
        self.control
    }

    fn add(&mut self, lane: u8, bytes: usize) {
        self.queued += bytes;
        if lane == CONTROL {
            self.control += bytes;
        }
    }

    fn take_off(&mut self, lane: u8, bytes: usize) {
        self.queued -= bytes;
        if lane == CONTROL {
            self.control -= bytes;
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0 && !self.lanes.iter().any(|lane| lane.leaves(self.is_leaving))
    }

    /// Queues a frame. If much waits, returns what its sender has to wait for before it sends
    /// more: until the frame has left, or half of what waits.
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
    ) -> Result<Option<EventListener>, Exceeded> {
        self.push_prepared(lane, pair, Prepared::new(frame, payer)?)
    }

    /// Queues a frame as [`push`](Outgoing::push) does.
    ///
    /// # Errors
    ///
    /// The payer has no memory left for it.
    pub(crate) fn push_prepared(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        prepared: Prepared<'_>,
    ) -> Result<Option<EventListener>, Exceeded> {
        Ok(match prepared {
            Prepared::Short { frame, payer } => {
                charge(payer)?;
                self.append(lane, pair, frame, payer)
            }
            Prepared::Long(unit) => self.push_unit(lane, pair, unit),
        })
    }

    /// Queues a short frame that must not be lost, as [`push`](Outgoing::push) does.
    ///
    /// - `payer`: to whom it is charged until it leaves, beyond a limit if need be.
    pub(crate) fn push_beyond_limits(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        payer: Option<(&Account, usize)>,
    ) -> Option<EventListener> {
        if let Some((account, bytes)) = payer {
            account.charge_beyond_limits(Kind::Memory, bytes as u64);
        }
        self.append(lane, pair, frame, payer)
    }

    /// Queues a short frame.
    ///
    /// - `paid`: to whom it was charged.
    fn append(
        &mut self,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        paid: Option<(&Account, usize)>,
    ) -> Option<EventListener> {
        let number = lane;
        let units = self.lanes.get_mut(usize::from(lane))?.units_of(pair);
        let is_open = |unit: &Unit| match &unit.content {
            Content::Short(bytes) => bytes.len() < UNIT_BYTES,
            Content::Long(_) => false,
        };
        if !units.back().is_some_and(is_open) {
            units.push_back(Unit::default());
        }
        let unit = units.back_mut()?;
        if let Content::Short(bytes) = &mut unit.content {
            let before = bytes.len();
            frame.append_to(bytes);
            let added = bytes.len() - before;
            self.queued += added;
            if number == CONTROL {
                self.control += added;
            }
        }
        if let Some((account, bytes)) = paid {
            unit.payers.add(account, bytes as u64);
        }
        let hold = (self.queued > HIGH_WATER).then(|| unit.listen());
        self.find_ready_in(number);
        hold
    }

    fn push_unit(&mut self, number: u8, pair: (Pid, Pid), mut unit: Unit) -> Option<EventListener> {
        self.add(number, unit.content.len());
        let lane = self.lanes.get_mut(usize::from(number))?;
        let hold = (self.queued > HIGH_WATER).then(|| unit.listen());
        let is_behind = lane.transfers.iter().any(|other| other.pair == pair);
        if unit.needs_pieces() && !is_behind {
            lane.begin_transfer(&mut self.next_transfer, pair, unit, VecDeque::new());
        } else {
            lane.units_of(pair).push_back(unit);
        }
        self.find_ready_in(number);
        hold
    }

    /// Takes the next unit of a lane out, if there is one. Then
    /// [`take_released`](Outgoing::take_released) is to be called.
    pub(crate) fn take(&mut self, number: u8) -> Option<Chunks> {
        let before = (self.queued, self.in_pieces);
        let lane = self.lanes.get_mut(usize::from(number))?;
        let piece_first = !lane.piece_was_last || lane.units.is_empty();
        let piece = match piece_first {
            true => lane.take_piece(&mut self.in_pieces, &mut self.next_transfer),
            false => None,
        };
        lane.piece_was_last = piece.is_some();
        let (unit, left) = if let Some(Piece { unit, length, left }) = piece {
            self.take_off(number, length);
            (unit, left)
        } else if let Some(mut unit) = lane.units.pop_front() {
            lane.taken += 1;
            self.take_off(number, unit.content.len());
            (std::mem::take(&mut unit.content).into(), unit.left.take())
        } else {
            let leaves = lane.leaves(self.is_leaving);
            lane.has_left |= leaves;
            self.find_ready_in(number);
            return leaves.then(|| Frame::Leave.to_bytes().into());
        };
        self.released.extend(left);
        if before.0 > LOW_WATER && self.queued <= LOW_WATER {
            self.release_all();
        }
        match self.in_pieces == before.1 {
            true => self.find_ready_in(number),
            // There is room for long frames of other lanes, or no more.
            false => self.find_ready(),
        }
        Some(unit)
    }

    /// Those who wait for these events go on, which are to be notified.
    pub(crate) fn take_released(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.released)
    }

    /// All who are held go on: see [`take_released`](Outgoing::take_released).
    pub(crate) fn release_all(&mut self) {
        let lanes = self.lanes.iter_mut();
        let left = lanes
            .flat_map(Lane::units_mut)
            .filter_map(|unit| unit.left.take());
        self.released.extend(left);
    }

    /// The lanes of which something can be [taken](Outgoing::take), a bit for each. A long frame
    /// may have to wait until those of other lanes have left.
    pub(crate) fn ready(&self) -> u64 {
        self.ready
    }

    fn find_ready(&mut self) {
        for lane in 0..LANES {
            self.find_ready_in(lane);
        }
    }

    fn find_ready_in(&mut self, number: u8) {
        let is_ready = self.lanes.get(usize::from(number)).is_some_and(|lane| {
            !lane.units.is_empty()
                || lane.next_transfer(self.in_pieces).is_some()
                || lane.leaves(self.is_leaving)
        });
        let bit = 1 << number;
        match is_ready {
            true => self.ready |= bit,
            false => self.ready &= !bit,
        }
    }
}

/// A piece of a long frame that leaves.
struct Piece {
    unit: Chunks,
    /// So many bytes of the frame are in it.
    length: usize,
    /// It was the last piece, and there are some who have waited for it.
    left: Option<Event>,
}

impl Lane {
    /// Whether all has left but that the node leaves.
    fn leaves(&self, is_leaving: bool) -> bool {
        is_leaving && !self.has_left && self.units.is_empty() && self.transfers.is_empty()
    }

    /// Where what a pair sends is put: behind a long frame of the same pair, if there is one.
    fn units_of(&mut self, pair: (Pid, Pid)) -> &mut VecDeque<Unit> {
        let behind = self.transfers.iter_mut().find(|other| other.pair == pair);
        match behind {
            Some(transfer) => &mut transfer.behind,
            None => &mut self.units,
        }
    }

    /// All that waits in it.
    fn units_mut(&mut self) -> impl Iterator<Item = &mut Unit> {
        let in_transfers = self
            .transfers
            .iter_mut()
            .flat_map(|transfer| std::iter::once(&mut transfer.frame).chain(&mut transfer.behind));
        self.units.iter_mut().chain(in_transfers)
    }

    /// The next piece of the transfer that waits longest.
    fn take_piece(&mut self, in_pieces: &mut usize, next: &mut u32) -> Option<Piece> {
        let next_one = self.next_transfer(*in_pieces)?;
        let mut transfer = self.transfers.remove(next_one)?;
        let length = transfer.frame.content.len();
        if transfer.sent == 0 {
            *in_pieces += length;
        }
        let end = length.min(transfer.sent + PIECE_BYTES);
        let count = end - transfer.sent;
        let head = Frame::before_piece(transfer.id, length as u32, count).into();
        let unit = match &transfer.frame.content {
            // A copy, so that none of a frame is kept that is not charged any more.
            Content::Long(frame) if end == length => {
                let last = Chunks::of(frame.slice(transfer.sent..end)).to_vec();
                Chunks::of([head, last.into()])
            }
            Content::Long(frame) => {
                Chunks::of([head].into_iter().chain(frame.slice(transfer.sent..end)))
            }
            Content::Short(_) => unreachable!("only a long frame is sent in pieces"),
        };
        transfer.sent = end;
        let mut left = None;
        if end < length {
            self.transfers.push_back(transfer);
        } else {
            *in_pieces -= length;
            left = transfer.frame.left.take();
            self.release(transfer, next);
        }
        Some(Piece {
            unit,
            length: count,
            left,
        })
    }

    /// Which transfer may go on, or begin: there may be too much in pieces already.
    fn next_transfer(&self, in_pieces: usize) -> Option<usize> {
        self.transfers.iter().position(|transfer| {
            let length = transfer.frame.content.len();
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

impl<'a> Prepared<'a> {
    /// Writes the frame, if it is long. That takes a while, so that it is best done where nobody
    /// else waits for it.
    ///
    /// # Errors
    ///
    /// The payer has no memory left for it.
    pub(crate) fn new(
        frame: &'a Frame<'a>,
        payer: Option<(&'a Account, usize)>,
    ) -> Result<Prepared<'a>, Exceeded> {
        if !is_long(frame) {
            return Ok(Prepared::Short { frame, payer });
        }
        let payers = Payers::charge(payer)?;
        Ok(Prepared::Long(Unit {
            content: Content::Long(frame.to_bytes().into()),
            payers,
            left: None,
        }))
    }

    /// A message that is long, whose bytes are taken out of it.
    ///
    /// - `resources`: those of the message.
    ///
    /// # Errors
    ///
    /// The payer has no memory left for it, and the message is as it was.
    pub(crate) fn long_message(
        (from, to): (Pid, Pid),
        message: &mut DataMessage,
        resources: &[Option<EncodedResource>],
        payer: Option<(&'a Account, usize)>,
    ) -> Result<Prepared<'a>, Exceeded> {
        let payers = Payers::charge(payer)?;
        let bytes = match message.bytes() {
            // It may have room for far more.
            few if few.len() <= UNIT_BYTES => Bytes::copy_from_slice(few),
            _ => {
                let mut bytes = message.take_bytes();
                bytes.shrink_to_fit();
                bytes.into()
            }
        };
        let around = Frame::around_message(from, to, message.tag(), bytes.len(), resources);
        let [head, tail] = around.map(Bytes::from);
        Ok(Prepared::Long(Unit {
            content: Content::Long(Chunks::of([head, bytes, tail])),
            payers,
            left: None,
        }))
    }
}

/// Whether a message is a unit of its own.
///
/// - `bytes`: how many it has.
pub(crate) fn is_long_message(bytes: usize, has_resources: bool) -> bool {
    bytes > UNIT_BYTES || has_resources
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Content::Short(bytes) => bytes.len(),
            Content::Long(chunks) => chunks.len(),
        }
    }
}

impl Default for Content {
    fn default() -> Content {
        Content::Short(Vec::new())
    }
}

impl From<Content> for Chunks {
    fn from(content: Content) -> Chunks {
        match content {
            Content::Short(bytes) => bytes.into(),
            Content::Long(chunks) => chunks,
        }
    }
}

impl Unit {
    fn needs_pieces(&self) -> bool {
        matches!(&self.content, Content::Long(frame) if frame.len() > PIECE_BYTES + BESIDE_BYTES)
    }

    /// What is notified when it has left.
    fn listen(&mut self) -> EventListener {
        self.left.get_or_insert_with(Event::new).listen()
    }
}

fn charge(payer: Option<(&Account, usize)>) -> Result<(), Exceeded> {
    payer.map_or(Ok(()), |(account, bytes)| {
        account.charge(Kind::Memory, bytes as u64)
    })
}

/// Whether a frame is a unit of its own.
fn is_long(frame: &Frame<'_>) -> bool {
    match frame {
        Frame::Message {
            bytes, resources, ..
        } => is_long_message(bytes.len(), !resources.is_empty()),
        Frame::Request { request: bytes, .. }
        | Frame::Response {
            response: bytes, ..
        } => bytes.len() > UNIT_BYTES,
        Frame::Revocations(list) => list.len() > UNIT_BYTES,
        // Many changes may be in it.
        Frame::Groups(_) => true,
        _ => false,
    }
}

impl Payers {
    /// - `payer`: to whom how many bytes are charged.
    ///
    /// # Errors
    ///
    /// That account has no memory left.
    fn charge(payer: Option<(&Account, usize)>) -> Result<Payers, Exceeded> {
        charge(payer)?;
        let mut payers = Payers::default();
        if let Some((account, bytes)) = payer {
            payers.add(account, bytes as u64);
        }
        Ok(payers)
    }

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
