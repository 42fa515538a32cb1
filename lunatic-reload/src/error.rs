//! Why a reload did not begin, or a process does not move.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_mailbox::Pid;

use crate::entries::Entries;

/// Why a reload did not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReloadError {
    /// There is no module of this name. These there are.
    UnknownName {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Another reload of the module goes on.
    InProgress(String),
    /// Processes of these kinds would have no entry in the new version.
    NoEntry(Vec<MissingEntry>),
    /// Processes still run a version before the current one.
    ThirdVersion {
        /// Which version.
        hash: String,
        /// Who runs it.
        processes: Vec<Pid>,
    },
}

/// A kind of process for which a version has no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEntry {
    /// The kind.
    pub kind: String,
    /// The version of the state that its processes write.
    pub version: i64,
    /// How many processes there are.
    pub processes: usize,
}

/// The error of an instance that takes over too late: the process is not to move any
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWanted;

pub(crate) fn no_entry(missing: HashMap<(Arc<str>, i64), usize>) -> ReloadError {
    let missing = missing.into_iter();
    let mut missing: Vec<_> = missing
        .map(|((kind, version), processes)| MissingEntry {
            kind: kind.to_string(),
            version,
            processes,
        })
        .collect();
    missing.sort_by(|a, b| (&a.kind, a.version).cmp(&(&b.kind, b.version)));
    ReloadError::NoEntry(missing)
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::UnknownName { name, known } if known.is_empty() => {
                write!(
                    f,
                    "there is no module `{name}`, nor any other that has a name"
                )
            }
            ReloadError::UnknownName { name, known } => {
                write!(
                    f,
                    "there is no module `{name}`; there are `{}`",
                    known.join("`, `")
                )
            }
            ReloadError::InProgress(name) => {
                write!(
                    f,
                    "another reload of `{name}` has not ended yet; `lunatic versions` tells when it has"
                )
            }
            ReloadError::NoEntry(missing) => {
                f.write_str("the new version cannot take over all processes:")?;
                for entry in missing {
                    let export = Entries::export(&entry.kind, entry.version);
                    write!(
                        f,
                        " {} of the kind `{}` write their state in version {}, and it exports neither `{export}` nor one of a lower version;",
                        entry.processes, entry.kind, entry.version
                    )?;
                }
                f.write_str(
                    " nothing was changed; export such a function, or end these processes first",
                )
            }
            ReloadError::ThirdVersion { hash, processes } => {
                let shown: Vec<_> = processes.iter().take(10).map(Pid::to_string).collect();
                let more = processes.len() - shown.len();
                write!(
                    f,
                    "processes still run the version {} before the current one: {}",
                    hash.get(..12).unwrap_or(hash),
                    shown.join(", ")
                )?;
                if more > 0 {
                    write!(f, " and {more} more")?;
                }
                f.write_str("; a reload to the current version asks those again that offer themselves, and --purge \
                     ends them")
            }
        }
    }
}

impl Error for ReloadError {}

impl fmt::Display for NotWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reload was taken back meanwhile")
    }
}

impl Error for NotWanted {}
