//! How states and messages are written: MessagePack with the names of fields.

use serde::de::DeserializeOwned;
use serde::Serialize;

/// Appends a value.
pub(super) fn write<T: Serialize>(value: &T, to: &mut Vec<u8>) -> Result<(), String> {
    let mut serializer = rmp_serde::Serializer::new(to).with_struct_map();
    let written = value.serialize(&mut serializer);
    written.map_err(|error| error.to_string())
}

/// Reads the value with which `bytes` begins.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}
