//! Cuts the bytes of a lane into frames.

use bytes::{Buf, Bytes};

/// Bytes of a frame's length, which comes before the frame (little endian).
pub(crate) const HEADER: usize = 4;

/// Bytes that are allocated for a frame when it begins, whatever has arrived of it.
const AT_ONCE: usize = 80 << 10;

/// A frame was announced that is longer than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) u32);

/// Collects one frame after the other from the pieces in which they arrive.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    filled: usize,
    /// The frame so far, once the header is whole.
    body: Vec<u8>,
}

impl FrameReader {
    /// Takes bytes from `piece`, until a frame is whole or the piece is used up. A frame longer
    /// than `max` is refused as soon as it is announced.
    pub(crate) fn take(&mut self, piece: &mut Bytes, max: usize) -> Result<Option<Bytes>, TooLong> {
        while self.filled < HEADER {
            if piece.is_empty() {
                return Ok(None);
            }
            self.header[self.filled] = piece.get_u8();
            self.filled += 1;
        }
        let announced = u32::from_le_bytes(self.header);
        let length = usize::try_from(announced).map_err(|_| TooLong(announced))?;
        if length > max {
            return Err(TooLong(announced));
        }
        let missing = length - self.body.len();
        if self.body.is_empty() && piece.len() >= length {
            // A copy: the piece is a part of a larger buffer, which a frame that is kept would
            // keep as well.
            let frame = Bytes::copy_from_slice(&piece[..length]);
            piece.advance(length);
            self.filled = 0;
            return Ok(Some(frame));
        }
        let taken = missing.min(piece.len());
        if self.body.capacity() < self.body.len() + taken {
            // No more is allocated than twice what has arrived, but for a short frame.
            let wanted = (2 * (self.body.len() + taken)).max(AT_ONCE).min(length);
            self.body.reserve_exact(wanted - self.body.len());
        }
        self.body.extend_from_slice(&piece[..taken]);
        piece.advance(taken);
        if taken < missing {
            return Ok(None);
        }
        self.filled = 0;
        Ok(Some(Bytes::from(std::mem::take(&mut self.body))))
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::{AT_ONCE, FrameReader, TooLong};

    fn stream(frames: &[&[u8]]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for frame in frames {
            bytes.put_u32_le(frame.len().try_into().unwrap_or(u32::MAX));
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    #[test]
    fn frames_are_whole_wherever_the_bytes_are_cut() {
        let frames: [&[u8]; 5] = [b"one", b"", b"three and more", &[7; 300], b"x"];
        let bytes = stream(&frames).freeze();
        for size in 1..bytes.len() {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(frame) = reader.take(&mut piece, 300).expect("no frame is too long")
                {
                    seen.push(frame);
                }
                assert!(piece.is_empty());
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_when_it_is_announced() {
        let mut reader = FrameReader::default();
        let mut piece = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(reader.take(&mut piece, 1 << 20), Err(TooLong(u32::MAX)));
        assert_eq!(reader.body.capacity(), 0);
    }

    #[test]
    fn little_is_allocated_before_a_frame_arrives() {
        let mut reader = FrameReader::default();
        let mut piece = Bytes::from_static(&[0, 0, 16, 0, 1, 2, 3]);
        assert_eq!(reader.take(&mut piece, 1 << 20), Ok(None));
        assert_eq!(reader.body.capacity(), AT_ONCE);
        let mut rest = Bytes::from(vec![0; AT_ONCE]);
        assert_eq!(reader.take(&mut rest, 1 << 20), Ok(None));
        assert!(reader.body.capacity() <= 2 * (AT_ONCE + 3));
    }
}
