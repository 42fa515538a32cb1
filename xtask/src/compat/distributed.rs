//! The example `distributed` of the `lunatic` crate, on three nodes of this machine.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::examples::judged;
use super::{Report, Runner, TIME_LIMIT, ending, print_output, program};
use crate::cargo::Artifact;
use crate::command;
use crate::workspace;

/// The name of the example.
pub(super) const NAME: &str = "distributed";

/// How long a node may take until it has printed what is expected.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(20);

/// A node that runs nothing by itself. It does not outlive this.
struct Idle {
    child: Child,
    lines: Receiver<String>,
    /// The text that it has printed so far.
    printed: String,
}

/// Runs the example and prints what came of it, if it is selected.
pub(super) fn run(
    runner: &Runner,
    artifacts: &[Artifact],
    selected: impl Fn(&str) -> bool,
) -> Result<Report> {
    if !selected(NAME) {
        return Ok(Report::default());
    }
    println!("\nexample on three nodes");
    let program = program(artifacts, "example", NAME)
        .with_context(|| format!("cargo built no example `{NAME}`"))?;
    let folder = workspace::root().join("target/compat/cluster");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut init = command::new(&runner.lunatic);
    init.args(["cluster", "init"]).arg(folder.join("shop"));
    command::capture(&mut init)?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut one = Idle::start(node(runner, &folder, "one").args(["--listen", &address]))?;
    let mut two = Idle::start(&mut joining(runner, &folder, "two", &address))?;
    let mut problems = Vec::new();
    for (name, node, other) in [("one", &mut one, "two"), ("two", &mut two, "one")] {
        if !node.prints(&format!("node={other}")) {
            problems.push(format!("node {name} does not connect to node {other}"));
        }
    }
    let mut three = joining(runner, &folder, "three", &address);
    three.arg(program);
    let outcome = command::run_for(&mut three, TIME_LIMIT)?;
    if outcome.code != Some(0) {
        problems.push(format!("{} instead of exit code 0", ending(&outcome)));
    }
    for text in ["Got 1, 1 to add\n", "Hi from ", "101 + 10 = 111\n"] {
        if !outcome.stdout.contains(text) {
            problems.push(format!("the node of the example does not print {text:?}"));
        }
    }
    // Which of them is the second, the order of their ids says.
    for (name, node) in [("one", &mut one), ("two", &mut two)] {
        let has_run = node.prints("Hi from ")
            && (node.prints("101 + 582 = 683") || node.prints("101 + 172 = 273"));
        if !has_run {
            problems.push(format!("the process on node {name} has not run"));
        }
    }
    let report = judged(NAME, &problems);
    if report.tally.failed > 0 {
        print_output(&outcome);
        for (name, node) in [("one", &one), ("two", &two)] {
            for line in node.printed.lines() {
                println!("    node {name}: {line}");
            }
        }
    }
    Ok(report)
}

fn node(runner: &Runner, folder: &Path, name: &str) -> Command {
    let mut node = command::new(&runner.lunatic);
    runner.settle(&mut node);
    // Not where another runtime of that name may listen.
    node.env("XDG_RUNTIME_DIR", folder)
        .args(["node", "--name", name, "--cluster"])
        .arg(folder.join("shop"));
    node
}

fn joining(runner: &Runner, folder: &Path, name: &str, address: &str) -> Command {
    let mut node = node(runner, folder, name);
    node.args(["--listen", "127.0.0.1:0", "--join", address]);
    node
}

/// A UDP port that is free now.
fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Idle {
    fn start(node: &mut Command) -> Result<Idle> {
        let mut child = node
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a node")?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().context("the node has no output")?;
        let stderr = child.stderr.take().context("the node has no log")?;
        let log = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = log.send(line);
            }
        });
        Ok(Idle {
            child,
            lines,
            printed: String::new(),
        })
    }

    /// Whether it prints, or logs, a text in time.
    fn prints(&mut self, text: &str) -> bool {
        let end = Instant::now() + OUTPUT_TIMEOUT;
        while !self.printed.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.printed += &line;
                    self.printed.push('\n');
                }
                Err(_) => return false,
            }
        }
        true
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It fails if the node has ended, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
