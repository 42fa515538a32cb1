//! The lanes of a connection on the side that receives.

use bytes::{Buf, Bytes};
use quinn_proto::{Connection, Dir, ReadError, ReadableError, StreamId};

use crate::frames::{FrameReader, TooLong};

/// Bytes that a lane reads before the next one is read: a frame of 64 KiB, and what is beside it.
const QUANTUM: usize = 80 << 10;

/// The lanes of one connection, in the order in which the peer has opened their streams.
pub(crate) struct Receiving {
    streams: Vec<Stream>,
    /// For each lane, whether there is a stream of it.
    taken: Vec<bool>,
    max_frame: usize,
    /// The stream that is read next.
    next_stream: usize,
}

struct Stream {
    id: StreamId,
    lane: Option<u8>,
    /// Bytes that are read from QUIC, but not looked at yet.
    rest: Bytes,
    frames: FrameReader,
    /// Whether there may be something to read.
    readable: bool,
}

/// What reading gave.
pub(crate) enum Step {
    /// A frame of a lane.
    Frame(u8, Bytes),
    /// Nothing more is there.
    Nothing,
}

impl Receiving {
    pub(crate) fn new(lanes: u8, max_frame: usize) -> Self {
        Self {
            streams: Vec::new(),
            taken: vec![false; usize::from(lanes)],
            max_frame,
            next_stream: 0,
        }
    }

    /// Takes the streams that the peer has opened.
    pub(crate) fn accept(&mut self, connection: &mut Connection) {
        while let Some(id) = connection.streams().accept(Dir::Uni) {
            self.streams.push(Stream {
                id,
                lane: None,
                rest: Bytes::new(),
                frames: FrameReader::default(),
                readable: true,
            });
        }
    }

    /// Notes that a stream has something to read.
    pub(crate) fn readable(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            stream.readable = true;
        }
    }

    /// Reads up to the end of the next frame, and goes from lane to lane.
    ///
    /// # Errors
    ///
    /// Says which rule the peer broke.
    pub(crate) fn next(&mut self, connection: &mut Connection) -> Result<Step, String> {
        for _ in 0..self.streams.len() {
            if self.next_stream >= self.streams.len() {
                self.next_stream = 0;
            }
            let stream = &mut self.streams[self.next_stream];
            if let Some((lane, frame)) = stream.next(connection, &mut self.taken, self.max_frame)? {
                // What was read in one piece is used up before the next lane is read.
                if stream.rest.is_empty() {
                    self.next_stream += 1;
                }
                return Ok(Step::Frame(lane, frame));
            }
            self.next_stream += 1;
        }
        Ok(Step::Nothing)
    }
}

impl Stream {
    /// Reads up to the end of the next frame, or up to [`QUANTUM`] bytes.
    fn next(
        &mut self,
        connection: &mut Connection,
        taken: &mut [bool],
        max_frame: usize,
    ) -> Result<Option<(u8, Bytes)>, String> {
        loop {
            if self.lane.is_none() && !self.rest.is_empty() {
                self.lane = Some(begin(self.rest.get_u8(), taken)?);
            }
            if let Some(lane) = self.lane {
                match self.frames.take(&mut self.rest, max_frame) {
                    Ok(Some(frame)) => return Ok(Some((lane, frame))),
                    Ok(None) => {}
                    Err(TooLong(announced)) => {
                        return Err(format!(
                            "a frame of {announced} bytes on lane {lane}, where {max_frame} are allowed"
                        ));
                    }
                }
            }
            if !self.readable {
                return Ok(None);
            }
            match self.read(connection)? {
                Some(bytes) => self.rest = bytes,
                None => {
                    self.readable = false;
                    return Ok(None);
                }
            }
        }
    }

    fn read(&self, connection: &mut Connection) -> Result<Option<Bytes>, String> {
        let mut stream = connection.recv_stream(self.id);
        let mut chunks = match stream.read(true) {
            Ok(chunks) => chunks,
            Err(ReadableError::ClosedStream) => return Err(self.ended("is closed")),
            Err(ReadableError::IllegalOrderedRead) => return Err(self.ended("can't be read")),
        };
        let result = chunks.next(QUANTUM);
        // What is to be sent about it is found when the connection is asked for packets.
        let _ = chunks.finalize();
        match result {
            Ok(Some(chunk)) => Ok(Some(chunk.bytes)),
            Ok(None) => Err(self.ended("was ended")),
            Err(ReadError::Blocked) => Ok(None),
            Err(ReadError::Reset(code)) => Err(self.ended(&format!("was reset with code {code}"))),
        }
    }

    fn ended(&self, what: &str) -> String {
        match self.lane {
            Some(lane) => format!("lane {lane} {what}"),
            None => format!("a stream {what} before it said which lane it is"),
        }
    }
}

/// Notes that a stream is this lane.
fn begin(lane: u8, taken: &mut [bool]) -> Result<u8, String> {
    let lanes = taken.len();
    match taken.get_mut(usize::from(lane)) {
        Some(false) => {
            taken[usize::from(lane)] = true;
            Ok(lane)
        }
        Some(true) => Err(format!("lane {lane} was opened twice")),
        None => Err(format!("lane {lane} was opened, where there are {lanes}")),
    }
}
