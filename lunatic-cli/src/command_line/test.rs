//! `lunatic test`, and `lunatic run` as cargo's test runner.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ColorChoice, Parser};
use futures_lite::future;

use crate::command_line::arguments::{Run, Test};
use crate::command_line::problem::Problem;
use crate::command_line::run::{check_dirs, start_runtime};
use crate::command_line::testing::Source;
use crate::command_line::{diagnosis, logging, output, refused_line, testing};
use crate::{Config, Runtime};

/// Test failures are told by the runner; a test that makes processes fail on
/// purpose is not to be told of as well.
const LOG_FILTER: &str = "error";

/// Runs the tests of a file.
pub(crate) fn test(test: Test) -> Result<ExitCode, Problem> {
    logging::start(LOG_FILTER)?;
    let bytes = match test.path.as_os_str() == "-" {
        true => diagnosis::read_stdin()?,
        false => diagnosis::read(&test.path)?,
    };
    let has_harness = testing::has_harness(&bytes);
    let config = match test.from_manifest.config(&test.path)? {
        Some(mut config) => {
            config.wasi_mut().clear_args();
            config
        }
        None => {
            let mut config = Config::trusted();
            test.grants.apply(&mut config)?;
            config
        }
    };
    let runtime = start_runtime(&test.engine)?;
    future::block_on(async {
        let is_default = test.grants.gives_default() && !test.from_manifest.is_given();
        check_dirs(&config, is_default).await?;
        let module = diagnosis::load(&runtime, &test.path, bytes).await?;
        if !has_harness && !testing::has_tests(&module) {
            return Err(diagnosis::no_tests(&test.path, &module));
        }
        let name = diagnosis::module_name(&test.path);
        let source = Source {
            name: &name,
            module: &module,
            has_harness,
        };
        run_tests(&runtime, source, config, &test.options).await
    })
}

/// Runs the tests of a binary for cargo; what follows the path are options of
/// the test runner.
pub(crate) async fn run_by_cargo(
    runtime: &Runtime,
    source: Source<'_>,
    run: &Run,
) -> Result<ExitCode, Problem> {
    #[derive(Debug, Parser)]
    #[command(name = "lunatic run <test binary>")]
    struct Line {
        #[command(flatten)]
        options: testing::Options,

        /// When to print in colour.
        #[arg(long, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
        color: ColorChoice,
    }
    const PROGRAM: &str = "lunatic run <test binary>";
    let words: Vec<_> = std::iter::once(OsString::from(PROGRAM))
        .chain(run.guest_args())
        .collect();
    let line = Line::try_parse_from(&words).unwrap_or_else(|error| {
        let asked = "cargo test --";
        refused_line::exit(
            &error,
            &refused_line::Line::of(asked, &words),
            ColorChoice::Auto,
        )
    });
    output::choose_colors(line.color);
    let config = match run.from_manifest.config(&run.path())? {
        Some(mut config) => {
            config.wasi_mut().clear_args();
            config
        }
        None => {
            let mut config = Config::trusted();
            run.grants.apply(&mut config)?;
            config
        }
    };
    run_tests(runtime, source, config, &line.options).await
}

async fn run_tests(
    runtime: &Runtime,
    source: Source<'_>,
    config: Config,
    options: &testing::Options,
) -> Result<ExitCode, Problem> {
    logging::set_default(LOG_FILTER);
    let code = testing::run(runtime, source, &config, options).await?;
    Ok(ExitCode::from(code))
}
