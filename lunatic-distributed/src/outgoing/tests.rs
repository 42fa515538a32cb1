//! Tests of lanes and pieces, alone and against a model.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeMap;

use lunatic_account::AccountLimits;
use lunatic_mailbox::NodeNumber;
use proptest::prelude::*;

use super::*;
use crate::frame::MAX_UNIT_BYTES;
use crate::incoming::{BadPiece, Incoming};

fn pair(number: u64) -> (Pid, Pid) {
    let pid = |node| Pid::new(NodeNumber::new(node).unwrap(), number).unwrap();
    (pid(1), pid(2))
}

fn message(pair: (Pid, Pid), bytes: &[u8]) -> Frame<'_> {
    Frame::Message {
        from: pair.0,
        to: pair.1,
        tag: None,
        bytes,
        resources: Vec::new(),
    }
}

/// What arrives: of which pair, and the first bytes and the length of the message.
fn read(incoming: &mut Incoming, lane: u8, unit: &[u8], arrived: &mut Vec<(Pid, u64, usize)>) {
    assert!(unit.len() <= MAX_UNIT_BYTES);
    let mut rest = unit;
    while !rest.is_empty() {
        let (frame, behind) = postcard::take_from_bytes(rest).unwrap();
        rest = behind;
        match frame {
            Frame::Piece {
                transfer,
                length,
                bytes,
            } => {
                if let Some(whole) = incoming
                    .piece(lane, transfer, length, bytes, || None)
                    .unwrap()
                {
                    assert_eq!(whole.len(), length as usize);
                    read_frame(postcard::from_bytes(&whole).unwrap(), arrived);
                }
            }
            frame => read_frame(frame, arrived),
        }
    }
}

fn read_frame(frame: Frame<'_>, arrived: &mut Vec<(Pid, u64, usize)>) {
    let Frame::Message { from, bytes, .. } = frame else {
        panic!("a message was sent");
    };
    let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    arrived.push((from, number, bytes.len()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent and taken in whatever order: messages of a pair arrive whole and in
    /// order, nothing is left, and everybody gets back what they have paid.
    #[test]
    fn messages_of_a_pair_arrive_in_order(
        steps in prop::collection::vec((0_u64..4, 0_usize..9, 0_u8..6), 1..80),
    ) {
        const LENGTHS: [usize; 9] = [8, 20, 3000, 20_000, 65_530, 65_536, 65_560, 200_000, 700_000];
        let account = Account::root(AccountLimits::UNLIMITED);
        let mut outgoing = Outgoing::new();
        let mut incoming = Incoming::default();
        let mut sent: BTreeMap<Pid, Vec<(u64, usize)>> = BTreeMap::new();
        let mut arrived = Vec::new();
        let mut take = |outgoing: &mut Outgoing, lane, arrived: &mut Vec<_>| {
            let has = (outgoing.ready() >> lane) & 1 == 1;
            let unit = outgoing.take(lane);
            assert_eq!(has, unit.is_some(), "it says whether there is something");
            unit.map(|unit| read(&mut incoming, lane, &unit.to_vec(), arrived)).is_some()
        };
        for (number, length, taken) in steps {
            let pair = pair(number + 1);
            // Two pairs share a lane.
            let lane = 1 + (number / 2) as u8;
            let sent = sent.entry(pair.0).or_default();
            let mut bytes = vec![7; LENGTHS[length]];
            bytes[..8].copy_from_slice(&(sent.len() as u64).to_le_bytes());
            sent.push((sent.len() as u64, bytes.len()));
            let payer = Some((&account, bytes.len()));
            // A long message is the same frame whether its bytes are copied or not.
            if sent.len().is_multiple_of(2) && is_long_message(bytes.len(), false) {
                let mut whole = DataMessage::new(None, bytes);
                let long = Prepared::long_message(pair, &mut whole, &[], payer).unwrap();
                outgoing.push_prepared(lane, pair, long).unwrap();
            } else {
                outgoing.push(lane, pair, &message(pair, &bytes), payer).unwrap();
            }
            for _ in 0..taken {
                take(&mut outgoing, lane, &mut arrived);
            }
        }
        while take(&mut outgoing, 1, &mut arrived) || take(&mut outgoing, 2, &mut arrived) {}
        for (pid, sent) in sent {
            let of_pair = arrived.iter().filter(|(from, ..)| *from == pid);
            let came: Vec<_> = of_pair.map(|(_, number, length)| (*number, *length)).collect();
            prop_assert_eq!(came, sent);
        }
        prop_assert!(outgoing.is_empty());
        prop_assert_eq!((outgoing.queued, outgoing.in_pieces), (0, 0));
        prop_assert_eq!(account.used(Kind::Memory), 0);
    }
}

#[test]
fn short_messages_pass_a_long_one_of_another_pair() {
    let mut outgoing = Outgoing::new();
    let long = vec![0; 10 << 20];
    outgoing
        .push(1, pair(1), &message(pair(1), &long), None)
        .unwrap();
    outgoing.take(1).unwrap();
    outgoing
        .push(1, pair(2), &message(pair(2), &[0; 8]), None)
        .unwrap();
    let lengths: Vec<_> = (0..2).map(|_| outgoing.take(1).unwrap().len()).collect();
    assert!(lengths.iter().any(|length| *length < 100), "{lengths:?}");
}

#[test]
fn a_lane_is_ready_again_when_a_long_frame_of_another_has_left() {
    let mut outgoing = Outgoing::new();
    let long = vec![0; 60 << 20];
    for lane in 1..=3 {
        let pair = pair(u64::from(lane));
        outgoing
            .push(lane, pair, &message(pair, &long), None)
            .unwrap();
    }
    assert_eq!(outgoing.ready(), 0b1110);
    outgoing.take(1).unwrap();
    outgoing.take(2).unwrap();
    // There is no room for the third one.
    assert_eq!(outgoing.take(3), None);
    assert_eq!(outgoing.ready(), 0b0110);
    while outgoing.take(1).is_some() {}
    assert_eq!(outgoing.ready(), 0b1100);
    while outgoing.take(2).is_some() || outgoing.take(3).is_some() {}
    assert_eq!((outgoing.ready(), outgoing.queued()), (0, 0));
}

#[test]
fn a_long_frame_that_has_to_wait_does_not_hold_up_another_of_its_lane() {
    let mut outgoing = Outgoing::new();
    let long = vec![0; 60 << 20];
    outgoing
        .push(1, pair(1), &message(pair(1), &long), None)
        .unwrap();
    outgoing
        .push(2, pair(2), &message(pair(2), &long), None)
        .unwrap();
    outgoing.take(1).unwrap();
    outgoing.take(2).unwrap();
    // There is no room for this one, which now stands in front of the first.
    outgoing
        .push(1, pair(3), &message(pair(3), &long), None)
        .unwrap();
    for _ in 0..1000 {
        if let Some(lane) = outgoing.lanes.get_mut(1) {
            lane.transfers.rotate_left(1);
        }
        if outgoing.in_pieces > MAX_IN_PIECES / 2 {
            outgoing.find_ready();
            assert_ne!(outgoing.ready() & 2, 0);
            assert!(outgoing.take(1).is_some());
        }
    }
    // It begins at last.
    while outgoing.take(1).is_some() || outgoing.take(2).is_some() {}
    assert!(outgoing.is_empty());
}

#[test]
fn many_memberships_leave_in_units_of_bounded_length() {
    use crate::groups::{GroupChange, GroupFrame};
    let change = GroupChange {
        scope: "s".repeat(1000),
        group: "g".repeat(1000),
        process: pair(1).0,
        joined: true,
    };
    let frame = Frame::Groups(GroupFrame(vec![change; 512]));
    let mut outgoing = Outgoing::new();
    outgoing.push(0, pair(0), &frame, None).unwrap();
    outgoing.push(0, pair(0), &Frame::Ready, None).unwrap();
    let mut units = Vec::new();
    while let Some(unit) = outgoing.take(0) {
        assert!(unit.len() <= MAX_UNIT_BYTES);
        units.push(unit.to_vec());
    }
    assert!(units.len() > 5);
    let last = postcard::from_bytes(units.last().unwrap());
    assert!(matches!(last, Ok(Frame::Ready)), "order is kept");
}

#[test]
fn bytes_are_written_as_serde_writes_them_one_by_one() {
    let bytes: Vec<u8> = (0..300).map(|byte| byte as u8).collect();
    let frame = Frame::Piece {
        transfer: 1,
        length: 300,
        bytes: &bytes,
    };
    let written = frame.to_bytes();
    assert!(written.ends_with(&postcard::to_allocvec(&bytes).unwrap()));
    let Frame::Piece { bytes: read, .. } = postcard::from_bytes(&written).unwrap() else {
        panic!("a piece was written");
    };
    assert_eq!(read, bytes);
}

#[test]
fn what_is_written_around_bytes_is_what_is_written_with_them() {
    let resources = vec![
        None,
        Some(EncodedResource {
            kind: "module".into(),
            bytes: vec![1, 2, 3],
        }),
    ];
    for length in [0, 1, 127, 128, 70_000] {
        let bytes = vec![7; length];
        let (from, to) = pair(3);
        let tag = lunatic_mailbox::Tag::new(9);
        let [head, tail] = Frame::around_message(from, to, tag, length, &resources);
        let whole = Frame::Message {
            from,
            to,
            tag,
            bytes: &bytes,
            resources: resources.clone(),
        };
        assert_eq!([head, bytes.clone(), tail].concat(), whole.to_bytes());
        let piece = Frame::Piece {
            transfer: 300,
            length: 1 << 20,
            bytes: &bytes,
        };
        let head = Frame::before_piece(300, 1 << 20, length);
        assert_eq!([head, bytes.clone()].concat(), piece.to_bytes());
    }
}

#[test]
fn pieces_of_a_frame_that_is_not_whole_may_come_behind_those_of_others() {
    let mut incoming = Incoming::default();
    let length = 60 << 20;
    let piece = vec![0; PIECE_BYTES];
    // Two frames but for their last pieces, as the sender may have, then two others.
    for transfer in 0..4 {
        for _ in 0..length / PIECE_BYTES - 1 {
            let taken = incoming.piece(transfer as u8, transfer, length as u32, &piece, || None);
            assert_eq!(taken, Ok(None));
        }
    }
    let whole = incoming
        .piece(0, 0, length as u32, &piece, || None)
        .unwrap();
    assert_eq!(whole.map(|whole| whole.len()), Some(length));
}

#[test]
fn pieces_that_no_node_sends_are_refused() {
    let piece = vec![0; PIECE_BYTES];
    let mut incoming = Incoming::default();
    let length = 3 * PIECE_BYTES as u32;
    assert_eq!(
        incoming.piece(1, 1, u32::MAX, &piece, || None),
        Err(BadPiece::TooLong)
    );
    assert_eq!(
        incoming.piece(1, 1, length, &[0; 5], || None),
        Err(BadPiece::Mismatch)
    );
    assert_eq!(
        incoming.piece(1, 1, length, &[], || None),
        Err(BadPiece::Mismatch)
    );
    assert_eq!(
        incoming.piece(1, 1, 0, &[], || None),
        Err(BadPiece::Mismatch)
    );
    assert_eq!(incoming.piece(1, 1, length, &piece, || None), Ok(None));
    assert_eq!(
        incoming.piece(1, 1, length + 1, &piece, || None),
        Err(BadPiece::Mismatch)
    );
    let mut count = 0;
    let error = loop {
        count += 1;
        if let Err(error) = incoming.piece(2, count, length, &piece, || None) {
            break error;
        }
    };
    assert_eq!(error, BadPiece::TooMany);
    assert!(count as usize * PIECE_BYTES <= 257 << 20);
}
