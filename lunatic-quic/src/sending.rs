//! The lanes of a connection on the side that sends: what waits to be written, and in which order.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn_proto::{Connection, Dir, StreamId, WriteError};

use crate::frames::HEADER;

/// Bytes that a lane buffers before it has no room.
const LANE_BUFFER: usize = 256 << 10;
/// Bytes that all lanes but the first buffer before none has room.
const CONNECTION_BUFFER: usize = 1 << 20;
/// Bytes that a lane writes before the next one does: a frame of 64 KiB, and what is beside it.
const QUANTUM: usize = 80 << 10;
/// Bytes of frames that are copied together; the longer ones are kept as they are.
const COPIED: usize = 8 << 10;
/// Bytes of small frames that are put together.
const BLOCK: usize = 32 << 10;
/// Bounds of the bytes that QUIC may hold unacknowledged, written and not sent included.
const WINDOW: std::ops::RangeInclusive<u64> = 512 << 10..=8 << 20;
/// What the first lane may write beyond the others.
const FIRST_LANE_WINDOW: u64 = 256 << 10;

/// The lanes of one connection.
pub(crate) struct Sending {
    lanes: Vec<Lane>,
    /// Bytes in all lanes but the first.
    queued: usize,
    /// The lane before the one that writes next.
    next_lane: usize,
}

#[derive(Default)]
struct Lane {
    stream: Option<StreamId>,
    /// Whether anything was queued yet.
    started: bool,
    /// Frames with their headers, in the order of the bytes on the wire.
    blocks: VecDeque<Bytes>,
    /// Small frames that come after these.
    tail: BytesMut,
    queued: usize,
    /// Whether the owner has been told that there is no room.
    full: bool,
}

impl Sending {
    pub(crate) fn new(lanes: u8) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            queued: 0,
            next_lane: 1,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued + self.lanes.first().map_or(0, |first| first.queued)
    }

    /// Bytes that a lane takes before it has buffered enough; none for a lane that isn't there.
    pub(crate) fn room(&self, lane: u8) -> usize {
        let Some(queue) = self.lanes.get(usize::from(lane)) else {
            return 0;
        };
        let room = LANE_BUFFER.saturating_sub(queue.queued);
        if lane == 0 {
            room
        } else {
            room.min(CONNECTION_BUFFER.saturating_sub(self.queued))
        }
    }

    /// Queues a frame. False if there is no such lane, or the frame is longer than any can be.
    ///
    /// - `frame`: the bytes of it, one chunk behind the other.
    pub(crate) fn push(&mut self, lane: u8, frame: &[Bytes]) -> bool {
        let bytes = frame.iter().map(Bytes::len).sum::<usize>();
        let Ok(length) = u32::try_from(bytes) else {
            return false;
        };
        let Some(queue) = self.lanes.get_mut(usize::from(lane)) else {
            return false;
        };
        let mut added = HEADER + bytes;
        if !queue.started {
            // The first byte of a stream says which lane it is.
            queue.started = true;
            queue.tail.put_u8(lane);
            added += 1;
        }
        queue.tail.put_u32_le(length);
        for chunk in frame {
            queue.push(chunk);
        }
        queue.queued += added;
        if queue.queued >= LANE_BUFFER {
            queue.full = true;
        }
        if lane != 0 {
            let before = self.queued;
            self.queued += added;
            if before < CONNECTION_BUFFER && self.queued >= CONNECTION_BUFFER {
                for queue in self.lanes.iter_mut().skip(1) {
                    queue.full = true;
                }
            }
        }
        true
    }

    /// Writes what QUIC takes: the first lane's frames first, then the others' in turns.
    ///
    /// # Errors
    ///
    /// Says which rule the peer broke.
    pub(crate) fn write(&mut self, connection: &mut Connection) -> Result<(), String> {
        if self.queued() == 0 {
            return Ok(());
        }
        let window =
            (2 * connection.congestion_state().window()).clamp(*WINDOW.start(), *WINDOW.end());
        let last = self.lanes.len().saturating_sub(1);
        if let Some(first) = self.lanes.first_mut() {
            connection.set_send_window(window + FIRST_LANE_WINDOW);
            while first.write(0, last, connection)? > 0 {}
            connection.set_send_window(window);
        }
        let mut stuck = 0;
        while self.queued > 0 && stuck < last {
            self.next_lane = if self.next_lane >= last {
                1
            } else {
                self.next_lane + 1
            };
            let Some(lane) = self.lanes.get_mut(self.next_lane) else {
                break;
            };
            let written = lane.write(self.next_lane, last, connection)?;
            self.queued -= written;
            stuck = if written == 0 { stuck + 1 } else { 0 };
        }
        Ok(())
    }

    /// A lane that has room again, after it was without; each once.
    pub(crate) fn next_writable(&mut self) -> Option<u8> {
        let open = self.queued <= CONNECTION_BUFFER / 2;
        let index = self.lanes.iter().enumerate().position(|(index, lane)| {
            lane.full && lane.queued <= LANE_BUFFER / 2 && (open || index == 0)
        })?;
        self.lanes[index].full = false;
        u8::try_from(index).ok()
    }

    /// Says which rule the peer broke when it stopped a stream.
    pub(crate) fn stopped(&self, stream: StreamId) -> String {
        let lane = self
            .lanes
            .iter()
            .position(|lane| lane.stream == Some(stream));
        stopped(lane.unwrap_or(self.lanes.len()))
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(0);
    }
}

impl Lane {
    fn push(&mut self, chunk: &Bytes) {
        if chunk.len() <= COPIED {
            self.tail.extend_from_slice(chunk);
            if self.tail.len() >= BLOCK {
                self.seal();
            }
        } else {
            self.seal();
            self.blocks.push_back(chunk.clone());
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let block = std::mem::take(&mut self.tail).freeze();
            self.blocks.push_back(block);
        }
    }

    /// Writes up to [`QUANTUM`] bytes, and returns how many of them were queued.
    fn write(
        &mut self,
        index: usize,
        last: usize,
        connection: &mut Connection,
    ) -> Result<usize, String> {
        if self.queued == 0 {
            return Ok(0);
        }
        let Some(stream) = self.open(index, last, connection) else {
            return Ok(0);
        };
        if self.blocks.is_empty() {
            self.seal();
        }
        let mut written = 0;
        while written < QUANTUM {
            let Some(block) = self.blocks.front_mut() else {
                break;
            };
            let mut piece = [block.slice(..block.len().min(QUANTUM))];
            match connection.send_stream(stream).write_chunks(&mut piece) {
                Ok(result) => {
                    block.advance(result.bytes);
                    written += result.bytes;
                    if block.is_empty() {
                        self.blocks.pop_front();
                        if self.blocks.is_empty() {
                            self.seal();
                        }
                    }
                }
                Err(WriteError::Blocked) => break,
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    return Err(stopped(index));
                }
            }
        }
        self.queued -= written;
        Ok(written)
    }

    /// The stream of the lane, opened when it is first needed; `None` while the peer allows no more.
    fn open(&mut self, index: usize, last: usize, connection: &mut Connection) -> Option<StreamId> {
        if self.stream.is_none() {
            let stream = connection.streams().open(Dir::Uni)?;
            let priority = match index {
                0 => 1,
                index if index == last => -1,
                _ => 0,
            };
            // Fails only for a stream that is closed, and this one is new.
            let _ = connection.send_stream(stream).set_priority(priority);
            self.stream = Some(stream);
        }
        self.stream
    }
}

fn stopped(lane: usize) -> String {
    format!("lane {lane} was stopped by its receiver")
}
