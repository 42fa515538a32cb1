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
    /// Together they have more than [`MAX_BYTES_IN_ALL`].
    TooLarge,
    /// Where one leads to, there is no PEM text.
    NotPem {
        /// The number of the record, from 0 on.
        index: usize,
    },
}

const MAX_COUNT: u32 = 4096;
const MAX_BYTES: usize = 1 << 20;
const MAX_BYTES_IN_ALL: usize = 16 << 20;
const MARKER: &[u8] = b"-----BEGIN";

/// Reads the PEM texts that `count` records at `ptr` lead to.
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
    let (memory, _) = caller.memory_and_state()?;
    let records = ranges(memory, ptr, count)?;
    if count > MAX_COUNT {
        return Ok(Err(BadCertificates::TooMany(count)));
    }
    let mut texts = Vec::new();
    let mut room = MAX_BYTES_IN_ALL;
    for (index, (one, other)) in records.enumerate() {
        match text(memory, one, other)? {
            Some(text) if text.len() > room => return Ok(Err(BadCertificates::TooLarge)),
            Some(text) => {
                room -= text.len();
                texts.push(text.to_vec());
            }
            None => return Ok(Err(BadCertificates::NotPem { index })),
        }
    }
    Ok(Ok(texts))
}

/// Returns the PEM text that a record leads to, if there is one.
fn text(memory: &[u8], one: u32, other: u32) -> Result<Option<&[u8]>> {
    let candidates = match (
        slice(memory, one, u64::from(other)),
        slice(memory, other, u64::from(one)),
    ) {
        (Err(out_of_bounds), Err(_)) => return Err(out_of_bounds.into()),
        (address_first, length_first) => [address_first.ok(), length_first.ok()],
    };
    let candidates = || {
        let there = candidates.iter().flatten().copied();
        there.filter(|text| text.len() <= MAX_BYTES)
    };
    let begins = candidates().find(|text| text.trim_ascii_start().starts_with(MARKER));
    // Some tools write a description before the certificate.
    let has = |text: &&[u8]| text.windows(MARKER.len()).any(|part| part == MARKER);
    Ok(begins.or_else(|| candidates().filter(has).min_by_key(|text| text.len())))
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
                "the root certificates have more than {MAX_BYTES_IN_ALL} bytes together"
            ),
            BadCertificates::NotPem { index } => write!(
                f,
                "there is no PEM text of at most {MAX_BYTES} bytes where root certificate \
                 number {index} should be"
            ),
        }
    }
}

impl Error for BadCertificates {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::text;

    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

    fn memory(at: usize, text: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 4096];
        memory[at..at + text.len()].copy_from_slice(text);
        memory
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
}
