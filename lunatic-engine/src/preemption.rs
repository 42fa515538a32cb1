//! Rewrites modules so that their code can be preempted in time.
//!
//! There are two ways to preempt code. If code counts fuel, the engine checks the fuel where a
//! function begins and where a loop is entered; that is a point of preemption. All other code has
//! only the points that are written into it here:
//!
//! - A point subtracts the weight of the code that was run from a budget, which is in a global.
//!   When the budget is used up, the point calls a function of the host, which yields if it has to
//!   and gives a new budget.
//! - A loop has a point in each round. If it contains no other loop and calls nothing, it is cut
//!   into strips instead: the rest of the budget is in a local while it runs, and the function of
//!   the host is called between two strips, outside of the loop, so that the compiler can keep
//!   everything in registers.
//! - A function begins with a point if it can be called again before it returns, or if it takes
//!   long. Any other call weighs as much as the code of the callee.
//!
//! Between two points a module can have one `memory.fill` of 4 GiB, or a function of megabytes
//! without a loop. So in both kinds of code:
//!
//! - `memory.fill`, `memory.copy` and `memory.init` of more than a piece of memory call an appended
//!   function, which works piece by piece in a loop.
//! - A run of straight-line code that is too long is interrupted by a point.
//!
//! Everything else is copied byte by byte. Types, functions and globals are only appended,
//! but the function of the host takes the index of the first function that the module
//! defines, which becomes the last. Operations on tables are left as they are, as tables
//! have a limited number of elements.
//!
//! # Layout
//!
//! - `body`: finds the changes in the body of one function.
//! - `edits`: writes the changes.
//! - `straight_line`: the longest run of straight-line code.
//! - `cost`: the cost of an operator.
//! - `function_summary`: the functions that a function calls, and the kinds of its loops.
//! - `calls`: the order of calls, and functions that can be called again before they return.
//! - `points`: how a point of preemption is written.
//! - `kept_locals`: the locals that are passed through an appended function at a point.
//! - `imports_and_globals`: the imported host function and the appended global.
//! - `appended_functions`: the functions that are appended to the module.
//! - `locals`: the locals of a function.
//! - `index_spaces`: the numbers of functions, types and globals.
//! - `names`: names for the appended functions.

mod appended_functions;
mod body;
mod calls;
mod cost;
#[cfg(test)]
mod differential;
mod edits;
mod function_summary;
mod imports_and_globals;
mod index_spaces;
mod kept_locals;
mod locals;
mod names;
mod points;
mod straight_line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;
use std::mem;

use wasm_encoder::reencode::Error;
use wasm_encoder::{BranchHint, BranchHints, Encode};
use wasmparser::{
    BinaryReader, BinaryReaderError, ExportSectionReader, FunctionBody, Parser, Payload, Validator,
    WasmFeatures,
};

use crate::invalid_module::InvalidModule;
use crate::preemption::appended_functions::AppendedFunctions;
use crate::preemption::body::Context;
use crate::preemption::calls::{CallOrder, References};
use crate::preemption::edits::{Body, Edits};
use crate::preemption::function_summary::FunctionSummary;
use crate::preemption::imports_and_globals::Appended;
pub use crate::preemption::imports_and_globals::BUDGET;
pub(crate) use crate::preemption::imports_and_globals::REFILL;
use crate::preemption::index_spaces::IndexSpaces;
pub(crate) use crate::preemption::points::{FIRST_BUDGET, MIN_BUDGET};

/// The custom section that says which branches are taken rarely, or mostly.
const HINTS: &str = "metadata.code.branch_hint";

/// The bytes by which repeated bodies and kept locals may make code longer, in addition to a
/// quarter of the module: the compiler takes time and memory for them.
const MORE_BYTES: usize = 8 << 10;

/// The mechanism by which code yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Preemption {
    /// The engine does, where functions begin and loops are entered.
    ByEngine,
    /// The function [`REFILL`] of the host does, which is called from points that are put
    /// into the code.
    ByPoints,
}

/// Returns the module with code that can be preempted in time; the same bytes if that
/// holds for it already. This takes time in proportion to the size of the module.
///
/// # Errors
///
/// Fails if the module is found not to be valid, or exports something as [`BUDGET`]. If it does
/// not fail, the module that it returns is valid exactly if `wasm` is.
pub(crate) fn rewrite(wasm: &[u8], preemption: Preemption) -> Result<Cow<'_, [u8]>, InvalidModule> {
    let module = Read::of(wasm)?;
    let edits = match preemption {
        Preemption::ByEngine => module.edits_for_engine()?,
        Preemption::ByPoints => module.edits_with_points()?,
    };
    if !edits.iter().any(Edits::need_more) {
        return Ok(Cow::Borrowed(wasm));
    }
    let appended = match preemption {
        Preemption::ByEngine => Appended::nothing(),
        Preemption::ByPoints => Appended::to(&module.spaces),
    };
    let room = MORE_BYTES + wasm.len() / 4;
    let mut pieces = AppendedFunctions::after(&module.spaces, &appended, room);
    let bodies = edits
        .iter()
        .map(|edits| edits.apply(&mut pieces, &appended));
    let rewritten = Rewritten {
        bodies: bodies.collect(),
        imported_functions: module.spaces.imported_functions() + appended.count(),
        pieces,
        appended,
    };
    let module = rewritten.assemble(wasm).map_err(|error| match error {
        Error::ParseError(error) => InvalidModule::new(&error),
        other => InvalidModule::broken(other.to_string(), 0),
    })?;
    Ok(Cow::Owned(module))
}

/// A module, read and checked but for what is in its functions.
struct Read<'a> {
    spaces: IndexSpaces,
    references: References,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Read<'a> {
    fn of(wasm: &'a [u8]) -> Result<Read<'a>, InvalidModule> {
        let invalid = |error: BinaryReaderError| InvalidModule::new(&error);
        // Which proposals are accepted is the engine's to decide.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut read = Read {
            spaces: IndexSpaces::default(),
            references: References::default(),
            bodies: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(invalid)?;
            // Checks all but the bodies, with the number of functions that there are
            // before any is appended.
            validator.payload(&payload).map_err(invalid)?;
            match payload {
                Payload::CodeSectionEntry(body) => read.bodies.push(body),
                Payload::ExportSection(exports) => {
                    check_exports(exports.clone())?;
                    let payload = Payload::ExportSection(exports);
                    let read = read.references.read(&payload, &read.spaces);
                    read.map_err(invalid)?;
                }
                payload => {
                    read.spaces.read(&payload).map_err(invalid)?;
                    let read = read.references.read(&payload, &read.spaces);
                    read.map_err(invalid)?;
                }
            }
        }
        Ok(read)
    }

    fn edits_for_engine(&self) -> Result<Vec<Edits<'a>>, InvalidModule> {
        let bodies = self.bodies.iter().enumerate();
        bodies
            .map(|(number, body)| body::for_engine(body, number, &self.spaces))
            .collect()
    }

    fn edits_with_points(&self) -> Result<Vec<Edits<'a>>, InvalidModule> {
        let surveys = self.bodies.iter();
        let surveys = surveys.map(|body| FunctionSummary::of(body, &self.spaces));
        let surveys: Vec<FunctionSummary> = surveys
            .collect::<Result<_, _>>()
            .map_err(|error| InvalidModule::new(&error))?;
        let calls = CallOrder::of(&surveys, &self.references);
        let mut known = vec![None; self.bodies.len()];
        let mut edits: Vec<Option<Edits<'a>>> = Vec::new();
        edits.resize_with(self.bodies.len(), || None);
        for number in calls.functions.iter().copied() {
            let context = Context {
                spaces: &self.spaces,
                known: &known,
            };
            let (body, survey) = (&self.bodies[number], &surveys[number]);
            let (its, is_known) = body::with_points(body, number, &context, survey, &calls)?;
            known[number] = Some(is_known);
            edits[number] = Some(its);
        }
        Ok(edits.into_iter().flatten().collect())
    }
}

/// Checks that no export has the name of the budget.
fn check_exports(exports: ExportSectionReader<'_>) -> Result<(), InvalidModule> {
    for export in exports.into_iter_with_offsets() {
        let (offset, export) = export.map_err(|error| InvalidModule::new(&error))?;
        if export.name == BUDGET {
            return Err(InvalidModule::refused(
                format!("no module may export something as `{BUDGET}`: rename it"),
                offset,
            ));
        }
    }
    Ok(())
}

/// The new parts of a module.
struct Rewritten<'a> {
    /// The bodies of its functions, including rewritten ones.
    bodies: Vec<Body<'a>>,
    /// The number of imported functions, including appended ones.
    imported_functions: u32,
    pieces: AppendedFunctions,
    appended: Appended,
}

impl Rewritten<'_> {
    fn assemble(mut self, wasm: &[u8]) -> Result<Vec<u8>, Error<Infallible>> {
        self.appended.reorder(&mut self.bodies);
        let mut module = wasm_encoder::Module::new();
        let mut has = Has::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            self.add_missing(&payload, &mut has, &mut module)?;
            let content = &wasm[range];
            let changed = match &payload {
                Payload::TypeSection(_) => {
                    let mut types = self.appended.types();
                    types.append(&mut self.pieces.types());
                    append(content, &types)?
                }
                Payload::ImportSection(_) => append(content, &self.appended.imports())?,
                Payload::FunctionSection(_) => self.function_types(content)?,
                Payload::GlobalSection(globals) if self.appended.points().is_some() => {
                    module.section(&self.appended.globals(Some(globals.clone()))?);
                    continue;
                }
                Payload::CodeSectionStart { .. } => self.code(),
                Payload::CustomSection(section) if section.name() == "name" => {
                    names::append(content, &self.appended, &self.pieces.names())
                        .unwrap_or_else(|_| content.to_vec())
                }
                // It would say something of other places than before.
                Payload::CustomSection(section) if section.name() == HINTS => continue,
                payload if self.appended.rename(payload, &mut module)? => continue,
                _ => content.to_vec(),
            };
            let data = &changed;
            module.section(&wasm_encoder::RawSection { id, data });
        }
        Ok(module.finish())
    }

    /// Adds the sections before `next` that the module does not have and needs now.
    fn add_missing(
        &self,
        next: &Payload<'_>,
        has: &mut Has,
        module: &mut wasm_encoder::Module,
    ) -> Result<(), Error<Infallible>> {
        if self.appended.points().is_none() {
            return Ok(());
        }
        match next {
            Payload::ImportSection(_) => has.imports = true,
            Payload::GlobalSection(_) => has.globals = true,
            _ => {}
        }
        // What a module that defines functions has behind its imports, or its globals.
        let is_code = matches!(next, Payload::CodeSectionStart { .. });
        let is_behind_globals = is_code
            || matches!(
                next,
                Payload::ExportSection(_)
                    | Payload::StartSection { .. }
                    | Payload::ElementSection(_)
                    | Payload::DataCountSection { .. }
            );
        let is_behind_imports = matches!(next, Payload::FunctionSection(_));
        if is_behind_imports && !mem::replace(&mut has.imports, true) {
            let data = &append(&[0], &self.appended.imports())?;
            let id = wasm_encoder::SectionId::Import.into();
            module.section(&wasm_encoder::RawSection { id, data });
        }
        if is_behind_globals && !mem::replace(&mut has.globals, true) {
            module.section(&self.appended.globals(None)?);
        }
        if is_code {
            module.section(&self.hints());
        }
        Ok(())
    }

    /// Which branches are rarely taken.
    fn hints(&self) -> BranchHints {
        let mut hints = BranchHints::new();
        for (function, body) in (self.imported_functions..).zip(&self.bodies) {
            let unlikely = body.unlikely.iter().map(|offset| BranchHint {
                branch_func_offset: *offset,
                branch_hint_value: 0,
            });
            if unlikely.len() > 0 {
                hints.function_hints(function, unlikely);
            }
        }
        hints
    }

    /// The content of the section with the types of functions.
    fn function_types(&self, content: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        let types = (0..count).map(|_| reader.read_var_u32());
        let mut types: Vec<u32> = types.collect::<Result<_, _>>()?;
        self.appended.reorder(&mut types);
        let appended = self.pieces.function_types();
        let mut section = Vec::with_capacity(content.len() + 16);
        (types.len() + appended.len()).encode(&mut section);
        types.iter().for_each(|ty| ty.encode(&mut section));
        appended.iter().for_each(|ty| section.extend(ty));
        Ok(section)
    }

    /// The content of the code section.
    fn code(&self) -> Vec<u8> {
        let appended = self.pieces.bodies(self.appended.points());
        let mut section = Vec::new();
        (self.bodies.len() + appended.len()).encode(&mut section);
        for body in &self.bodies {
            body.bytes.encode(&mut section);
        }
        appended.iter().for_each(|body| section.extend(body));
        section
    }
}

/// Which sections a module has so far, or has been given.
#[derive(Default)]
struct Has {
    imports: bool,
    globals: bool,
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
