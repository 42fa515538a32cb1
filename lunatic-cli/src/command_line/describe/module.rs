//! What is read of a module.

use std::collections::{BTreeMap, BTreeSet};
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

/// What can be told of a module without running it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Description {
    /// Whether it could be read to its end, and is no component. If not, the rest says nothing.
    is_module: bool,
    /// Bytes of the binary.
    bytes: usize,
    /// The name that the module gives itself.
    name: Option<String>,
    /// The tools that made it, with their versions.
    made_by: Vec<String>,
    /// The library it was written with.
    guest_library: Option<String>,
    /// What it can only do if it is allowed to or given something.
    needs: Vec<Need>,
    /// Names by namespace.
    imports: BTreeMap<String, BTreeSet<String>>,
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
    /// Why it is refused, if it is.
    pub(super) refused: Option<String>,
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
    // Of the others the `lunatic` crate imports some into each program.
    (
        "lunatic::distributed",
        &[
            "nodes_count",
            "get_nodes",
            "exec_lookup_nodes",
            "copy_lookup_nodes_results",
            "spawn_link",
            "exists",
            "node_name",
            "find_node",
            "monitor_nodes",
        ],
        need("other nodes", None),
    ),
    ("lunatic::reload", &[""], need("reloading", None)),
];

const fn need(what: &'static str, flag: Option<&'static str>) -> Need {
    Need { what, flag }
}

impl Description {
    /// What the bytes say, binary or text; as far as that can be read.
    pub(super) fn of(bytes: &[u8]) -> Description {
        let mut description = Description {
            bytes: bytes.len(),
            ..Description::default()
        };
        let Ok(wasm) = wat::parse_bytes(bytes) else {
            return description;
        };
        description.bytes = wasm.len();
        description.guest_library = interface::guest_library(&wasm);
        let mut is_component = false;
        for payload in Parser::new(0).parse_all(&wasm) {
            if let Ok(Payload::Version { encoding, .. }) = &payload {
                is_component |= *encoding == Encoding::Component;
            }
            description.is_module = matches!(payload, Ok(Payload::End(_))) && !is_component;
            if payload
                .and_then(|payload| description.read(payload))
                .is_err()
            {
                break;
            }
        }
        if let Ok(info) = ModuleInfo::of(&wasm) {
            description.memory_bytes = info.memory_minimum;
            description.process_bytes = info.instance_bytes();
            description.start_may_fail = info.start_may_fail;
        }
        let imports = &description.imports;
        let needs = NEEDS.iter().filter(|(namespace, prefixes, _)| {
            let names = imports.get(*namespace).into_iter().flatten();
            let mut names = names.map(String::as_str);
            names.any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        });
        description.needs = needs
            .map(|(_, _, Need { what, flag })| need(what, *flag))
            .collect();
        let mut reloading = imports.get("lunatic::reload").into_iter().flatten();
        description.offers_state = reloading.any(|name| name == "offer");
        description
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let names = self.imports.entry(import.module.to_owned()).or_default();
                    names.insert(match import.ty {
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

    /// The same for people.
    pub(super) fn shown(&self, file: &str) -> String {
        let mut text = format!("{} ({})", line(file), size(self.bytes as u64));
        let mut add = |what: &str, value: String| {
            let _ = write!(text, "\n  {what:<11} {}", line(&value));
        };
        if !self.is_module {
            add("is", "no module that can be read to its end".to_owned());
            return text;
        }
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
                    let entries = self.takes_over.iter().filter_map(|it| it.split_once('_'));
                    let entries = entries
                        .map(|(version, kind)| format!("{kind} with a state of version {version}"));
                    let entries: Vec<_> = entries.collect();
                    format!("takes over processes of the kind {}", entries.join(", "))
                }
            },
        );
        if self.refused.is_none() {
            add("verdict", "accepted".to_owned());
        } else {
            add("verdict", "refused, see below".to_owned());
        }
        text
    }
}

fn or_nothing(list: Vec<String>) -> String {
    let text = list.join(", ");
    match text.is_empty() {
        true => "nothing".to_owned(),
        false => text,
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a String, IntoIter: ExactSizeIterator>) -> String {
    let names = names.into_iter();
    let count = names.len();
    let shown = names.take(SHOWN).cloned().collect::<Vec<_>>();
    let text = shown.join(", ");
    match count > SHOWN {
        true => format!("{text} and {} more", count - SHOWN),
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
