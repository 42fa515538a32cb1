//! Bytes that are sent together and lie apart.

use std::ops::Range;

use bytes::Bytes;

/// Bytes in a row that may lie apart, so that a long message is not copied to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunks(Vec<Bytes>);

impl Chunks {
    /// Returns all of them as one, one behind the other.
    pub(crate) fn of(chunks: impl IntoIterator<Item = Bytes>) -> Chunks {
        let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        Chunks(chunks.collect())
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The chunks, in their order.
    pub fn as_slice(&self) -> &[Bytes] {
        &self.0
    }

    /// The bytes in one piece, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// The chunks of a range, each as far as it is in it.
    pub(crate) fn slice(&self, range: Range<usize>) -> impl Iterator<Item = Bytes> {
        let mut start = 0;
        self.0.iter().map(move |chunk| {
            let inside = |index: usize| index.clamp(start, start + chunk.len()) - start;
            let part = chunk.slice(inside(range.start)..inside(range.end));
            start += chunk.len();
            part
        })
    }
}

impl From<Vec<u8>> for Chunks {
    fn from(bytes: Vec<u8>) -> Chunks {
        Chunks::of([bytes.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_chunks_is_that_of_their_bytes() {
        let parts: [&[u8]; 4] = [b"ab", b"", b"cdefg", b"h"];
        let chunks = Chunks::of(parts.map(Bytes::from_static));
        let all = chunks.to_vec();
        assert_eq!((all.as_slice(), chunks.len()), (&b"abcdefgh"[..], 8));
        for start in 0..=8 {
            for end in start..=8 {
                let slice = Chunks::of(chunks.slice(start..end));
                assert_eq!(slice.to_vec(), all[start..end]);
            }
        }
    }
}
