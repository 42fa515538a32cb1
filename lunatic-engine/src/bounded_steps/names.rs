//! Names for the appended functions, which backtraces show.

use wasm_encoder::Encode;
use wasmparser::{BinaryReader, BinaryReaderError};

use crate::bounded_steps::appended::Appended;

/// Returns the content of a name section with the names of more functions. A section
/// that names no functions stays as it is: a backtrace then shows no names at all.
///
/// - `appended`: which function has another index than before. The names of what is in
///   functions are left out if there is one.
/// - `names`: by index, each higher than those of the section.
///
/// # Errors
///
/// Fails where the section is broken.
pub(super) fn append(
    content: &[u8],
    appended: &Appended,
    names: &[(u32, &'static str)],
) -> Result<Vec<u8>, BinaryReaderError> {
    /// The subsection with the names of functions.
    const FUNCTIONS: u8 = 1;
    /// Those with the names of locals and labels of functions.
    const IN_FUNCTIONS: [u8; 2] = [2, 3];
    let mut reader = BinaryReader::new(content, 0);
    let title = reader.read_string()?;
    let mut section = Vec::with_capacity(content.len() + 32);
    title.encode(&mut section);
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let subsection = reader.read_bytes(length as usize)?;
        if IN_FUNCTIONS.contains(&id) && appended.points().is_some() {
            continue;
        }
        section.push(id);
        match id {
            FUNCTIONS => with_names(subsection, appended, names)?.encode(&mut section),
            _ => subsection.encode(&mut section),
        }
    }
    Ok(section)
}

fn with_names(
    subsection: &[u8],
    appended: &Appended,
    names: &[(u32, &'static str)],
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(subsection, 0);
    let count = reader.read_var_u32()?;
    let mut map = Vec::with_capacity(subsection.len() + 32);
    (count as usize + names.len()).encode(&mut map);
    let mut moved = None;
    for _ in 0..count {
        let index = reader.read_var_u32()?;
        let name = reader.read_string()?;
        match appended.function(index) {
            new if new == index => push(&mut map, index, name),
            new => moved = Some((new, name)),
        }
    }
    // It is behind all others that there were.
    for (index, name) in moved.iter().chain(names) {
        push(&mut map, *index, name);
    }
    Ok(map)
}

fn push(map: &mut Vec<u8>, index: u32, name: &str) {
    index.encode(map);
    name.encode(map);
}
