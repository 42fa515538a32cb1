//! By what a packet is recognised when the network sends it back.

use std::collections::VecDeque;

/// Different marks that are remembered: the ids that a peer changes between, and some more.
const REMEMBERED: usize = 4;

/// A part of a packet that only its sender, its receiver and who sees the packet know: eight
/// bytes of the destination's connection id.
///
/// The kernel takes every ICMP message that names the addresses and ports of a socket. With
/// this, somebody who merely guesses those can't end a connection.
pub(crate) type Mark = [u8; 8];

/// The mark of a QUIC packet that begins with these bytes.
pub(crate) fn mark(packet: &[u8]) -> Option<Mark> {
    // With a long header, flags, version and the length of the id come first.
    let start = if packet.first()? & 0x80 == 0 { 1 } else { 6 };
    packet.get(start..)?.first_chunk().copied()
}

/// The marks of packets that a connection has sent lately.
#[derive(Debug, Default)]
pub(crate) struct Marks(VecDeque<Mark>);

impl Marks {
    /// Notes a packet that is sent.
    pub(crate) fn note(&mut self, packet: &[u8]) {
        let Some(mark) = mark(packet) else { return };
        if self.0.back() == Some(&mark) {
            return;
        }
        self.0.retain(|known| *known != mark);
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    pub(crate) fn contains(&self, mark: Mark) -> bool {
        self.0.contains(&mark)
    }
}

#[cfg(test)]
mod tests {
    use super::{Marks, mark};

    #[test]
    fn a_mark_is_the_connection_id_of_either_header() {
        let short = [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(mark(&short), Some([1, 2, 3, 4, 5, 6, 7, 8]));
        let long = [0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(mark(&long), Some([1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn a_packet_that_is_too_short_has_no_mark() {
        assert_eq!(mark(&[]), None);
        assert_eq!(mark(&[0x40, 1, 2, 3]), None);
        assert_eq!(mark(&[0xc0, 0, 0, 0, 1, 8, 1, 2, 3]), None);
    }

    #[test]
    fn the_latest_marks_are_remembered() {
        let mut marks = Marks::default();
        let packet = |id: u8| [0x40, id, 0, 0, 0, 0, 0, 0, 0, 9];
        for id in [1, 2, 3, 1, 4, 5, 5] {
            marks.note(&packet(id));
        }
        let known = |id| marks.contains([id, 0, 0, 0, 0, 0, 0, 0]);
        assert!(known(1) && known(3) && known(4) && known(5) && !known(2));
    }
}
