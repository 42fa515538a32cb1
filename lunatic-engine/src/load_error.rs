//! Why bytes did not become a module.

use std::error::Error;
use std::fmt;

use lunatic_account::Exceeded;
use lunatic_error::on_one_line;

use crate::import_problem::ImportProblem;
use crate::invalid_module::InvalidModule;
use crate::module_limits::ExceedsModuleLimit;
use crate::text_format::TextError;

/// Why bytes did not become a module.
///
/// Its debug form is the sentence with all causes, as a `main` prints that returns it.
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are neither a wasm module nor its text.
    NotWasm,
    /// The bytes are text, but not the text of a module.
    Text(TextError),
    /// The bytes are a component, binary or text.
    Component,
    /// The module is too large to be compiled here.
    TooLarge(ExceedsModuleLimit),
    /// The bytes begin like a module, but are not a valid one.
    Invalid(InvalidModule),
    /// The module imports what is not offered.
    Imports(Vec<ImportProblem>),
    /// The compiler cannot compile the module.
    Compile(wasmtime::Error),
    /// The payer of the module has no memory left for it.
    Exceeded(Exceeded),
    /// The caller has stopped waiting for the module.
    GivenUp,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotWasm => f.write_str("this is neither a wasm module nor its text format"),
            LoadError::Text(_) => f.write_str("the text format is wrong"),
            LoadError::Component => f.write_str("this is a component, not a module"),
            LoadError::TooLarge(_) => f.write_str("the module is too large"),
            LoadError::Invalid(_) => f.write_str("the module is not valid"),
            LoadError::Imports(problems) => write_list(f, problems),
            LoadError::Compile(_) => f.write_str("the module cannot be compiled"),
            LoadError::Exceeded(exceeded) => exceeded.fmt(f),
            LoadError::GivenUp => f.write_str("nobody waits for the module any more"),
        }
    }
}

impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", lunatic_error::with_causes(self))
    }
}

/// Writes the first of them, as many as somebody may read: a module can have thousands, and names
/// of any length.
fn write_list(f: &mut fmt::Formatter<'_>, problems: &[ImportProblem]) -> fmt::Result {
    const MAX_PROBLEMS: usize = 16;
    const MAX_BYTES: usize = 4096;
    let (mut shown, mut left) = (0, MAX_BYTES);
    for problem in problems.iter().take(MAX_PROBLEMS) {
        if left == 0 {
            break;
        }
        if shown > 0 {
            f.write_str("; ")?;
        }
        let text = on_one_line(problem, left).to_string();
        f.write_str(&text)?;
        left = left.saturating_sub(text.len());
        shown += 1;
    }
    match problems.len() - shown {
        0 => Ok(()),
        1 => f.write_str("; and another one"),
        others => write!(f, "; and {others} others"),
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LoadError::Text(error) => Some(error),
            LoadError::TooLarge(error) => Some(error),
            LoadError::Invalid(error) => Some(error),
            LoadError::Compile(error) => Some(error.as_ref()),
            LoadError::NotWasm
            | LoadError::Component
            | LoadError::Imports(_)
            | LoadError::Exceeded(_)
            | LoadError::GivenUp => None,
        }
    }
}
