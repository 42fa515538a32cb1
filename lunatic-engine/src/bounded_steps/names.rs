//! Names for the appended functions, which backtraces show.

use wasm_encoder::Encode;
use wasmparser::{BinaryReader, BinaryReaderError};

/// Returns the content of a name section with the names of more functions. A section
/// that names no functions stays as it is: a backtrace then shows no names at all.
///
/// - `names`: by index, each higher than those of the section.
///
/// # Errors
///
/// Fails where the section is broken.
pub(super) fn append(
    content: &[u8],
    names: &[(u32, &'static str)],
) -> Result<Vec<u8>, BinaryReaderError> {
    /// The subsection with the names of functions.
    const FUNCTIONS: u8 = 1;
    let mut reader = BinaryReader::new(content, 0);
    let title = reader.read_string()?;
    let mut section = Vec::with_capacity(content.len() + 32);
    title.encode(&mut section);
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let subsection = reader.read_bytes(length as usize)?;
        section.push(id);
        match id {
            FUNCTIONS => with_names(subsection, names)?.encode(&mut section),
            _ => subsection.encode(&mut section),
        }
    }
    Ok(section)
}

fn with_names(
    subsection: &[u8],
    names: &[(u32, &'static str)],
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(subsection, 0);
    let count = reader.read_var_u32()? as usize;
    let mut map = Vec::with_capacity(subsection.len() + 32);
    (count + names.len()).encode(&mut map);
    map.extend_from_slice(&subsection[reader.current_position()..]);
    for (index, name) in names {
        index.encode(&mut map);
        name.encode(&mut map);
    }
    Ok(map)
}
