//! The argument records of `spawn` (ABI §3.4).

use wasmtime::{V128, Val};

use crate::trap::Misuse;

/// Bytes of one record: a type byte and a 128-bit little-endian value.
const RECORD_BYTES: usize = 17;

/// The highest number of arguments, which is that of a wasm function.
pub const MAX_PARAMS: usize = 1000;

const TYPE_I32: u8 = 0x7F;
const TYPE_I64: u8 = 0x7E;
const TYPE_V128: u8 = 0x7B;

/// Reads argument records.
///
/// ```
/// use lunatic_abi::params;
///
/// let mut record = [0; 17];
/// record[0] = 0x7f; // an `i32`
/// record[1] = 42;
/// assert_eq!(params::parse(&record)?[0].i32(), Some(42));
/// # Ok::<(), lunatic_abi::Misuse>(())
/// ```
///
/// Bytes above the width of an `i32` or `i64` are ignored: guests leave
/// anything there.
///
/// # Errors
///
/// [`Misuse::BadParameters`] if there are more than [`MAX_PARAMS`], if the length is not
/// a multiple of 17 bytes, or if a type byte is none of `i32`, `i64` and `v128`.
pub fn parse(records: &[u8]) -> Result<Vec<Val>, Misuse> {
    let (records, rest) = records.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        let length = records.len() * RECORD_BYTES + rest.len();
        return Err(Misuse::BadParameters(format!(
            "{length} bytes are not a whole number of {RECORD_BYTES}-byte records"
        )));
    }
    if records.len() > MAX_PARAMS {
        return Err(Misuse::BadParameters(format!(
            "{} are more than the {MAX_PARAMS} that a function can take",
            records.len()
        )));
    }
    records.iter().map(parse_record).collect()
}

fn parse_record(record: &[u8; RECORD_BYTES]) -> Result<Val, Misuse> {
    let [kind, value @ ..] = record;
    let value = u128::from_le_bytes(*value);
    match *kind {
        TYPE_I32 => Ok(Val::I32(value as i32)),
        TYPE_I64 => Ok(Val::I64(value as i64)),
        TYPE_V128 => Ok(Val::V128(V128::from(value))),
        other => Err(Misuse::BadParameters(format!(
            "{other:#04x} is not the type byte of i32 (0x7f), i64 (0x7e) or v128 (0x7b)"
        ))),
    }
}
