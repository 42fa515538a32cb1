//! The examples of the `lunatic` crate that use the network, and real clients
//! and servers for them, all on this machine.
//!
//! Two of them use public servers. They run in namespaces of their own, where the names of these
//! servers lead to this machine; without namespaces they are not run.

mod clients;
pub(super) mod namespace;
mod servers;

use std::path::Path;

use anyhow::{Context, Result};

use super::examples::{judged, not_run};
use super::{Report, Runner, program};
use crate::cargo::Artifact;
use servers::Server;

/// The result of an example.
enum Verdict {
    /// It ran, and this is wrong with it.
    Ran(Vec<String>),
    NotRun(String),
}

struct Example {
    name: &'static str,
    run: fn(&Runner, &Path) -> Result<Verdict>,
}

const EXAMPLES: [Example; 5] = [
    Example {
        name: "tcp_echo_server",
        run: |runner, program| echo(runner, program, &[]),
    },
    Example {
        name: "tcp_echo_multi_server",
        run: |runner, program| echo(runner, program, &[6666, 6667]),
    },
    Example {
        name: "tls_echo_server",
        run: tls_echo,
    },
    Example {
        name: "tls_client",
        run: namespace::tls_client,
    },
    Example {
        name: "resolve",
        run: namespace::resolve,
    },
];

/// The names of all examples.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|example| example.name)
}

/// Runs the selected examples and prints a line about each.
pub(super) fn run(
    runner: &Runner,
    artifacts: &[Artifact],
    selected: impl Fn(&str) -> bool,
) -> Result<Report> {
    println!("\nnetwork example");
    let mut report = Report::default();
    for example in EXAMPLES.iter().filter(|example| selected(example.name)) {
        let program = program(artifacts, "example", example.name)
            .with_context(|| format!("cargo built no example `{}`", example.name))?;
        report += match (example.run)(runner, program)? {
            Verdict::Ran(problems) => judged(example.name, &problems),
            Verdict::NotRun(reason) => not_run(example.name, &reason),
        };
    }
    Ok(report)
}

/// A server that sends lines back, at these ports or one of its own.
fn echo(runner: &Runner, program: &Path, ports: &[u16]) -> Result<Verdict> {
    if let Some(reason) = servers::ports_in_use(ports) {
        return Ok(Verdict::NotRun(reason));
    }
    let server = Server::start(runner, program, ports.len().max(1))?;
    let mut problems = Vec::new();
    for address in &server.addresses {
        // Two at once: the first says nothing until the second has been served.
        let silent = clients::connect(*address)?;
        problems.extend(clients::echo(*address)?);
        problems.extend(clients::echo_over(silent)?);
    }
    Ok(Verdict::Ran(problems))
}

/// A server that answers each TLS connection once.
fn tls_echo(runner: &Runner, program: &Path) -> Result<Verdict> {
    if let Some(reason) = servers::ports_in_use(&[3000]) {
        return Ok(Verdict::NotRun(reason));
    }
    let server = Server::start(runner, program, 1)?;
    let address = server.addresses[0];
    let tools = [clients::openssl(address)?, clients::curl(address)?];
    if tools.iter().all(Option::is_none) {
        let reason = "neither openssl nor curl is installed";
        return Ok(Verdict::NotRun(reason.to_owned()));
    }
    Ok(Verdict::Ran(
        tools.into_iter().flatten().flatten().collect(),
    ))
}
