//! Checks that host functions are documented and imported with the types with which
//! they are declared.

mod c_imports;
mod declarations;
mod documents;
mod function;
mod not_offered;
mod rust_imports;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use self::documents::Documented;
use self::function::{Function, Place, Signature};

/// The documents of the interface.
const DOCUMENTS: [&str; 2] = ["docs/abi.md", "docs/abi-extensions.md"];

/// Which functions of the interface are not registered yet.
const NOT_OFFERED: &str = "lunatic-cli/src/command_line/interface/not_offered.rs";

/// The header with the imports for guests in C.
const C_HEADER: &str = "guests/c/lunatic.h";

/// The document whose functions of these namespaces guests in C find in the header, all of them.
const COMPLETE_IN_C: (&str, [&str; 5]) = (
    DOCUMENTS[1],
    [
        "lunatic::distributed",
        "lunatic::global",
        "lunatic::group",
        "lunatic::process",
        "lunatic::reload",
    ],
);

/// A file of the workspace: its path from the root, and its text.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// The declarations to compare.
#[derive(Debug, Default)]
struct Interface {
    declared: Vec<Function>,
    documented: Vec<Documented>,
    /// The functions that are known to be missing.
    not_offered: Vec<Function>,
    /// The functions that guests import.
    imported: Vec<Function>,
}

/// All that is wrong with the host functions in `files`: the Rust files of the
/// workspace, the documents, and the header for C.
///
/// # Errors
///
/// Fails if a file cannot be read as what it is.
pub(super) fn problems(files: &[File]) -> Result<Vec<String>> {
    let mut interface = Interface::default();
    let mut problems = Vec::new();
    for File { path, text } in files {
        let in_file = || format!("cannot read the host functions in {path}");
        if path.ends_with(".rs") && path.contains("/src/") {
            let declared = declarations::read(path, text).with_context(in_file)?;
            interface.declared.extend(declared);
            let imported = rust_imports::read(path, text).with_context(in_file)?;
            interface.imported.extend(imported);
        }
        if path == NOT_OFFERED {
            interface.not_offered = not_offered::read(path, text).with_context(in_file)?;
        }
        if path == C_HEADER {
            let imported = c_imports::read(path, text).with_context(in_file)?;
            interface.imported.extend(imported);
        }
        if DOCUMENTS.contains(&path.as_str()) {
            let (documented, unreadable) = documents::read(path, text);
            interface.documented.extend(documented);
            problems.extend(unreadable);
        }
    }
    problems.extend(interface.problems());
    Ok(problems)
}

impl Interface {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let declared = by_name(&self.declared, "declared", &mut problems);
        let not_offered = by_name(&self.not_offered, "listed", &mut problems);
        let rows = self
            .documented
            .iter()
            .map(|documented| &documented.function);
        let documented = by_name(rows, "documented", &mut problems);

        for function in declared.values() {
            if !documented.contains_key(&function.name()) {
                let documents = DOCUMENTS.join(" or ");
                problems.push(format!("{function}: is registered, but not in {documents}"));
            }
        }
        for Documented { function, offered } in &self.documented {
            let declared = declared.get(&function.name());
            problems.extend(match (offered, declared) {
                (true, None) => Some(format!("{function}: is documented, but not registered")),
                (false, Some(_)) => Some(format!(
                    "{function}: is documented as not offered yet, but registered"
                )),
                (_, Some(declared)) => otherwise(function, declared),
                (false, None) => None,
            });
            if !offered && !not_offered.contains_key(&function.name()) {
                problems.push(format!(
                    "{function}: is documented as not offered yet, but not in {NOT_OFFERED}"
                ));
            }
        }
        for function in not_offered.values() {
            let row = self.documented.iter();
            let mut row = row.filter(|row| row.function.name() == function.name());
            if row.next().is_none_or(|row| row.offered) {
                problems.push(format!("{function}: is not documented as not offered yet"));
            }
        }
        for function in &self.imported {
            problems.extend(match declared.get(&function.name()) {
                None => Some(format!("{function}: is imported, but not registered")),
                Some(declared) => otherwise(function, declared),
            });
        }
        problems.extend(self.missing_in_c());
        problems
    }

    /// Functions that the header for C should have.
    fn missing_in_c(&self) -> impl Iterator<Item = String> {
        let (document, namespaces) = COMPLETE_IN_C;
        let in_c = self.imported.iter();
        let in_c = in_c.filter(|function| function.place.path == C_HEADER);
        let in_c: BTreeSet<_> = in_c.map(Function::name).collect();
        let missing = self.documented.iter().filter(move |documented| {
            let function = &documented.function;
            documented.offered
                && function.place.path == document
                && namespaces.contains(&function.namespace.as_str())
                && !in_c.contains(&function.name())
        });
        missing.map(|documented| format!("{}: is missing in {C_HEADER}", documented.function))
    }
}

/// That a function has another type here than where it is declared, if it has.
fn otherwise(function: &Function, declared: &Function) -> Option<String> {
    let (here, there) = (&function.signature, &declared.signature);
    (here != there).then(|| {
        let place = &declared.place;
        format!("{function}: has the type {here}, but {there} at {place}")
    })
}

fn by_name<'a>(
    functions: impl IntoIterator<Item = &'a Function>,
    what: &str,
    problems: &mut Vec<String>,
) -> BTreeMap<(&'a str, &'a str), &'a Function> {
    let mut by_name = BTreeMap::new();
    for function in functions {
        if let Some(first) = by_name.insert(function.name(), function) {
            let first: &Function = first;
            let place = &first.place;
            problems.push(format!("{function}: is {what} at {place} too"));
        }
    }
    by_name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::{C_HEADER, DOCUMENTS, File, NOT_OFFERED, problems};

    const DECLARATIONS: &str = r#"
        host_functions! {
            pub fn add_to_linker<T: ProcessHost>(Linker<T>);
            pub const HOST_FUNCTIONS;

            in "lunatic::process" {
                fn link(tag: i64, process_id: u64);
                async fn spawn(name_ptr: u32, name_len: u32) -> u32;
            }
        }"#;

    const DOCUMENT: &str = "
## 3. `lunatic::process`

| Function | Effect |
|---|---|
| `link(tag: i64, process_id: i64)` | Links. |
| `spawn(name_ptr: i32, name_len: i32) -> i32` | Spawns. |

## 10. `lunatic::sqlite`

**Not offered yet.**

| Function | Effect |
|---|---|
| `open(path_ptr: i32, path_len: i32) -> i64` | Opens. |
";

    const MISSING: &str =
        r#"const NOT_OFFERED: &[(&str, &[&str])] = &[("lunatic::sqlite", &["open"])];"#;

    const BINDINGS: &str = r#"
        #[link(wasm_import_module = "lunatic::process")]
        extern "C" {
            fn link(tag: i64, process: u64);
        }"#;

    const HEADER: &str = r#"
        LUNATIC_IMPORT("lunatic::process", "spawn")
        uint32_t lunatic_spawn(const char *name, size_t name_len);"#;

    /// The problems after `mistake` has taken the place of `right` in one of the files.
    fn found(right: &str, mistake: &str) -> Vec<String> {
        let files = [
            ("lunatic-process/src/guest.rs", DECLARATIONS),
            (DOCUMENTS[0], DOCUMENT),
            (NOT_OFFERED, MISSING),
            ("lunatic-guest/src/sys.rs", BINDINGS),
            (C_HEADER, HEADER),
        ];
        let occurrences = files.iter().filter(|(_, text)| text.contains(right));
        assert_eq!(occurrences.count(), 1, "{right}");
        let files = files.map(|(path, text)| File {
            path: path.to_owned(),
            text: text.replace(right, mistake),
        });
        problems(&files).unwrap()
    }

    #[track_caller]
    fn assert_found(right: &str, mistake: &str, expected: &[&str]) {
        assert_eq!(found(right, mistake), expected);
    }

    #[test]
    fn what_agrees_is_no_problem() {
        assert_found("Links.", "Links two processes.", &[]);
    }

    #[test]
    fn a_registered_function_is_documented() {
        assert_found(
            "| `link(tag: i64, process_id: i64)` | Links. |\n",
            "",
            &[
                "lunatic-process/src/guest.rs:7: `lunatic::process::link`: is registered, but not \
               in docs/abi.md or docs/abi-extensions.md",
            ],
        );
    }

    #[test]
    fn a_documented_function_is_registered() {
        assert_found(
            "| Spawns. |",
            "| Spawns. |\n| `fork() -> i64` | Forks. |",
            &["docs/abi.md:8: `lunatic::process::fork`: is documented, but not registered"],
        );
    }

    #[test]
    fn a_function_is_documented_with_its_type() {
        assert_found(
            "`link(tag: i64, process_id: i64)`",
            "`link(tag: i64, process_id: i32) -> i32`",
            &[
                "docs/abi.md:6: `lunatic::process::link`: has the type (i64, i32) -> i32, but \
               (i64, i64) at lunatic-process/src/guest.rs:7",
            ],
        );
    }

    #[test]
    fn a_function_is_documented_once() {
        assert_found(
            "| Spawns. |",
            "| Spawns. |\n| `link(tag: i64, process_id: i64)` | Links. |",
            &["docs/abi.md:8: `lunatic::process::link`: is documented at docs/abi.md:6 too"],
        );
    }

    #[test]
    fn what_is_not_offered_is_listed_and_said_to_be_so() {
        assert_found(
            "| Opens. |",
            "| Opens. |\n| `execute() -> i32` | Executes. |",
            &[
                "docs/abi.md:16: `lunatic::sqlite::execute`: is documented as not offered yet, \
               but not in lunatic-cli/src/command_line/interface/not_offered.rs",
            ],
        );
        assert_found(
            r#"&["open"]"#,
            r#"&["open", "execute"]"#,
            &["lunatic-cli/src/command_line/interface/not_offered.rs:1: \
               `lunatic::sqlite::execute`: is not documented as not offered yet"],
        );
        assert_found(
            "**Not offered yet.**",
            "",
            &[
                "docs/abi.md:15: `lunatic::sqlite::open`: is documented, but not registered",
                "lunatic-cli/src/command_line/interface/not_offered.rs:1: \
                 `lunatic::sqlite::open`: is not documented as not offered yet",
            ],
        );
    }

    #[test]
    fn what_is_registered_is_not_said_to_be_missing() {
        assert_found(
            "## 3. `lunatic::process`",
            "## 3. `lunatic::process`\n**Not offered yet.**",
            &[
                "docs/abi.md:7: `lunatic::process::link`: is documented as not offered yet, but \
                 registered",
                "docs/abi.md:7: `lunatic::process::link`: is documented as not offered yet, but \
                 not in lunatic-cli/src/command_line/interface/not_offered.rs",
                "docs/abi.md:8: `lunatic::process::spawn`: is documented as not offered yet, but \
                 registered",
                "docs/abi.md:8: `lunatic::process::spawn`: is documented as not offered yet, but \
                 not in lunatic-cli/src/command_line/interface/not_offered.rs",
            ],
        );
    }

    #[test]
    fn rust_guests_import_what_is_registered_with_its_type() {
        assert_found(
            "fn link(tag: i64, process: u64);",
            "fn link(tag: i64, process: *const u8);",
            &[
                "lunatic-guest/src/sys.rs:4: `lunatic::process::link`: has the type (i64, i32), \
               but (i64, i64) at lunatic-process/src/guest.rs:7",
            ],
        );
        assert_found(
            "fn link(tag: i64, process: u64);",
            "fn links(tag: i64, process: u64);",
            &[
                "lunatic-guest/src/sys.rs:4: `lunatic::process::links`: is imported, but not \
               registered",
            ],
        );
    }

    #[test]
    fn c_guests_import_what_is_registered_with_its_type() {
        assert_found(
            "uint32_t lunatic_spawn",
            "uint64_t lunatic_spawn",
            &[
                "guests/c/lunatic.h:2: `lunatic::process::spawn`: has the type (i32, i32) -> i64, \
               but (i32, i32) -> i32 at lunatic-process/src/guest.rs:8",
            ],
        );
        assert_found(
            r#"LUNATIC_IMPORT("lunatic::process", "spawn")"#,
            r#"LUNATIC_IMPORT("lunatic::process", "fork")"#,
            &["guests/c/lunatic.h:2: `lunatic::process::fork`: is imported, but not registered"],
        );
    }

    #[test]
    fn what_the_extensions_add_to_some_namespaces_is_there_for_c_guests() {
        let extension = |namespace: &str| File {
            path: DOCUMENTS[1].to_owned(),
            text: format!("## 29. `{namespace}`\n| `find(len: i32)` | |"),
        };
        let declaration = |namespace: &str| File {
            path: "lunatic-a/src/guest.rs".to_owned(),
            text: format!(
                "host_functions! {{ fn add_to_linker(Linker<State>); const HOST_FUNCTIONS; \
                 in \"{namespace}\" {{ fn find(len: u32); }} }}"
            ),
        };
        let found = |namespace| {
            let files = [extension(namespace), declaration(namespace)];
            problems(&files).unwrap()
        };
        let missing = "docs/abi-extensions.md:2: `lunatic::global::find`: is missing in \
                       guests/c/lunatic.h";
        assert_eq!(found("lunatic::global"), [missing]);
        assert_eq!(found("lunatic::sqlite"), [""; 0]);
    }
}
