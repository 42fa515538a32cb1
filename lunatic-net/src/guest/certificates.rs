//! The root certificates that `tls_connect` is given (ABI §6.4, and §1.3 M4).

use std::error::Error;
use std::fmt;

use lunatic_abi::{Guest, ranges, slice};
use wasmtime::{Caller, Result};

use crate::guest::NetHost;

/// Why the records are no root certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadCertificates {
    /// There are more than [`MAX_COUNT`].
    TooMany(u32),
    /// To find them, more than [`MAX_BYTES`] would have to be looked at.
    TooLarge,
    /// Where one leads to, there is no PEM text.
    NotPem {
        /// The number of the record, from 0 on.
        index: usize,
    },
}

const MAX_COUNT: u32 = 4096;
/// What is looked at in one call: the certificates, and where there might be one because a
/// record can be read in two ways.
const MAX_BYTES: usize = 1 << 20;
const MARKER: &[u8] = b"-----BEGIN";
/// How much white space may stand before the marker of a text that begins with it.
const MAX_INDENT: usize = 64;

/// Reads the PEM texts that `count` records at `ptr` lead to. The guest pays for what is looked
/// at to find them.
///
/// A record is an address and a length. The Rust library writes the length first, so a
/// record is read in both ways, and the one that leads to PEM text counts.
///
/// Traps if the records are not inside the memory, or one leads out of it
/// whichever way it is read.
pub(super) fn read<T: NetHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    count: u32,
) -> Result<Result<Vec<Vec<u8>>, BadCertificates>> {
    let mut room = MAX_BYTES;
    let (memory, _) = caller.memory_and_state()?;
    let texts = read_within(memory, ptr, count, &mut room);
    caller.pay_for((MAX_BYTES - room) as u64);
    texts
}

/// - `room`: how many bytes may be looked at; becomes less by those that were.
fn read_within(
    memory: &[u8],
    ptr: u32,
    count: u32,
    room: &mut usize,
) -> Result<Result<Vec<Vec<u8>>, BadCertificates>> {
    let records = ranges(memory, ptr, count)?;
    if count > MAX_COUNT {
        return Ok(Err(BadCertificates::TooMany(count)));
    }
    let mut texts = Vec::new();
    for (index, (one, other)) in records.enumerate() {
        match text(memory, one, other, room)? {
            Ok(Some(text)) => texts.push(text.to_vec()),
            Ok(None) => return Ok(Err(BadCertificates::NotPem { index })),
            Err(NoRoom) => return Ok(Err(BadCertificates::TooLarge)),
        }
    }
    Ok(Ok(texts))
}

/// More would have to be looked at than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoRoom;

/// Returns the PEM text that a record leads to, if there is one.
fn text<'m>(
    memory: &'m [u8],
    one: u32,
    other: u32,
    room: &mut usize,
) -> Result<Result<Option<&'m [u8]>, NoRoom>> {
    let mut candidates = match (
        slice(memory, one, u64::from(other)),
        slice(memory, other, u64::from(one)),
    ) {
        (Err(out_of_bounds), Err(_)) => return Err(out_of_bounds.into()),
        (address_first, length_first) => [address_first.ok(), length_first.ok()],
    };
    let begins = |text: &&[u8]| {
        let start = &text[..text.len().min(MAX_INDENT + MARKER.len())];
        start.trim_ascii_start().starts_with(MARKER)
    };
    if let Some(text) = candidates.iter().flatten().copied().find(begins) {
        return Ok(take_room(room, text.len()).map(|()| Some(text)));
    }
    // Some tools write a description before the certificate. The shorter one is that which
    // the guest means, if the other one has the certificate too.
    candidates.sort_by_key(|text| text.map_or(0, <[u8]>::len));
    for text in candidates.into_iter().flatten() {
        if take_room(room, text.len()).is_err() {
            return Ok(Err(NoRoom));
        }
        if text.windows(MARKER.len()).any(|part| part == MARKER) {
            return Ok(Ok(Some(text)));
        }
    }
    Ok(Ok(None))
}

fn take_room(room: &mut usize, bytes: usize) -> Result<(), NoRoom> {
    *room = room.checked_sub(bytes).ok_or(NoRoom)?;
    Ok(())
}

impl fmt::Display for BadCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadCertificates::TooMany(count) => write!(
                f,
                "{count} root certificates are too many; there can be {MAX_COUNT}"
            ),
            BadCertificates::TooLarge => write!(
                f,
                "to find the root certificates, more than {MAX_BYTES} bytes would have to be \
                 looked at"
            ),
            BadCertificates::NotPem { index } => write!(
                f,
                "there is no PEM text where root certificate number {index} should be"
            ),
        }
    }
}

impl Error for BadCertificates {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::{BadCertificates, MAX_BYTES, NoRoom, read_within};

    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

    fn memory(at: usize, text: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 4096];
        memory[at..at + text.len()].copy_from_slice(text);
        memory
    }

    fn text(memory: &[u8], one: u32, other: u32) -> wasmtime::Result<Option<&[u8]>> {
        super::text(memory, one, other, &mut 4096.clone()).map(|found| found.unwrap())
    }

    #[test]
    fn address_and_length_come_in_either_order() {
        let memory = memory(1000, PEM);
        let length = PEM.len() as u32;
        assert_eq!(text(&memory, 1000, length).unwrap(), Some(PEM));
        assert_eq!(text(&memory, length, 1000).unwrap(), Some(PEM));
    }

    #[test]
    fn text_before_the_certificate_is_no_obstacle() {
        let described = [b"subject=CN: example\n".as_slice(), PEM].concat();
        let memory = memory(2000, &described);
        let length = described.len() as u32;
        assert_eq!(text(&memory, length, 2000).unwrap(), Some(&*described));
    }

    #[test]
    fn what_is_nowhere_in_memory_is_refused() {
        let memory = memory(1000, PEM);
        assert!(text(&memory, 5000, 27).is_err());
        assert!(text(&memory, 27, 4090).is_err());
    }

    #[test]
    fn what_has_no_certificate_is_none() {
        assert_eq!(text(&memory(0, b""), 8, 27).unwrap(), None);
    }

    #[test]
    fn what_is_looked_at_counts_whether_there_is_a_certificate_or_not() {
        let mut room = 200;
        let memory = memory(150, PEM);
        let found = super::text(&memory, 100, 90, &mut room).unwrap();
        assert_eq!(found, Ok(Some(&memory[100..190])));
        assert_eq!(room, 200 - 90);
        let found = super::text(&memory, 100, 90, &mut room).unwrap();
        assert_eq!(found, Ok(Some(&memory[100..190])));
        assert_eq!(
            super::text(&memory, 100, 90, &mut room).unwrap(),
            Err(NoRoom)
        );
        assert_eq!(room, 20);
        assert_eq!(
            super::text(&memory, 3000, 21, &mut room).unwrap(),
            Err(NoRoom)
        );
    }

    #[test]
    fn many_records_of_one_text_are_looked_at_no_more_than_one_large_one() {
        // One reading has no certificate, the other has it after a MiB.
        let mut memory = vec![b' '; 3 << 20];
        memory[0x10_0000 - 10..0x10_0000].copy_from_slice(b"-----BEGIN");
        let record = [100_u32, 0x10_0000].map(u32::to_le_bytes).concat();
        let at = 2 << 20;
        memory[at..at + 8 * 4096].copy_from_slice(&record.repeat(4096));
        let mut room = MAX_BYTES;
        let read = read_within(&memory, at as u32, 4096, &mut room).unwrap();
        assert_eq!(
            read.map(|texts| texts.len()),
            Err(BadCertificates::TooLarge)
        );
    }
}
