//! `lunatic node` and `lunatic cluster` in a build without the feature `distribution`: they are
//! there, and say so.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

use crate::command_line::features::Feature;
use crate::command_line::problem::Problem;

/// What `lunatic node` takes: anything.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// Anything.
    #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

/// What `lunatic cluster` takes: anything.
pub(crate) type ClusterArguments = NodeArguments;

/// Says that there are no nodes.
pub(crate) fn node(_: &NodeArguments) -> Result<ExitCode, Problem> {
    Err(Feature::Distribution.left_out())
}

/// Says that there are no clusters.
pub(crate) fn cluster(_: &ClusterArguments) -> Result<ExitCode, Problem> {
    Err(Feature::Distribution.left_out())
}

/// What `lunatic control` says.
pub(crate) fn no_control_server() -> Problem {
    Feature::Distribution.left_out()
}
