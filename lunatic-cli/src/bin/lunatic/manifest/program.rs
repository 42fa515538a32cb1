//! A program: its module and what it is given.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use lunatic_cli::Config;
use lunatic_net::{Rule, Rules};
use toml::de::DeValue;

use crate::grants::{self, Dir};
use crate::manifest::Surroundings;
use crate::manifest::application::Program;
use crate::manifest::complaint::{Complaint, Complaints, Located};
use crate::manifest::table::{Table, Value, wrong_type};
use crate::manifest::value::{integer, memory, name, parsed, text, texts};

/// The keys that only a program has.
pub(super) const KEYS: &[&str] = &[
    "module",
    "export",
    "args",
    "env",
    "inherit_env",
    "dirs",
    "allow_net",
    "deny_net",
    "max_memory",
    "max_fuel",
];

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// Reads what a table says of a program.
///
/// It is given what the table names and nothing else: unlike a program on the
/// command line it has no directory, no environment and no network by itself.
pub(super) fn read(
    table: &mut Table<'_>,
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Option<Program> {
    let module = table.read("module", complaints, name);
    let export = table.read("export", complaints, name);
    let mut config = Config::trusted();
    read_args(table, module.as_ref(), &mut config, complaints);
    read_environment(table, surroundings, &mut config, complaints);
    let dirs = read_dirs(table, surroundings, &mut config, complaints);
    read_network(table, &mut config, complaints);
    let max_memory = table.read("max_memory", complaints, memory);
    if let Some(max_memory) = &max_memory {
        let default = config.process.max_memory;
        config.process.max_memory = max_memory.value.min(default);
    }
    config.process.max_fuel = table
        .read("max_fuel", complaints, |key, value| {
            integer(key, value, 1, u64::MAX)
        })
        .and_then(NonZeroU64::new);

    let module = module?;
    let export = export.unwrap_or_else(|| Located {
        value: START.to_owned(),
        span: module.span.clone(),
    });
    Some(Program {
        module: Located {
            value: surroundings.directory.join(&module.value),
            span: module.span,
        },
        export,
        config,
        dirs,
        max_memory,
    })
}

/// The first argument is the name of the file.
fn read_args(
    table: &mut Table<'_>,
    module: Option<&Located<String>>,
    config: &mut Config,
    complaints: &mut Complaints,
) {
    let name = module.map(|module| {
        let path = Path::new(&module.value);
        let name = path.file_name().unwrap_or(path.as_os_str());
        Located {
            value: name.to_string_lossy().into_owned(),
            span: module.span.clone(),
        }
    });
    let args = list(table, "args", complaints);
    for arg in name.into_iter().chain(args) {
        let added = config.wasi_mut().add_arg(&arg.value);
        complaints.take(added.map_err(|error| Complaint::new(arg.span, error)));
    }
}

/// `env` is a table of variables, `inherit_env` the names of those to pass on, or
/// `true` for all.
fn read_environment(
    table: &mut Table<'_>,
    surroundings: &Surroundings<'_>,
    config: &mut Config,
    complaints: &mut Complaints,
) {
    let mut variables = Vec::new();
    if let Some(value) = table.value("inherit_env") {
        let read = inherited(value, surroundings, complaints);
        variables.extend(complaints.take(read).unwrap_or_default());
    }
    if let Some(value) = table.value("env") {
        let read = environment(value, complaints);
        variables.extend(complaints.take(read).unwrap_or_default());
    }
    let span = table.key_span("env").or(table.key_span("inherit_env"));
    for (key, value) in grants::last_of_each(variables) {
        let added = config.wasi_mut().add_env(&key, &value);
        let span = span.clone().unwrap_or_default();
        complaints.take(added.map_err(|error| Complaint::new(span, error)));
    }
}

fn inherited(
    value: Value<'_>,
    surroundings: &Surroundings<'_>,
    complaints: &mut Complaints,
) -> Result<Vec<(String, String)>, Complaint> {
    let names = match value.get_ref() {
        DeValue::Boolean(true) => return Ok(surroundings.variables.clone()),
        DeValue::Boolean(false) => return Ok(Vec::new()),
        DeValue::Array(_) => texts("inherit_env", value, complaints)?,
        other => {
            let wanted = "true, false, or a list of names";
            return Err(wrong_type("inherit_env", wanted, other, value.span()));
        }
    };
    let is_named = |key: &str| names.iter().any(|name| name.value == key);
    let variables = surroundings.variables.iter();
    Ok(variables
        .filter(|(key, _)| is_named(key))
        .cloned()
        .collect())
}

fn environment(
    value: Value<'_>,
    complaints: &mut Complaints,
) -> Result<Vec<(String, String)>, Complaint> {
    let DeValue::Table(entries) = value.get_ref() else {
        let complaint = wrong_type("env", "a table", value.get_ref(), value.span());
        return Err(complaint.help("write env = { KEY = \"value\" }"));
    };
    let mut variables = Vec::new();
    for (key, value) in entries.iter() {
        let name = key.get_ref().as_ref();
        if name.is_empty() || name.contains('=') {
            let what = format!("`{name}` cannot be the name of an environment variable");
            complaints.push(Complaint::new(key.span(), what));
        }
        if let Some(text) = complaints.take(text(name, value)) {
            variables.push((name.to_owned(), text.value));
        }
    }
    Ok(variables)
}

/// As `--dir`; the path of the host begins at the manifest.
fn read_dirs(
    table: &mut Table<'_>,
    surroundings: &Surroundings<'_>,
    config: &mut Config,
    complaints: &mut Complaints,
) -> Vec<Located<PathBuf>> {
    let mut dirs = Vec::new();
    for text in list(table, "dirs", complaints) {
        let Some(dir) = complaints.take(parsed::<Dir>(&text)) else {
            continue;
        };
        let host = surroundings.directory.join(&dir.host);
        let added = config
            .wasi_mut()
            .add_dir(host.clone(), dir.guest, dir.access);
        complaints.take(added.map_err(|error| Complaint::new(text.span.clone(), error)));
        dirs.push(Located {
            value: host,
            span: text.span,
        });
    }
    dirs
}

/// As `--allow-net` and `--deny-net`, but without either nothing is allowed.
fn read_network(table: &mut Table<'_>, config: &mut Config, complaints: &mut Complaints) {
    let mut rules = |key| -> Vec<Rule> {
        list(table, key, complaints)
            .iter()
            .filter_map(|text| complaints.take(parsed(text)))
            .collect()
    };
    let allow = Some(rules("allow_net"));
    let deny = rules("deny_net");
    grants::narrow(config, Rules { allow, deny });
}

fn list(
    table: &mut Table<'_>,
    key: &'static str,
    complaints: &mut Complaints,
) -> Vec<Located<String>> {
    let Some(value) = table.value(key) else {
        return Vec::new();
    };
    let read = texts(key, value, complaints);
    complaints.take(read).unwrap_or_default()
}
