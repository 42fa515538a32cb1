//! `lunatic doctor`: what of this machine matters to the runtime, and what to do about it.

mod machine;
mod toolchains;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it is, for example `vm.max_map_count`.
    what: &'static str,
    /// Whether nothing needs to be done.
    is_well: bool,
    /// What was found.
    found: String,
    /// What that means, or what to do.
    means: String,
}

impl Finding {
    fn new(
        what: &'static str,
        is_well: bool,
        found: impl Into<String>,
        means: impl Into<String>,
    ) -> Finding {
        Finding {
            what,
            is_well,
            found: found.into(),
            means: means.into(),
        }
    }
}

/// What a language lacks to be compiled for guests here, and how to get it. `None` if it lacks nothing.
///
/// - `language`: as it is called in what `lunatic doctor` prints.
pub(crate) fn missing_toolchain(language: &str) -> Option<String> {
    let found = toolchains::toolchain(language)?;
    (!found.is_well).then(|| format!("{language}: {}; {}", found.found, found.means))
}

#[derive(Debug, Serialize)]
struct Report {
    versions: Vec<Finding>,
    machine: Vec<Finding>,
    toolchains: Vec<Finding>,
}

/// Prints what was found. The exit code is 0 whatever that is: nothing of it keeps the
/// runtime from running.
pub(crate) fn doctor(doctor: &Doctor) -> Result<ExitCode, Problem> {
    let report = Report {
        versions: machine::versions(),
        machine: machine::machine(),
        toolchains: toolchains::toolchains(),
    };
    if doctor.json {
        let text = serde_json::to_string_pretty(&report);
        let text = text.map_err(|error| Problem::new(format!("cannot write JSON: {error}")))?;
        return print_line(text);
    }
    let mut text = String::new();
    for (title, findings) in [
        ("versions", &report.versions),
        ("this machine", &report.machine),
        ("toolchains for guests", &report.toolchains),
    ] {
        text.push_str(&format!("{title}\n"));
        for finding in findings {
            let mark = if finding.is_well { "ok" } else { "--" };
            text.push_str(&format!(
                "  {mark} {:<24} {}\n",
                finding.what, finding.found
            ));
            if !finding.means.is_empty() {
                text.push_str(&format!("     {:<24} {}\n", "", finding.means));
            }
        }
    }
    print_line(text.trim_end())
}
