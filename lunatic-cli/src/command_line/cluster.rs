//! `lunatic cluster`: who may join a cluster.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use lunatic_distributed::NodeName;
use lunatic_trust::{Authority, ClusterName, NamePattern};

use crate::command_line::node::identity::unusable;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// What is to be done with the directory of a cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the directory of a new cluster, with the key that certifies its nodes.
    ///
    /// Whoever can read it can add nodes. It belongs on one host; nodes of other hosts join
    /// with tokens.
    Init {
        /// The directory; it must not exist.
        directory: PathBuf,
        /// The name of the cluster; by default that of the directory.
        #[arg(long)]
        name: Option<ClusterName>,
    },
    /// Print a token with which one node can join.
    Token {
        /// The directory of the cluster.
        directory: PathBuf,
        /// The name that the node must have; `*` stands for any characters.
        #[arg(long = "for", value_name = "NAME")]
        pattern: Option<NamePattern>,
        /// How long the token is good: 10m, 1h, 2d.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
        valid: Duration,
    },
    /// Refuse the certificates that nodes of a name have now. Those that are connected are
    /// thrown out within seconds.
    Revoke {
        /// The directory of the cluster.
        directory: PathBuf,
        /// The name of the nodes.
        node: NodeName,
    },
}

/// A whole number and a unit.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write one like 30s, 10m, 1h or 2d");
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(unit).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// Does it.
pub(crate) fn cluster(arguments: &ClusterArguments) -> Result<ExitCode, Problem> {
    let now = SystemTime::now();
    match &arguments.action {
        Action::Init { directory, name } => {
            let name = match name {
                Some(name) => name.clone(),
                None => name_of(directory)?,
            };
            let made = Authority::init(directory, &name, now).map_err(|error| unusable(&error))?;
            let shown = directory.display();
            print_line(format!(
                "cluster {}: start a node with `lunatic node --cluster {shown}`",
                made.cluster()
            ))
        }
        Action::Token {
            directory,
            pattern,
            valid,
        } => {
            let authority = Authority::open(directory).map_err(|error| unusable(&error))?;
            let token = authority.token(pattern.clone(), *valid, now);
            print_line(token.map_err(|error| unusable(&error))?.to_text())
        }
        Action::Revoke { directory, node } => {
            let authority = Authority::open(directory).map_err(|error| unusable(&error))?;
            authority
                .revoke(node, now)
                .map_err(|error| unusable(&error))?;
            print_line(format!("revoked the certificates of {node}"))
        }
    }
}

fn name_of(directory: &std::path::Path) -> Result<ClusterName, Problem> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.parse().map_err(|error| {
        Problem::new(format!("`{name}` cannot be the name of a cluster: {error}"))
            .help("give it one with --name")
    })
}
