//! What is read of a module.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lunatic_engine::ModuleInfo;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use serde::Serialize;
use wasmparser::{
    BinaryReaderError, Encoding, ExternalKind, KnownCustom, Name, Parser, Payload,
    ProducersFieldValue, TypeRef,
};

use crate::command_line::interface;

/// Names of one list that are shown; the others are counted.
const SHOWN: usize = 200;

/// The prefix of an export that is a test (ABI §19), and of an entry for another version
/// (ABI §27).
const TEST: &str = "#lunatic_test_";
const ENTRY: &str = "_lunatic_reload_";

/// What can be told of a file.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    /// The size of the binary, or of the file if it is no module.
    bytes: usize,
    /// Nothing if it cannot be read to its end as a module.
    #[serde(flatten)]
    contents: Option<Contents>,
    /// Why it is refused, if it is.
    pub(super) refused: Option<String>,
}

/// What can be told of a module without running it.
#[derive(Debug, Default, Serialize)]
struct Contents {
    /// The name that the module gives itself.
    name: Option<String>,
    /// The tools that made it, with their versions.
    made_by: Vec<String>,
    /// The library it was written with.
    guest_library: Option<String>,
    /// What it can only do if it is allowed to or given something.
    needs: Vec<Need>,
    /// Names by namespace.
    imports: BTreeMap<String, Vec<String>>,
    /// Names of functions, without those of tests.
    functions: Vec<String>,
    /// How many of the exports are tests.
    tests: usize,
    /// Whether it is a program: it has a `_start`.
    is_program: bool,
    /// Bytes of linear memory at first.
    memory_bytes: u64,
    /// Bytes that a process takes at first, at least.
    process_bytes: u64,
    /// Whether guest code runs, or a segment is checked, when an instance is made.
    start_may_fail: bool,
    /// Whether its processes can offer their state to another version.
    offers_state: bool,
    /// Entries that take processes over: `VERSION_KIND`.
    takes_over: Vec<String>,
}

/// A right or a thing that a module asks for by an import.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Need {
    what: &'static str,
    /// The flag of `lunatic run` for it.
    flag: Option<&'static str>,
}

/// What an import is for, by its namespace and the beginnings of its name.
const NEEDS: &[(&str, &[&str], Need)] = &[
    (
        "wasi_snapshot_preview1",
        &["path_", "fd_prestat_", "fd_readdir"],
        need("files in directories", Some("--dir")),
    ),
    (
        "wasi_snapshot_preview1",
        &["environ_"],
        need("environment variables", Some("--env")),
    ),
    (
        "lunatic::networking",
        &[""],
        need("the network", Some("--allow-net")),
    ),
    (
        "lunatic::sqlite",
        &[""],
        need("databases in directories", Some("--dir")),
    ),
    (
        "lunatic::process",
        &["spawn"],
        need("other processes", Some("--max-processes")),
    ),
    (
        "lunatic::process",
        &["compile_module"],
        need("modules that it brings along", None),
    ),
    ("lunatic::supervisor", &[""], need("supervisors", None)),
    (
        "lunatic::distributed",
        // The `lunatic` crate imports the others whether a program uses them or not.
        &[
            "nodes_count",
            "get_nodes",
            "exec_lookup_nodes",
            "copy_lookup_nodes_results",
            "spawn_link",
            "monitor_nodes",
            "find_node",
            "node_name",
            "exists",
        ],
        need("other nodes", None),
    ),
    ("lunatic::global", &[""], need("other nodes", None)),
    ("lunatic::reload", &[""], need("reloading", None)),
];

const fn need(what: &'static str, flag: Option<&'static str>) -> Need {
    Need { what, flag }
}

impl Description {
    /// What the bytes say, binary or text.
    pub(super) fn of(bytes: &[u8]) -> Description {
        let wasm = wat::parse_bytes(bytes);
        let contents = wasm.as_ref().ok().and_then(|wasm| Contents::of(wasm));
        Description {
            bytes: wasm.map_or(bytes.len(), |wasm| wasm.len()),
            contents,
            refused: None,
        }
    }

    /// The same for people.
    pub(super) fn shown(&self, file: &str) -> String {
        let mut text = format!("{} ({})", line(file), size(self.bytes as u64));
        if let Some(contents) = &self.contents {
            contents.show(&mut text);
        }
        let verdict = match self.refused {
            None => "accepted",
            Some(_) => "refused, see below",
        };
        add(&mut text, "verdict", verdict);
        text
    }
}

/// Adds a line.
fn add(text: &mut String, what: &str, value: &str) {
    let _ = write!(text, "\n  {what:<11} {}", line(value));
}

impl Contents {
    /// What a binary says; nothing if it is no module, or not a whole one.
    fn of(wasm: &[u8]) -> Option<Contents> {
        let mut contents = Contents {
            guest_library: interface::guest_library(wasm),
            ..Contents::default()
        };
        let mut is_module = false;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.ok()?;
            if let Payload::Version { encoding, .. } = payload {
                is_module = encoding == Encoding::Module;
            }
            contents.read(payload).ok()?;
        }
        if !is_module {
            return None;
        }
        if let Ok(info) = ModuleInfo::of(wasm) {
            contents.memory_bytes = info.memory_minimum;
            contents.process_bytes = info.instance_bytes();
            contents.start_may_fail = info.start_may_fail;
        }
        let imports = &contents.imports;
        let needs = NEEDS.iter().filter(|(namespace, prefixes, _)| {
            let names = imports.get(*namespace).into_iter().flatten();
            let mut names = names.map(String::as_str);
            names.any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        });
        let needs = needs.map(|(_, _, Need { what, flag })| need(what, *flag));
        contents.needs = needs.collect();
        contents.needs.dedup();
        let mut reloading = imports.get("lunatic::reload").into_iter().flatten();
        contents.offers_state = reloading.any(|name| name == "offer");
        Some(contents)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let names = self.imports.entry(import.module.to_owned()).or_default();
                    names.push(match import.ty {
                        TypeRef::Func(_) => import.name.to_owned(),
                        _ => format!("{} (no function)", import.name),
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.export(export.name);
                    }
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => {
                    for name in names {
                        if let Name::Module { name, .. } = name? {
                            self.name = Some(name.to_owned());
                        }
                    }
                }
                KnownCustom::Producers(fields) => {
                    for field in fields {
                        for value in field?.values {
                            let ProducersFieldValue { name, version } = value?;
                            self.made_by
                                .push(format!("{name} {version}").trim().to_owned());
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn export(&mut self, name: &str) {
        if name.starts_with(TEST) {
            self.tests += 1;
            return;
        }
        self.is_program |= name == "_start";
        if let Some(entry) = name.strip_prefix(ENTRY) {
            self.takes_over.push(entry.to_owned());
        }
        self.functions.push(name.to_owned());
    }

    /// Adds a line for each thing that people may want to know.
    fn show(&self, text: &mut String) {
        let mut add = |what: &str, value: String| add(text, what, &value);
        if let Some(name) = &self.name {
            add("name", name.clone());
        }
        if !self.made_by.is_empty() {
            add("made by", self.made_by.join(", "));
        }
        if let Some(library) = &self.guest_library {
            add("library", library.clone());
        }
        let kind = match (self.is_program, self.tests) {
            (true, 0) => "a program: `lunatic run` calls `_start`".to_owned(),
            (_, tests) if tests > 0 => format!("tests: `lunatic test` runs {tests}"),
            _ => "a library: `lunatic run --invoke` calls its functions".to_owned(),
        };
        add("is", kind);
        add(
            "takes",
            format!(
                "{} of memory at first, {} for a process in all",
                size(self.memory_bytes),
                size(self.process_bytes)
            ),
        );
        add(
            "starts",
            match self.start_may_fail {
                true => "after a start function or a check of segments, which may fail",
                false => "at once: an instance can always be made",
            }
            .to_owned(),
        );
        let needs: Vec<_> = self
            .needs
            .iter()
            .map(|need| match need.flag {
                Some(flag) => format!("{} ({flag})", need.what),
                None => need.what.to_owned(),
            })
            .collect();
        add("needs", or_nothing(needs));
        for (namespace, names) in &self.imports {
            add("imports", format!("{namespace}: {}", listed(names)));
        }
        add("exports", or_nothing(vec![listed(&self.functions)]));
        add(
            "reload",
            match (self.offers_state, self.takes_over.is_empty()) {
                (false, true) => "is replaced as a whole".to_owned(),
                (true, true) => "its processes offer their state".to_owned(),
                (_, false) => {
                    let entries: Vec<_> = self.takes_over.iter().map(|it| entry(it)).collect();
                    format!("takes over {}", entries.join(", "))
                }
            },
        );
    }
}

/// Which processes an entry takes over.
///
/// - `name`: `VERSION_KIND`.
fn entry(name: &str) -> String {
    match name.split_once('_') {
        Some((version, kind)) => format!("processes of kind {kind} with state version {version}"),
        None => name.to_owned(),
    }
}

fn or_nothing(list: Vec<String>) -> String {
    let text = list.join(", ");
    match text.is_empty() {
        true => "nothing".to_owned(),
        false => text,
    }
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let text = shown.join(", ");
    match names.len() > SHOWN {
        true => format!("{text} and {} more", names.len() - SHOWN),
        false => text,
    }
}

/// The guest has chosen some of it.
fn line(text: &str) -> String {
    on_one_line(text, MAX_LOGGED_BYTES).to_string()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
