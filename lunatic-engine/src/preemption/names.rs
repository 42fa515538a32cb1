//! Names for the appended functions, which backtraces show.

use wasm_encoder::Encode;
use wasmparser::{BinaryReader, BinaryReaderError};

use crate::preemption::imports_and_globals::Appended;

/// Returns the content of a name section with the names of further functions. A section that names
/// no functions is not changed: a backtrace then shows no names at all.
///
/// - `appended`: the function that has another index than before. If there is one, the names of
///   locals and labels are left out.
/// - `names`: the names by index, each index higher than those of the section.
///
/// # Errors
///
/// Fails if the section is invalid.
pub(super) fn append(
    content: &[u8],
    appended: &Appended,
    names: &[(u32, &'static str)],
) -> Result<Vec<u8>, BinaryReaderError> {
    /// The subsection with the names of functions.
    const FUNCTIONS: u8 = 1;
    /// The subsections with the names of locals and labels of functions.
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
