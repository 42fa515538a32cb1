//! What a child of a manifest is given, for a program that is run or tested alone.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::Config;
use crate::command_line::manifest::{Manifest, Program};
use crate::command_line::problem::Problem;
use crate::command_line::similar::most_similar;

/// Whose rights a program gets, if not those of the command line.
#[derive(Debug, Args)]
#[command(next_help_heading = "What it is given")]
pub(crate) struct FromManifest {
    /// Give it what this manifest gives to a child: environment, directories, network,
    /// limits, and its arguments unless there are others.
    #[arg(long, value_name = "FILE", conflicts_with = "Grants")]
    manifest: Option<PathBuf>,

    /// The child: its name, or its path, as `kitchen/cook-1`. Without it, it is the one with
    /// this module, or the only one.
    #[arg(long = "as", value_name = "CHILD", requires = "manifest")]
    child: Option<String>,
}

impl FromManifest {
    /// Whether a manifest is named.
    pub(crate) fn is_given(&self) -> bool {
        self.manifest.is_some()
    }

    /// What the child is given; none if no manifest is named.
    ///
    /// - `module`: the file that is run.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be read, or it is not clear which child is meant.
    pub(crate) fn config(&self, module: &Path) -> Result<Option<Config>, Problem> {
        let Some(path) = &self.manifest else {
            return Ok(None);
        };
        let manifest = Manifest::read(path)?;
        let application = manifest.parse_faultless()?;
        let programs = application.top.named_programs();
        let found: Vec<_> = match &self.child {
            Some(child) => {
                let is_it = |path: &str| path == child || path.ends_with(&format!("/{child}"));
                programs.iter().filter(|(path, _)| is_it(path)).collect()
            }
            None => {
                let module = module.canonicalize();
                let is_it = |program: &Program| {
                    let own = program.module.value.canonicalize();
                    own.is_ok() && own.ok() == module.as_ref().ok().cloned()
                };
                let with_module = programs.iter().filter(|(_, program)| is_it(program));
                let found: Vec<_> = with_module.collect();
                match (found.is_empty(), programs.len()) {
                    (true, 1) => programs.iter().collect(),
                    _ => found,
                }
            }
        };
        let all = || programs.iter().map(|(path, _)| path.as_str());
        let Some(((_, first), more)) = found.split_first() else {
            return Err(self.not_found(path, all()));
        };
        // Children by the dozen, of one table, are given the same.
        if more
            .iter()
            .any(|(_, other)| other.module.span != first.module.span)
        {
            let names: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
            return Err(Problem::new(format!(
                "several children of `{}` may be meant: {}",
                path.display(),
                listed(names.into_iter())
            ))
            .help("name one with --as"));
        }
        Ok(Some(first.config.clone()))
    }

    fn not_found<'a>(&self, path: &Path, all: impl Iterator<Item = &'a str> + Clone) -> Problem {
        let shown = path.display();
        let listed = listed(all.clone());
        match &self.child {
            None => Problem::new(format!("no child of `{shown}` has this module"))
                .help(format!("name one with --as: {listed}")),
            Some(child) => {
                let problem = Problem::new(format!("`{shown}` has no program `{child}`"));
                // What is behind the last `/` may be what was meant.
                let names =
                    all.flat_map(|path| [Some(path), path.rsplit_once('/').map(|parts| parts.1)]);
                match most_similar(child, names.flatten()) {
                    Some(similar) => problem.help(format!("did you mean `--as {similar}`?")),
                    None => problem.help(format!("it has {listed}")),
                }
            }
        }
    }
}

/// Some of the names, and how many more there are.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
