//! What is in a datagram of gossip, as foca writes it.

use foca::{Codec, Header, Member, Message, PostcardCodec};

use crate::membership::MemberId;

/// Who has sent it, as it says.
pub(super) fn sender(bytes: &[u8]) -> Option<MemberId> {
    let mut rest = bytes;
    Some(header(&mut rest)?.src)
}

/// The same without what it tells of members that are not wanted; `None` if it cannot be read.
pub(super) fn about(bytes: &[u8], is_wanted: impl Fn(&MemberId) -> bool) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let header = header(&mut rest)?;
    let (mut datagram, updates) = bytes.split_at(bytes.len() - rest.len());
    let mut kept = datagram.to_vec();
    let Some((count, mut rest)) = updates.split_first_chunk::<2>() else {
        return Some(bytes.to_vec());
    };
    if header.message == Message::Broadcast {
        return Some(bytes.to_vec());
    }
    let mut wanted: u16 = 0;
    kept.extend([0, 0]);
    for _ in 0..u16::from_be_bytes(*count) {
        datagram = rest;
        let member: Member<MemberId> = PostcardCodec.decode_member(&mut rest).ok()?;
        if is_wanted(member.id()) {
            wanted += 1;
            kept.extend_from_slice(&datagram[..datagram.len() - rest.len()]);
        }
    }
    let at = bytes.len() - updates.len();
    kept[at..at + 2].copy_from_slice(&wanted.to_be_bytes());
    kept.extend_from_slice(rest);
    Some(kept)
}

/// Reads the header, and leaves what is behind it.
fn header(rest: &mut &[u8]) -> Option<Header<MemberId>> {
    PostcardCodec.decode_header(rest).ok()
}
