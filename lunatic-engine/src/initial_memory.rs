//! The contents that the data segments of a module write to its memory.

use std::ops::Range;

use wasmparser::{Data, DataKind, ImportSectionReader, Operator, Parser, Payload, TypeRef};

use crate::limits::WASM_PAGE_BYTES;

/// The contents that the data segments of a module write to its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitialMemory {
    /// The position of the first byte in the memory.
    pub(crate) offset: usize,
    /// The bytes, with zeros between segments.
    pub(crate) bytes: Vec<u8>,
}

/// The place and the bytes of an active segment.
type Segment<'a> = (u64, &'a [u8]);

impl InitialMemory {
    /// Returns the contents that the segments of this module write to its memory.
    ///
    /// `None` if there are no segments, they are very far apart, or it is not certain that all of
    /// them are valid and fit.
    pub(crate) fn of(wasm: &[u8]) -> Option<InitialMemory> {
        let segments = segments(wasm)?;
        layered(&segments, span(&segments)?)
    }

    /// The length of the contents that [`of`](InitialMemory::of) returns, in bytes; `None` if it
    /// returns none.
    pub(crate) fn length(wasm: &[u8]) -> Option<u64> {
        let span = span(&segments(wasm)?)?;
        Some(span.end - span.start)
    }
}

/// The active segments of a module; `None` if it is not certain that all of them are valid and fit.
fn segments(wasm: &[u8]) -> Option<Vec<Segment<'_>>> {
    let mut memories = Vec::new();
    let mut segments: Vec<Segment<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            // An imported memory is not ours to fill.
            Payload::ImportSection(imports) if has_memory(imports.clone()) => return None,
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.ok()?;
                    if memory.memory64 {
                        return None;
                    }
                    memories.push(memory.initial.checked_mul(WASM_PAGE_BYTES)?);
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
    let fits = |segment: &Segment<'_>| end(segment) <= minimum;
    segments.iter().all(fits).then_some(segments)
}

fn has_memory(imports: ImportSectionReader<'_>) -> bool {
    imports
        .into_imports()
        .any(|import| import.is_ok_and(|import| matches!(import.ty, TypeRef::Memory(_))))
}

/// The place and bytes of an active segment, nothing for a passive one; `None`
/// if the place is not a plain constant.
fn active<'a>(segment: &Data<'a>) -> Option<Option<Segment<'a>>> {
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
    Some(Some((u64::from(value.cast_unsigned()), segment.data)))
}

/// The range that the segments fill; `None` if they are empty, or very far apart.
fn span(segments: &[Segment<'_>]) -> Option<Range<u64>> {
    /// Segments further apart than this are left to the engine.
    const MAX_SPAN: u64 = 16 << 20;
    /// The image of small segments may be so long, whatever is between them.
    const SMALL_SPAN: u64 = 64 << 10;
    let filled = || segments.iter().filter(|(_, bytes)| !bytes.is_empty());
    let start = filled().map(|(offset, _)| *offset).min()?;
    let end = filled().map(end).max()?;
    // An image is kept: it is to have few more bytes than the module.
    let in_segments: u64 = filled().map(|(_, bytes)| bytes.len() as u64).sum();
    let max_span = MAX_SPAN.min(in_segments.saturating_mul(4) + SMALL_SPAN);
    (end - start <= max_span).then_some(start..end)
}

/// The segments over each other, later ones on top.
fn layered(segments: &[Segment<'_>], span: Range<u64>) -> Option<InitialMemory> {
    let Range { start, end } = span;
    let mut bytes = vec![0; usize::try_from(end - start).ok()?];
    for (offset, segment) in segments.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let at = usize::try_from(offset - start).ok()?;
        bytes[at..at + segment.len()].copy_from_slice(segment);
    }
    let offset = usize::try_from(start).ok()?;
    Some(InitialMemory { offset, bytes })
}

fn end((offset, bytes): &Segment<'_>) -> u64 {
    offset + bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Option<(usize, Vec<u8>)> {
        let wasm = wat::parse_str(format!("(module {fields})")).expect("text of a module");
        InitialMemory::of(&wasm).map(|memory| (memory.offset, memory.bytes))
    }

    #[test]
    fn segments_lie_over_each_other_with_zeros_between() {
        let memory = of(r#"(memory 1) (data (i32.const 12) "cd")
            (data (i32.const 8) "ab") (data (i32.const 13) "e") (data "passive")"#);
        assert_eq!(memory, Some((8, b"ab\0\0ce".to_vec())));
    }

    #[test]
    fn a_module_without_active_segments_leaves_nothing() {
        assert_eq!(of(""), None);
        assert_eq!(of(r#"(memory 1) (data "passive")"#), None);
        assert_eq!(of(r#"(memory 1) (data (i32.const 9) "")"#), None);
    }

    #[test]
    fn what_is_not_certain_to_fit_is_left_to_the_engine() {
        for fields in [
            r#"(memory 1) (data (i32.const 65535) "ab")"#,
            r#"(memory 1) (data (i32.const -1) "a")"#,
            r#"(import "a" "b" (memory 1)) (data (i32.const 0) "a")"#,
            r#"(import "a" "b" (global i32)) (memory 1) (data (global.get 0) "a")"#,
            r#"(memory i64 1) (data (i64.const 0) "a")"#,
            r#"(memory 1) (memory 1) (data (i32.const 0) "a")"#,
            r#"(memory 1000) (data (i32.const 0) "a") (data (i32.const 60000000) "b")"#,
            r#"(memory 257) (data (i32.const 0) "a") (data (i32.const 16777215) "b")"#,
        ] {
            assert_eq!(of(fields), None, "{fields}");
        }
    }
}
