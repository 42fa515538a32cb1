//! The arguments of functions that processes run.

/// One argument of an exported function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// A `v128`.
    V128(u128),
}

/// Argument records, as the host reads them.
pub(crate) fn encode(params: &[Param]) -> Vec<u8> {
    let mut records = Vec::with_capacity(params.len() * 17);
    for param in params {
        let (kind, value) = match *param {
            Param::I32(value) => (0x7F, u128::from(value as u32)),
            Param::I64(value) => (0x7E, u128::from(value as u64)),
            Param::V128(value) => (0x7B, value),
        };
        records.push(kind);
        records.extend_from_slice(&value.to_le_bytes());
    }
    records
}
