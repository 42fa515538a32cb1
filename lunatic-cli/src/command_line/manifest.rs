//! The manifest of an application: a supervision tree of modules, in TOML.
//!
//! It is part of the program and not of the library: its keys are the flags of
//! the command line in another form, and its errors are made to be read. A Rust
//! program that embeds the runtime says the same to `lunatic-supervisor`.

mod application;
mod check;
mod child;
mod diagnostic;
mod limits;
mod parse;
mod program;
#[cfg(feature = "distribution")]
mod remote;
mod supervisor;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::io::ErrorKind;
use std::path::Path;

pub(crate) use application::{Application, Program};
pub(crate) use check::check;
use diagnostic::Diagnostics;
pub(crate) use tree::TreeBuilder;

#[cfg(feature = "distribution")]
use crate::RemoteRights;
use crate::command_line::problem::Problem;

/// What a manifest is read with.
struct ParseContext<'a> {
    /// The directory that its paths are taken from.
    directory: &'a Path,
    /// The environment that it may pass on.
    variables: Vec<(String, String)>,
}

/// The text of a manifest and where it came from.
pub(crate) struct Manifest<'a> {
    path: &'a Path,
    text: String,
}

/// What was read of a manifest.
pub(crate) struct Parsed {
    pub(crate) application: Application,
    mistakes: Diagnostics,
}

/// Reads a text as a manifest and as a file for `lunatic node --remote`, and words what is wrong
/// with it. For `lunatic-fuzz`.
#[doc(hidden)]
pub fn try_manifest(text: &str) {
    let path = Path::new("fuzz.toml");
    let context = ParseContext {
        directory: Path::new(""),
        variables: vec![("NAME".to_owned(), "value".to_owned())],
    };
    let mistakes = match parse::parse(text, &context) {
        Ok((application, mistakes)) => {
            drop(application);
            mistakes
        }
        Err(mistakes) => mistakes,
    };
    #[cfg(feature = "distribution")]
    let of_remote = remote::parse(text, &context).err().unwrap_or_default();
    #[cfg(not(feature = "distribution"))]
    let of_remote = Diagnostics::default();
    for diagnostic in mistakes.sorted().into_iter().chain(of_remote.sorted()) {
        drop(diagnostic.explain(path, text));
    }
}

impl<'a> Manifest<'a> {
    /// Reads the file.
    pub(crate) fn read(path: &'a Path) -> Result<Manifest<'a>, Problem> {
        let shown = path.display();
        let is_module = |text: &str| text.trim_start().starts_with(['(', ';']);
        let text = std::fs::read_to_string(path).map_err(|error| {
            let problem = Problem::new(format!("cannot read `{shown}`: {error}"));
            match error.kind() {
                ErrorKind::NotFound => {
                    problem.help("check the path; it is taken from the current directory")
                }
                ErrorKind::IsADirectory => problem.help("name the manifest inside of it"),
                ErrorKind::InvalidData => problem.help(format!(
                    "a manifest is TOML; if it is a module: lunatic run {shown}"
                )),
                _ => problem,
            }
        })?;
        if is_module(&text) {
            return Err(Problem::new(format!(
                "`{shown}` is a module in text format, not a manifest"
            ))
            .help(format!("run it: lunatic run {shown}")));
        }
        Ok(Manifest { path, text })
    }

    /// What it says, as far as that can be read, and what is wrong with it; nothing that it
    /// names is looked at.
    pub(crate) fn parse(&self) -> Result<Parsed, Problem> {
        let context = ParseContext {
            directory: self.path.parent().unwrap_or(Path::new("")),
            variables: crate::command_line::grants::inherited_variables(),
        };
        let (application, mistakes) =
            parse::parse(&self.text, &context).map_err(|diagnostics| self.tell(diagnostics))?;
        Ok(Parsed {
            application,
            mistakes,
        })
    }

    /// What it says that other nodes may do here, if it is a file for `lunatic node --remote`.
    #[cfg(feature = "distribution")]
    pub(crate) fn parse_remote(&self) -> Result<RemoteRights, Problem> {
        let context = ParseContext {
            directory: self.path.parent().unwrap_or(Path::new("")),
            variables: Vec::new(),
        };
        remote::parse(&self.text, &context).map_err(|diagnostics| self.tell(diagnostics))
    }

    /// What it says, if nothing is wrong with that; what it names is not looked at.
    pub(crate) fn parse_faultless(&self) -> Result<Application, Problem> {
        let Parsed {
            application,
            mistakes,
        } = self.parse()?;
        match mistakes.is_empty() {
            true => Ok(application),
            false => Err(self.tell(mistakes)),
        }
    }

    /// Prints all diagnostics but the sum of them.
    fn tell(&self, diagnostics: Diagnostics) -> Problem {
        let diagnostics = diagnostics.sorted();
        let number = diagnostics.len();
        for diagnostic in diagnostics {
            diagnostic.explain(self.path, &self.text).print();
        }
        let errors = if number == 1 { "error" } else { "errors" };
        Problem::new(format!("`{}` has {number} {errors}", self.path.display()))
    }
}
