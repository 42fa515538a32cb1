//! The whole host interface by name, to explain an import that is not offered.

mod not_offered;

use std::fmt;

use crate::HOST_FUNCTIONS;

use crate::command_line::features::{Feature, LeftOut};
use crate::command_line::interface::not_offered::NOT_OFFERED;
use crate::command_line::similar::most_similar;

/// Imports that a guest library declares otherwise than the interface has them
/// (ABI §1.2), as the library declares them.
const DISAGREEMENTS: &[(&str, &str, &str)] = &[
    (
        "lunatic::message",
        "send_receive_skip_search",
        "(func (param i64 i64) (result i32))",
    ),
    (
        "lunatic::distributed",
        "send_receive_skip_search",
        "(func (param i64 i64 i64) (result i32))",
    ),
    (
        "lunatic::distributed",
        "spawn",
        "(func (param i64 i64 i64 i64 i32 i32 i32 i32 i32) (result i32))",
    ),
    (
        "lunatic::networking",
        "get_read_timeout",
        "(func (param i64) (result i32))",
    ),
    (
        "lunatic::networking",
        "get_peek_timeout",
        "(func (param i64) (result i32))",
    ),
    (
        "lunatic::networking",
        "set_peek_timeout",
        "(func (param i64 i64) (result i32))",
    ),
];

/// Why nothing is offered that an import could be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// A function is offered, and something else is imported.
    Function,
    /// It is part of the interface, and not in this build.
    NotYet,
    /// It belongs to a feature that this build was made without.
    LeftOut(Feature),
    /// There is no such name in the namespace.
    NoSuchName {
        /// One that looks like it.
        similar: Option<String>,
    },
    /// There is no such namespace.
    NoSuchNamespace {
        /// One that looks like it.
        similar: Option<String>,
    },
}

/// Explains why nothing is offered under a name.
pub(crate) fn absence(namespace: &str, name: &str) -> Absence {
    let wanted = (namespace, name);
    if offered().any(|function| function == wanted) {
        return Absence::Function;
    }
    if not_offered().any(|function| function == wanted) {
        return Absence::NotYet;
    }
    if let Some(feature) = left_out(namespace, name) {
        return Absence::LeftOut(feature);
    }
    let interface = || offered().chain(not_offered());
    let names = interface().filter(|(known, _)| *known == namespace);
    let mut names = names.map(|(_, name)| name).peekable();
    match names.peek() {
        Some(_) => Absence::NoSuchName {
            similar: most_similar(name, names).map(|similar| format!("{namespace}::{similar}")),
        },
        None => Absence::NoSuchNamespace {
            similar: most_similar(namespace, interface().map(|(known, _)| known))
                .map(str::to_owned),
        },
    }
}

/// The feature that would register a function, if this build was made without it.
pub(crate) fn left_out(namespace: &str, name: &str) -> Option<Feature> {
    let feature = Feature::of_function(namespace, name);
    feature.filter(|feature| !feature.is_included())
}

/// Namespace and name of each function that is registered.
fn offered() -> impl Iterator<Item = (&'static str, &'static str)> {
    let functions = HOST_FUNCTIONS.iter();
    functions.map(|function| (function.namespace, function.name))
}

/// Namespace and name of each function of the interface that is not registered.
fn not_offered() -> impl Iterator<Item = (&'static str, &'static str)> {
    let namespaces = NOT_OFFERED.iter();
    namespaces.flat_map(|(namespace, names)| names.iter().map(|name| (*namespace, *name)))
}

/// The guest library that is known to declare an import with this type.
pub(crate) fn known_disagreement(namespace: &str, name: &str, ty: &str) -> Option<&'static str> {
    DISAGREEMENTS
        .contains(&(namespace, name, ty))
        .then_some("as-lunatic 0.12")
}

/// The library that a module was written with, told by what it exports
/// (ABI §16.2). The names stand in the bytes as they are.
pub(crate) fn guest_library(wasm: &[u8]) -> Option<String> {
    const RUST: &str = "_lunatic_spawn_by_index_";
    const ASSEMBLY_SCRIPT: &str = "__lunatic_process_bootstrap";
    if let Some(at) = find(wasm, RUST) {
        let version: String = wasm[at + RUST.len()..]
            .iter()
            .map(|byte| char::from(*byte))
            .take_while(|char| char.is_ascii_digit() || *char == '.')
            .collect();
        return Some(format!("the Rust crate `lunatic` {version}"));
    }
    find(wasm, ASSEMBLY_SCRIPT).map(|_| "the AssemblyScript package `as-lunatic`".to_string())
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, similar) = match self {
            Absence::Function => return f.write_str("offered as a function"),
            Absence::NotYet => {
                return f
                    .write_str("part of the interface, but not in this version of the runtime");
            }
            Absence::LeftOut(feature) => return LeftOut(*feature).fmt(f),
            Absence::NoSuchName { similar } => ("there is no such function", similar),
            Absence::NoSuchNamespace { similar } => ("there is no such namespace", similar),
        };
        match similar {
            Some(similar) => write!(f, "{what}; did you mean {similar}?"),
            None => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_and_what_is_make_whole_namespaces() {
        let count = |namespace| {
            let interface = offered().chain(not_offered());
            interface.filter(|(known, _)| *known == namespace).count()
        };
        // ABI §1.1.
        // Six of them are those of ABI §30.
        assert_eq!(count("lunatic::distributed"), 12 + 6);
        assert_eq!(count("lunatic::metrics"), 6);
        assert_eq!(count("wasi_snapshot_preview1"), 46);
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        let similar = Some("lunatic::process::sleep_ms".to_string());
        assert_eq!(
            absence("lunatic::process", "sleep"),
            Absence::NoSuchName { similar }
        );
    }

    #[test]
    fn what_is_offered_and_what_is_not_yet_are_told_apart() {
        assert_eq!(absence("lunatic::process", "spawn"), Absence::Function);
        let absence_of = absence("lunatic::distributed", "sign_node");
        assert_eq!(absence_of, Absence::NotYet);
        let similar = Some("lunatic::metrics".to_string());
        assert_eq!(
            absence("lunatic::metric", "counter"),
            Absence::NoSuchNamespace { similar }
        );
    }

    #[test]
    fn the_version_of_the_guest_library_is_read_from_its_export() {
        let wasm = b"....\x1e_lunatic_spawn_by_index_0.14.1\0\x05";
        assert_eq!(
            guest_library(wasm).as_deref(),
            Some("the Rust crate `lunatic` 0.14.1")
        );
    }
}
