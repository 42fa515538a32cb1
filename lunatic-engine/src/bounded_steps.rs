//! Rewrites modules so that their code can be preempted in time.
//!
//! Compiled code can be preempted where a function begins and where a loop is entered.
//! Between two such points a module can have one `memory.fill` of 4 GiB, or a function
//! of megabytes without a loop. So, before it is compiled:
//!
//! - `memory.fill`, `memory.copy` and `memory.init` of more than a piece of memory call
//!   a function that is appended to the module, and works piece by piece in a loop.
//! - A run of straight-line code that is too long is interrupted by an empty loop.
//!
//! Everything else is copied byte by byte, and nothing changes its index: types and
//! functions are only appended. Operations on tables are left as they are, as tables
//! have a limited number of elements.
//!
//! # Layout
//!
//! - `body`: the body of one function.
//! - `straight_line`: how long the longest run of straight-line code is.
//! - `cost`: what an operator takes.
//! - `pieces`: the appended functions.
//! - `index_spaces`: how many functions and types there are.
//! - `names`: names for the appended functions.

mod body;
mod cost;
mod index_spaces;
mod names;
mod pieces;
mod straight_line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use wasm_encoder::Encode;
use wasmparser::{BinaryReader, BinaryReaderError, Parser, Payload, Validator, WasmFeatures};

use crate::bounded_steps::index_spaces::IndexSpaces;
use crate::bounded_steps::pieces::Pieces;
use crate::invalid_module::InvalidModule;

/// Returns the module with code that can be preempted in time; the same bytes if that
/// holds for it already. This takes time in proportion to the size of the module.
///
/// # Errors
///
/// Fails if the module is found not to be valid. If it does not fail, the module that it
/// returns is valid exactly if `wasm` is.
pub(crate) fn rewrite(wasm: &[u8]) -> Result<Cow<'_, [u8]>, InvalidModule> {
    let rewritten = Rewritten::of(wasm)?;
    match rewritten.is_changed() {
        false => Ok(Cow::Borrowed(wasm)),
        true => rewritten
            .assemble(wasm)
            .map(Cow::Owned)
            .map_err(|error| InvalidModule::new(&error)),
    }
}

/// What replaces parts of a module.
struct Rewritten<'a> {
    /// The bodies of its functions, with those that were rewritten.
    bodies: Vec<Cow<'a, [u8]>>,
    pieces: Pieces,
}

impl<'a> Rewritten<'a> {
    fn of(wasm: &'a [u8]) -> Result<Rewritten<'a>, InvalidModule> {
        // Which proposals are accepted is the engine's to decide.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut spaces = IndexSpaces::default();
        let mut pieces = Pieces::default();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(|error| InvalidModule::new(&error))?;
            // Checks all but the bodies, with the number of functions that there are
            // before any is appended.
            validator
                .payload(&payload)
                .map_err(|error| InvalidModule::new(&error))?;
            match payload {
                Payload::CodeSectionStart { .. } => pieces = Pieces::after(&spaces),
                Payload::CodeSectionEntry(function) => {
                    let number = bodies.len();
                    bodies.push(body::rewrite(&function, number, &spaces, &mut pieces)?);
                }
                payload => spaces
                    .read(&payload)
                    .map_err(|error| InvalidModule::new(&error))?,
            }
        }
        Ok(Rewritten { bodies, pieces })
    }

    fn is_changed(&self) -> bool {
        self.bodies.iter().any(|body| matches!(body, Cow::Owned(_)))
    }

    fn assemble(&self, wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut module = wasm_encoder::Module::HEADER.to_vec();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let content = &wasm[range];
            let changed = match &payload {
                Payload::TypeSection(_) => append(content, &self.pieces.types())?,
                Payload::FunctionSection(_) => append(content, &self.pieces.function_types())?,
                Payload::CodeSectionStart { .. } => self.code(),
                Payload::CustomSection(section) if section.name() == "name" => {
                    names::append(content, &self.pieces.names())
                        .unwrap_or_else(|_| content.to_vec())
                }
                _ => {
                    push_section(&mut module, id, content);
                    continue;
                }
            };
            push_section(&mut module, id, &changed);
        }
        Ok(module)
    }

    /// The content of the code section.
    fn code(&self) -> Vec<u8> {
        let appended = self.pieces.bodies();
        let mut section = Vec::new();
        (self.bodies.len() + appended.len()).encode(&mut section);
        for body in self.bodies.iter().map(AsRef::as_ref) {
            body.encode(&mut section);
        }
        appended.iter().for_each(|body| section.extend(body));
        section
    }
}

/// The content of a section with more entries, each of which is encoded already.
fn append(content: &[u8], entries: &[Vec<u8>]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(content, 0);
    let count = reader.read_var_u32()? as usize;
    let mut section = Vec::with_capacity(content.len() + 16 * entries.len());
    (count + entries.len()).encode(&mut section);
    section.extend_from_slice(&content[reader.current_position()..]);
    entries.iter().for_each(|entry| section.extend(entry));
    Ok(section)
}

fn push_section(module: &mut Vec<u8>, id: u8, content: &[u8]) {
    module.push(id);
    content.encode(module);
}
