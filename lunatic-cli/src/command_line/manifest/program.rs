//! A program: its module and what it is given.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use crate::Config;
use lunatic_net::{Rule, Rules};
use toml::de::DeValue;

use crate::command_line::features::Feature;
use crate::command_line::grants::{self, Dir};
use crate::command_line::manifest::ParseContext;
use crate::command_line::manifest::application::Program;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::command_line::manifest::limits;
use crate::command_line::manifest::table::{Table, Value, wrong_type};
use crate::command_line::manifest::value::{integer, memory, name, parsed, text, texts};

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
    "limits",
    "sqlite",
];

/// The entry of a program (ABI §16.1).
const START: &str = "_start";

/// Reads what a table says of a program.
///
/// It is given what the table names and nothing else: unlike a program on the
/// command line it has no directory, no environment and no network by itself.
pub(super) fn read(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Program> {
    let module = table.read("module", diagnostics, name);
    let export = table.read("export", diagnostics, name);
    let mut config = Config::trusted();
    read_args(table, module.as_ref(), &mut config, diagnostics);
    read_environment(table, context, &mut config, diagnostics);
    let dirs = read_dirs(table, context, &mut config, diagnostics);
    read_network(table, &mut config, diagnostics);
    let max_memory = table.read("max_memory", diagnostics, memory);
    if let Some(max_memory) = &max_memory {
        let default = config.process.max_memory;
        config.process.max_memory = max_memory.value.min(default);
    }
    config.process.max_fuel = table
        .read("max_fuel", diagnostics, |key, value| {
            integer(key, value, 1, u64::MAX)
        })
        .and_then(NonZeroU64::new);

    limits::read(table, &mut config, diagnostics);

    let module = module?;
    let export = export.unwrap_or_else(|| Located {
        value: START.to_owned(),
        span: module.span.clone(),
    });
    Some(Program {
        module: Located {
            value: context.directory.join(&module.value),
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
    diagnostics: &mut Diagnostics,
) {
    let name = module.map(|module| {
        let path = Path::new(&module.value);
        let name = path.file_name().unwrap_or(path.as_os_str());
        Located {
            value: name.to_string_lossy().into_owned(),
            span: module.span.clone(),
        }
    });
    let args = list(table, "args", diagnostics);
    for arg in name.into_iter().chain(args) {
        let added = config.wasi_mut().add_arg(&arg.value);
        diagnostics.take(added.map_err(|error| Diagnostic::new(arg.span, error)));
    }
}

/// `env` is a table of variables, `inherit_env` the names of those to pass on, or
/// `true` for all.
fn read_environment(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    config: &mut Config,
    diagnostics: &mut Diagnostics,
) {
    let mut variables = Vec::new();
    if let Some(value) = table.value("inherit_env") {
        let read = inherited(value, context, diagnostics);
        variables.extend(diagnostics.take(read).unwrap_or_default());
    }
    if let Some(value) = table.value("env") {
        let read = environment(value, diagnostics);
        variables.extend(diagnostics.take(read).unwrap_or_default());
    }
    let span = table.key_span("env").or(table.key_span("inherit_env"));
    for (key, value) in grants::last_of_each(variables) {
        let added = config.wasi_mut().add_env(&key, &value);
        let span = span.clone().unwrap_or_default();
        diagnostics.take(added.map_err(|error| Diagnostic::new(span, error)));
    }
}

fn inherited(
    value: Value<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let names = match value.get_ref() {
        DeValue::Boolean(true) => return Ok(context.variables.clone()),
        DeValue::Boolean(false) => return Ok(Vec::new()),
        DeValue::Array(_) => texts("inherit_env", value, diagnostics)?,
        other => {
            let wanted = "true, false, or a list of names";
            return Err(wrong_type("inherit_env", wanted, other, value.span()));
        }
    };
    let is_named = |key: &str| names.iter().any(|name| name.value == key);
    let variables = context.variables.iter();
    Ok(variables
        .filter(|(key, _)| is_named(key))
        .cloned()
        .collect())
}

fn environment(
    value: Value<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let DeValue::Table(entries) = value.get_ref() else {
        let diagnostic = wrong_type("env", "a table", value.get_ref(), value.span());
        return Err(diagnostic.help("write env = { KEY = \"value\" }"));
    };
    let mut variables = Vec::new();
    for (key, value) in entries.iter() {
        let name = key.get_ref().as_ref();
        if name.is_empty() || name.contains('=') {
            let what = format!("`{name}` cannot be the name of an environment variable");
            diagnostics.push(Diagnostic::new(key.span(), what));
        }
        if let Some(text) = diagnostics.take(text(name, value)) {
            variables.push((name.to_owned(), text.value));
        }
    }
    Ok(variables)
}

/// As `--dir`; the path of the host begins at the manifest.
fn read_dirs(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    config: &mut Config,
    diagnostics: &mut Diagnostics,
) -> Vec<Located<PathBuf>> {
    let mut dirs = Vec::new();
    for text in list(table, "dirs", diagnostics) {
        let Some(dir) = diagnostics.take(parsed::<Dir>(&text)) else {
            continue;
        };
        let host = context.directory.join(&dir.host);
        let added = config
            .wasi_mut()
            .add_dir(host.clone(), dir.guest, dir.access);
        diagnostics.take(added.map_err(|error| Diagnostic::new(text.span.clone(), error)));
        dirs.push(Located {
            value: host,
            span: text.span,
        });
    }
    dirs
}

/// As `--allow-net` and `--deny-net`, but without either nothing is allowed.
fn read_network(table: &mut Table<'_>, config: &mut Config, diagnostics: &mut Diagnostics) {
    table.require("allow_net", Feature::Net, diagnostics);
    let mut rules = |key| -> Vec<Rule> {
        list(table, key, diagnostics)
            .iter()
            .filter_map(|text| diagnostics.take(parsed(text)))
            .collect()
    };
    let allow = Some(rules("allow_net"));
    let deny = rules("deny_net");
    config.narrow_net(Rules { allow, deny });
}

pub(super) fn list(
    table: &mut Table<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Vec<Located<String>> {
    let Some(value) = table.value(key) else {
        return Vec::new();
    };
    let read = texts(key, value, diagnostics);
    diagnostics.take(read).unwrap_or_default()
}
