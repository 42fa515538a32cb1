//! Takes the data segments out of a module, so that they can be put into a
//! memory all at once, or be there already.
//!
//! An active data segment is copied by the engine whenever an instance is made;
//! for 40 KiB that takes longer than all the rest. A segment that is known to
//! fit leaves an empty passive one behind: to `memory.init` and `data.drop`
//! that is the same as an active one that has been applied, which is dropped.

use std::convert::Infallible;

use wasm_encoder::DataSection;
use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{Data, DataKind, Operator, Parser, Payload, TypeRef};

/// What the segments of a module leave in its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Where in the memory the first byte is.
    pub offset: usize,
    /// The bytes, with zeros between segments.
    pub bytes: Vec<u8>,
}

/// Memories with segments further apart than this are left to the engine.
const MAX_SPAN: usize = 16 << 20;

/// Takes the data segments out of a module.
///
/// `None` if there are none, or it is not certain that all of them are valid and
/// fit: then it is the engine that refuses or applies them, and traps.
pub fn take(wasm: &[u8]) -> Option<(Vec<u8>, Contents)> {
    let contents = contents(wasm)?;
    let mut module = wasm_encoder::Module::new();
    Emptied
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .ok()?;
    Some((module.finish(), contents))
}

fn contents(wasm: &[u8]) -> Option<Contents> {
    /// Bytes of a wasm page.
    const PAGE_BYTES: u64 = 1 << 16;

    let mut memories = Vec::new();
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(imports) => {
                // An imported memory is not ours to fill.
                let imported = imports.into_imports().any(|import| {
                    import.is_ok_and(|import| matches!(import.ty, TypeRef::Memory(_)))
                });
                if imported {
                    return None;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.ok()?;
                    if memory.memory64 {
                        return None;
                    }
                    memories.push(memory.initial.checked_mul(PAGE_BYTES)?);
                }
            }
            Payload::DataSection(section) => {
                for segment in section {
                    segments.extend(active(&segment.ok()?)?);
                }
            }
            _ => {}
        }
    }
    let [minimum] = memories[..] else {
        return None;
    };
    let fits = |(offset, bytes): &(usize, &[u8])| (offset + bytes.len()) as u64 <= minimum;
    segments.iter().all(fits).then(|| layered(&segments))?
}

/// The place and bytes of an active segment, nothing for a passive one; `None`
/// if the place is not a plain constant.
fn active<'a>(segment: &Data<'a>) -> Option<Option<(usize, &'a [u8])>> {
    let (memory, offset_expr) = match &segment.kind {
        DataKind::Active {
            memory_index,
            offset_expr,
        } => (*memory_index, offset_expr),
        DataKind::Passive => return Some(None),
    };
    if memory != 0 {
        return None;
    }
    let mut operators = offset_expr.get_operators_reader();
    let Operator::I32Const { value } = operators.read().ok()? else {
        return None;
    };
    let Operator::End = operators.read().ok()? else {
        return None;
    };
    Some(Some((value.cast_unsigned() as usize, segment.data)))
}

/// The segments over each other, later ones on top.
fn layered(segments: &[(usize, &[u8])]) -> Option<Contents> {
    let filled = segments.iter().filter(|(_, bytes)| !bytes.is_empty());
    let offset = filled.clone().map(|(offset, _)| *offset).min()?;
    let end = filled
        .clone()
        .map(|(offset, bytes)| offset + bytes.len())
        .max()?;
    if end - offset > MAX_SPAN {
        return None;
    }
    let mut bytes = vec![0; end - offset];
    for (place, segment) in filled {
        let start = place - offset;
        bytes[start..start + segment.len()].copy_from_slice(segment);
    }
    Some(Contents { offset, bytes })
}

/// Copies a module, with all active data segments empty and passive.
struct Emptied;

impl Reencode for Emptied {
    type Error = Infallible;

    fn parse_data(
        &mut self,
        section: &mut DataSection,
        segment: Data<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        match segment.kind {
            DataKind::Active { .. } => section.passive([]),
            DataKind::Passive => section.passive(segment.data.iter().copied()),
        };
        Ok(())
    }
}
