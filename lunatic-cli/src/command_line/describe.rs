//! `lunatic describe`: what a module wants, offers and takes, without running it.

mod module;

use std::path::Path;
use std::process::ExitCode;

use futures_lite::future;

use crate::command_line::arguments::Describe;
use crate::command_line::describe::module::Description;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;
use crate::command_line::{diagnosis, logging, run};

/// Describes a module, and compiles it to see whether it is accepted. The exit code is 1 if
/// it is not.
pub(crate) fn describe(arguments: &Describe) -> Result<ExitCode, Problem> {
    logging::start("warn")?;
    let (path, bytes) = match arguments.path.as_os_str() == "-" {
        true => (Path::new("stdin"), diagnosis::read_stdin()?),
        false => (&*arguments.path, diagnosis::read(&arguments.path)?),
    };
    let mut description = Description::of(&bytes);
    let runtime = run::start_runtime(&arguments.engine)?;
    let (refused, shown) = future::block_on(async {
        let refused = diagnosis::load(&runtime, path, bytes).await.err();
        runtime.shut_down().await;
        description.refused = refused.clone().map(|problem| problem.into_parts().0);
        let shown = match arguments.json {
            true => serde_json::to_string_pretty(&description)
                .map_err(|error| Problem::new(format!("cannot write JSON: {error}")))?,
            false => description.shown(&path.to_string_lossy()),
        };
        Ok::<_, Problem>((refused, shown))
    })?;
    let printed = print_line(shown)?;
    match refused {
        Some(problem) => Err(problem),
        None => Ok(printed),
    }
}
