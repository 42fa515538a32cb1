//! `lunatic test`, and `lunatic run` as cargo's test runner.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use futures_lite::future;
use lunatic_engine::Module;

use crate::command_line::arguments::{Run, Test};
use crate::command_line::grants::Grants;
use crate::command_line::problem::Problem;
use crate::command_line::run::{check_dirs, start_runtime};
use crate::command_line::{diagnosis, logging, testing};
use crate::{Config, Runtime, State};

/// Test failures are told by the runner; a test that makes processes fail on
/// purpose is not to be told of as well.
const LOG_FILTER: &str = "error";

/// Runs the tests of a file.
pub(crate) fn test(test: Test) -> Result<ExitCode, Problem> {
    logging::start(LOG_FILTER)?;
    let bytes = diagnosis::read(&test.path)?;
    let mut config = Config::trusted();
    test.grants.apply(&mut config)?;
    let runtime = start_runtime(&test.engine)?;
    future::block_on(async {
        check_dirs(&config).await?;
        let module = diagnosis::load(&runtime, &test.path, bytes).await?;
        if !testing::has_tests(&module) {
            return Err(diagnosis::no_tests(&test.path, &module));
        }
        run_tests(&runtime, &module, &test.grants, &test.options).await
    })
}

/// Runs the tests of a binary for cargo; what follows the path are options of
/// the test runner.
pub(crate) async fn run_by_cargo(
    runtime: &Runtime,
    module: &Module<State>,
    run: &Run,
) -> Result<ExitCode, Problem> {
    #[derive(Debug, Parser)]
    #[command(name = "lunatic run <test binary>")]
    struct Line {
        #[command(flatten)]
        options: testing::Options,
    }
    let name = OsString::from("lunatic");
    let line = Line::parse_from(std::iter::once(name).chain(run.guest_args()));
    run_tests(runtime, module, &run.grants, &line.options).await
}

async fn run_tests(
    runtime: &Runtime,
    module: &Module<State>,
    grants: &Grants,
    options: &testing::Options,
) -> Result<ExitCode, Problem> {
    logging::set_default(LOG_FILTER);
    let mut config = Config::trusted();
    grants.apply(&mut config)?;
    let code = testing::run(runtime, module, &config, options).await;
    Ok(ExitCode::from(code))
}
