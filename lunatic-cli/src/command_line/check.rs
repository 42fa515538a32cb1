//! `lunatic check`.

use std::process::ExitCode;

use futures_lite::future;

use crate::command_line::arguments::Application;
use crate::command_line::manifest::{self, Manifest};
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;
use crate::command_line::{logging, run};

/// Says what is wrong with a manifest, or what it describes.
pub(crate) fn check(arguments: &Application) -> Result<ExitCode, Problem> {
    let manifest = Manifest::read(&arguments.manifest)?;
    let parsed = manifest.parse()?;
    logging::start("warn")?;
    let runtime = run::start_runtime(&arguments.engine)?;
    let checked = manifest::check(&manifest, parsed, &runtime);
    let (application, modules) = future::block_on(checked)?;
    let (supervisors, programs) = application.top.counts();
    print_line(format_args!(
        "`{}` is in order: {}, {} of {}",
        arguments.manifest.display(),
        number(supervisors + 1, "supervisor"),
        number(programs, "program"),
        number(modules.len(), "module"),
    ))
}

fn number(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
