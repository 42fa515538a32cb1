//! Who a node is: its name, and what proves it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use lunatic_admin::RuntimeName;
use lunatic_distributed::{JoinFailed, NodeName};
use lunatic_trust::{Authority, Credentials, Fingerprint, IdentityFiles, Token, TokenJoin};

use crate::command_line::problem::Problem;

/// What tells with which token a node has joined, in its state directory.
const USED_TOKEN: &str = "used-token";

/// How long after all seeds were asked in vain they are asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(2);

/// What proves who a node is.
#[derive(Debug, Clone, Args)]
pub(super) struct IdentityArguments {
    /// The directory of the cluster, made by `lunatic cluster init`. The node makes its
    /// certificate with it, and lets others join with tokens.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["token_file", "ca", "cert", "key"])]
    cluster: Option<PathBuf>,

    /// A file with a token, made by `lunatic cluster token`; the node joins with it, by a node
    /// that has the directory of the cluster and is named with --join.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ca", "cert", "key"])]
    token_file: Option<PathBuf>,

    /// Certificates of those who certify nodes, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,

    /// The certificate of the node, in PEM, read again when it changes. The node has the name in it.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "ca")]
    key: Option<PathBuf>,

    /// A directory in which the node keeps its certificate and keys, so that it needs a token
    /// only once.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Who a node is.
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    /// The secret from which the ids of its connections are made.
    pub(super) connection_key: Option<[u8; 32]>,
}

/// The name of the node: that of the runtime, or of the host.
fn name_of(named: Option<&RuntimeName>) -> Result<NodeName, Problem> {
    let name = match named {
        Some(name) => name.to_string(),
        None => {
            let host = rustix::system::uname();
            let host = host.nodename().to_string_lossy().to_lowercase();
            let first = host.split('.').next().unwrap_or_default();
            first.to_owned()
        }
    };
    name.parse().map_err(|error| {
        Problem::new(format!("`{name}` cannot be the name of a node: {error}"))
            .help("give the node a name with --name")
    })
}

impl Identity {
    /// Finds out who the node is. It may wait for files, and for a node to answer.
    ///
    /// - `named`: the name of the runtime, if it is given one. With --cert, the node has the name of its
    ///   certificate, and must not be given another one.
    pub(super) fn of(
        arguments: &IdentityArguments,
        named: Option<&RuntimeName>,
        seeds: &[String],
    ) -> Result<Identity, Problem> {
        let now = SystemTime::now();
        let state = arguments.state.as_deref();
        let credentials = if let Some(directory) = &arguments.cluster {
            let name = &name_of(named)?;
            let authority = Authority::open(directory).map_err(|error| unusable(&error))?;
            Credentials::from_authority(&authority, name, state, now)
                .map_err(|error| unusable(&error))?
        } else if let Some(file) = &arguments.token_file {
            with_token(file, &name_of(named)?, state, seeds, now)?
        } else if let (Some(ca), Some(cert), Some(key)) =
            (&arguments.ca, &arguments.cert, &arguments.key)
        {
            let files = IdentityFiles {
                authorities: ca.clone(),
                certificate: cert.clone(),
                key: key.clone(),
            };
            let credentials =
                Credentials::from_files(files, state, now).map_err(|error| unusable(&error))?;
            let name = credentials.name();
            if let Some(named) = named
                && named.to_string() != name.as_str()
            {
                let cert = cert.display();
                let what = format!("the certificate in `{cert}` is that of a node named {name}");
                return Err(Problem::new(what).help(format!(
                    "leave --name out, or use --name {name}; a node named {named} needs a \
                     certificate of that name"
                )));
            }
            credentials
        } else {
            return Err(Problem::new("nothing says to which cluster the node belongs").help(
                "make a cluster with `lunatic cluster init DIR`, and name it with --cluster DIR; \
                 on another host, use --token-file with what `lunatic cluster token DIR` prints",
            ));
        };
        let other = credentials.name();
        if arguments.cert.is_none() && other != name_of(named)? {
            let what = format!("the certificate that is kept is that of a node named {other}");
            return Err(
                Problem::new(what).help("use that --name, or another directory for --state")
            );
        }
        let connection_key = state.map(connection_key).transpose().map_err(|error| {
            let state = state.unwrap_or(Path::new("")).display();
            Problem::new(format!("cannot keep a key in `{state}`: {error}"))
        })?;
        Ok(Identity {
            credentials,
            connection_key,
        })
    }
}

/// Joins with a token, unless the node has joined with it before and can go on with what it has
/// kept. With another token than that it joins anew, if it can.
fn with_token(
    file: &Path,
    name: &NodeName,
    state: Option<&Path>,
    seeds: &[String],
    now: SystemTime,
) -> Result<Credentials, Problem> {
    let kept = state.map_or(Ok(None), |state| kept_in(state, now));
    let token = read_token(file);
    let used = state.map(|state| state.join(USED_TOKEN));
    if let Ok(Some(kept)) = &kept {
        let of_it = used
            .as_deref()
            .and_then(|used| fs::read_to_string(used).ok());
        let is_new = match (&token, &of_it) {
            (Ok(token), Some(of_it)) => *of_it != mark_of(token),
            // It may be gone, as it was used.
            _ => false,
        };
        if !is_new {
            return Ok(kept.clone());
        }
    }
    let joined = token.and_then(|token| {
        let join =
            TokenJoin::new(token.clone(), name.clone(), state).map_err(|error| unusable(&error))?;
        let joined = ask_on(&join, seeds).map_err(|error| {
            Problem::new(error).help(
                "a token is good for one node and a limited time, at a node that has the directory \
                 of its cluster: look at --join, or make another token",
            )
        })?;
        if let Some(used) = &used {
            fs::write(used, mark_of(&token)).map_err(|error| {
                Problem::new(format!("cannot write `{}`: {error}", used.display()))
            })?;
        }
        Ok(joined)
    });
    match (joined, kept) {
        (Ok(joined), _) => Ok(joined),
        (Err(problem), Ok(Some(kept))) => {
            let (what, _) = problem.into_parts();
            tracing::warn!("the node goes on with the certificate that it has kept: {what}");
            Ok(kept)
        }
        (Err(problem), Ok(None)) => Err(problem),
        (Err(problem), Err(unusable)) => {
            let (what, help) = problem.into_parts();
            let problem = Problem::new(format!("{unusable}; and with the token: {what}"));
            Err(match help {
                Some(help) => problem.help(help),
                None => problem,
            })
        }
    }
}

/// Asks seeds for credentials until one has answered.
fn ask_on(join: &TokenJoin, seeds: &[String]) -> Result<Credentials, JoinFailed> {
    let mut is_told = false;
    loop {
        let failed = match lunatic_distributed::join(join, seeds) {
            Ok(credentials) => return Ok(credentials),
            Err(failed) if failed.may_pass() => failed,
            Err(failed) => return Err(failed),
        };
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(
                "{failed}. The nodes named with --join are asked until one answers, or this node is \
                 told to end"
            );
        }
        std::thread::sleep(ASKED_AGAIN);
    }
}

/// What proves who nodes are cannot be used, with all that is behind that.
pub(crate) fn unusable(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(lunatic_error::with_causes(error))
}

/// What a node has kept that has joined before, or why that is of no use.
fn kept_in(state: &Path, now: SystemTime) -> Result<Option<Credentials>, String> {
    let of_no_use = |error: &(dyn std::error::Error + 'static)| {
        let causes = lunatic_error::with_causes(error);
        format!("what the node has kept is of no use: {causes}")
    };
    let kept = Credentials::from_state(state, now).map_err(|error| of_no_use(&error))?;
    if let Some(kept) = &kept {
        kept.check_own(now).map_err(|refusal| of_no_use(&refusal))?;
    }
    Ok(kept)
}

fn read_token(file: &Path) -> Result<Token, Problem> {
    let shown = file.display();
    let token = fs::read_to_string(file).map_err(|error| {
        Problem::new(format!("cannot read the token in `{shown}`: {error}"))
            .help("write the line that `lunatic cluster token DIR` prints into this file")
    })?;
    token.trim().parse().map_err(|error| {
        Problem::new(format!("the token in `{shown}`: {error}"))
            .help("write the whole line that `lunatic cluster token DIR` prints into this file")
    })
}

/// What tells a token from others, and does not give it away.
fn mark_of(token: &Token) -> String {
    Fingerprint::of(token.to_text().as_bytes()).to_string()
}

/// The key in the state directory; makes one if there is none.
fn connection_key(state: &Path) -> io::Result<[u8; 32]> {
    let path = state.join("connection-key");
    if let Ok(bytes) = fs::read(&path)
        && let Ok(key) = bytes.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    fs::create_dir_all(state)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&key)?;
    Ok(key)
}
