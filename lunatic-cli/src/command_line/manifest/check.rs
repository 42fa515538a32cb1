//! Looks at what a manifest names: modules, their exports, directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lunatic_engine::{MemoryLimits, Module};
use lunatic_error::with_causes;
use lunatic_wasi::{Access, WasiConfig};
use rustc_hash::FxHashMap;

use crate::command_line::diagnosis;
use crate::command_line::manifest::application::{Application, Program};
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::command_line::manifest::{Manifest, Parsed};
use crate::command_line::problem::Problem;
use crate::command_line::similar::most_similar;
use crate::{Runtime, State};

/// The modules of an application by their files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Modules(FxHashMap<PathBuf, Option<Module<State>>>);

impl Modules {
    /// The module of this file.
    pub(crate) fn get(&self, path: &Path) -> Option<&Module<State>> {
        self.0.get(path)?.as_ref()
    }

    /// Their names, by which they are reloaded.
    pub(crate) fn names(&self) -> BTreeMap<PathBuf, Arc<str>> {
        let modules = self.0.iter();
        let named = modules.filter_map(|(path, module)| {
            let name = module.as_ref()?.version_of()?;
            Some((path.clone(), name.clone()))
        });
        named.collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Compiles all modules, looks for what they are to export, and opens all
/// directories. What is wrong with these is told together with what is wrong with the
/// manifest itself.
pub(crate) async fn check(
    manifest: &Manifest<'_>,
    parsed: Parsed,
    runtime: &Runtime,
) -> Result<(Application, Modules), Problem> {
    let Parsed {
        application,
        mistakes: mut diagnostics,
    } = parsed;
    let mut modules = Modules::default();
    let mut dirs: Vec<&Located<PathBuf>> = Vec::new();
    let programs = application.top.programs();
    for program in &programs {
        load(&program.module, runtime, &mut modules, &mut diagnostics).await;
        // A directory that several are given is complained of once for each place.
        let new = |dir: &&Located<PathBuf>| !dirs.contains(dir);
        let new: Vec<_> = program.dirs.iter().filter(new).collect();
        dirs.extend(new);
    }
    let mut seen = Vec::new();
    for program in programs {
        if seen.contains(&&program.export) {
            continue;
        }
        seen.push(&program.export);
        if let Some(module) = modules.get(&program.module.value) {
            check_export(program, module, &mut diagnostics);
            check_memory(program, module, &mut diagnostics);
        }
    }
    for dir in dirs {
        check_dir(dir, &mut diagnostics).await;
    }
    match diagnostics.is_empty() {
        true => Ok((application, modules)),
        false => Err(manifest.tell(diagnostics)),
    }
}

async fn load(
    module: &Located<PathBuf>,
    runtime: &Runtime,
    modules: &mut Modules,
    diagnostics: &mut Diagnostics,
) {
    let path = &module.value;
    if modules.0.contains_key(path) {
        return;
    }
    let loaded = match diagnosis::read(path) {
        Ok(bytes) => diagnosis::load(runtime, path, bytes).await,
        // The path is taken from the manifest, and not from here.
        Err(problem) => Err(problem.help("the path is taken from the directory of the manifest")),
    };
    let about = |problem| Diagnostic::about(module.span.clone(), problem);
    let loaded = diagnostics.take(loaded.map_err(about));
    modules.0.insert(path.clone(), loaded);
}

fn check_export(program: &Program, module: &Module<State>, diagnostics: &mut Diagnostics) {
    let Located { value, span } = &program.export;
    let shown = program.module.value.display();
    let mut exports = module.exported_functions();
    let what = match exports.find(|(name, _)| name == value) {
        Some((_, true)) => return,
        Some((_, false)) => format!(
            "the function `{value}` of `{shown}` takes arguments or returns something; a process \
             begins with one that does neither"
        ),
        None => format!("`{shown}` exports no function `{value}`"),
    };
    let diagnostic = Diagnostic::new(span.clone(), what);
    let plain = module.exported_functions().filter(|(_, plain)| *plain);
    let similar = most_similar(value, plain.map(|(name, _)| name));
    diagnostics.push(match similar.filter(|similar| similar != value) {
        Some(similar) => diagnostic.help(format!("did you mean `{similar}`?")),
        None => diagnostic,
    });
}

fn check_memory(program: &Program, module: &Module<State>, diagnostics: &mut Diagnostics) {
    let max_memory = program.config.process.max_memory;
    let limits = MemoryLimits { max_memory };
    if let Err(exceeded) = module.info().check_limits(&limits) {
        let set = program.max_memory.as_ref().map(|limit| &limit.span);
        let span = set.unwrap_or(&program.module.span);
        diagnostics.push(Diagnostic::new(span.clone(), exceeded.to_string()));
    }
}

async fn check_dir(dir: &Located<PathBuf>, diagnostics: &mut Diagnostics) {
    let mut config = WasiConfig::default();
    let added = config.add_dir(&dir.value, ".", Access::ReadOnly);
    let span = || dir.span.clone();
    diagnostics.take(added.map_err(|error| Diagnostic::new(span(), error)));
    if let Err(error) = Arc::new(config).open().await {
        let what = with_causes(&error).to_string();
        let help = "the path is taken from the directory of the manifest";
        diagnostics.push(Diagnostic::new(span(), what).help(help));
    }
}
