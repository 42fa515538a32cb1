//! Buffers for packets that have arrived, which are used again.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Buffers that are kept, at the most.
const MOST: usize = 32;

/// Fewer bytes are given a buffer of their own: as long as somebody has one byte of a kept
/// buffer, all of it is used.
const MIN_BYTES: usize = 16 << 10;

/// Buffers that hold what was received by one call, until it is read. To allocate one each time
/// costs more than to copy into it: its pages are new to the program.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// The bytes of each.
    size: usize,
    /// What is left of each, in the order in which they were used.
    kept: VecDeque<BytesMut>,
}

impl Buffers {
    /// - `size`: the most bytes that are received by one call.
    pub(crate) fn new(size: usize) -> Buffers {
        Buffers {
            size,
            kept: VecDeque::new(),
        }
    }

    /// A copy of these bytes.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> BytesMut {
        if bytes.len() < MIN_BYTES {
            return BytesMut::from(bytes);
        }
        let Some(mut buffer) = self.free(bytes.len()) else {
            return BytesMut::from(bytes);
        };
        buffer.extend_from_slice(bytes);
        let copy = buffer.split();
        self.kept.push_back(buffer);
        copy
    }

    /// A buffer of which nobody has a part any more; a new one if there are not too many yet.
    fn free(&mut self, bytes: usize) -> Option<BytesMut> {
        if let Some(mut oldest) = self.kept.pop_front() {
            if oldest.try_reclaim(bytes) {
                return Some(oldest);
            }
            self.kept.push_front(oldest);
        }
        (self.kept.len() < MOST).then(|| BytesMut::with_capacity(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64 << 10;

    fn bytes(number: u8) -> Vec<u8> {
        vec![number; SIZE]
    }

    #[test]
    fn a_buffer_is_used_again_once_all_parts_of_it_are_dropped() {
        let mut buffers = Buffers::new(SIZE);
        let mut first = buffers.copy(&bytes(1));
        let address = first.as_ptr();
        let part = first.split_to(100);
        drop(first);
        let second = buffers.copy(&bytes(2));
        assert_ne!(second.as_ptr(), address);
        assert_eq!(part[..], [1; 100]);
        drop(part);
        let third = buffers.copy(&bytes(3));
        assert_eq!(third.as_ptr(), address);
        assert!(second.iter().all(|byte| *byte == 2));
        assert!(third.iter().all(|byte| *byte == 3));
    }

    #[test]
    fn no_more_are_kept_than_there_may_be_and_none_for_little() {
        let mut buffers = Buffers::new(SIZE);
        let used: Vec<_> = (0..2 * MOST).map(|_| buffers.copy(&bytes(1))).collect();
        assert_eq!(buffers.kept.len(), MOST);
        drop(used);
        for _ in 0..2 * MOST {
            assert_eq!(buffers.copy(&bytes(2)), bytes(2));
        }
        assert_eq!(buffers.kept.len(), MOST);
        let mut buffers = Buffers::new(SIZE);
        assert_eq!(buffers.copy(&[1; 100])[..], [1; 100]);
        assert!(buffers.kept.is_empty());
    }
}
