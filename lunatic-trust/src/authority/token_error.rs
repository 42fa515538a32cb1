//! Why a token is not made, or not accepted.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use crate::authority::AuthorityError;
use crate::files::FileError;
use crate::instant::Utc;
use crate::issuer::IssueError;
use crate::name::{ClusterName, NamePattern, NodeName};

/// Why no token was made.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be valid for so long, or the random numbers of the system are missing.
    Issue(IssueError),
    /// It could not be kept.
    File(FileError),
}

/// Why a token is not accepted: for the own log, not for who has sent it.
#[derive(Debug)]
#[non_exhaustive]
pub enum RedeemError {
    /// The token is for another cluster, or for another one of the same name.
    WrongCluster {
        /// The cluster that it is for.
        cluster: ClusterName,
        /// Ours.
        ours: ClusterName,
    },
    /// There is no such token.
    Unknown,
    /// It was used before, with another key or for another name.
    Used {
        /// By whom.
        by: NodeName,
        /// When.
        at: SystemTime,
    },
    /// It has expired.
    Expired {
        /// When.
        at: SystemTime,
        /// What the clock of this host says.
        host_time: SystemTime,
    },
    /// It is for other names.
    NameNotAllowed {
        /// The name that was asked for.
        name: NodeName,
        /// The names that it is for.
        allowed: NamePattern,
    },
    /// The name was revoked after the token had been made.
    Revoked {
        /// The name.
        name: NodeName,
        /// When it was revoked.
        at: SystemTime,
    },
    /// No certificate can be issued.
    Issue(IssueError),
    /// The directory cannot be used.
    Directory(AuthorityError),
}

impl From<IssueError> for RedeemError {
    fn from(error: IssueError) -> Self {
        Self::Issue(error)
    }
}

impl From<AuthorityError> for RedeemError {
    fn from(error: AuthorityError) -> Self {
        Self::Directory(error)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token cannot be made")
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Issue(error) => Some(error),
            Self::File(error) => Some(error),
        }
    }
}

impl fmt::Display for RedeemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongCluster { cluster, ours } if cluster == ours => write!(
                f,
                "the token is for another cluster that is also called {ours}; make one with the \
                 directory of this one"
            ),
            Self::WrongCluster { cluster, ours } => write!(
                f,
                "the token is for the cluster {cluster}, and this is {ours}; make one with the \
                 directory of {ours}, or join {cluster}"
            ),
            Self::Unknown => f.write_str("there is no such token; make another one"),
            Self::Used { by, at } => {
                write!(
                    f,
                    "the token was used by {by} at {}; make another one, as each is good for one node",
                    Utc(*at)
                )
            }
            Self::Expired { at, host_time } => write!(
                f,
                "the token has expired at {}, and the clock of this host says {}; make another one",
                Utc(*at),
                Utc(*host_time)
            ),
            Self::NameNotAllowed { name, allowed } => {
                write!(
                    f,
                    "the token is for {allowed}, not for {name}; give the node such a name, or make a \
                     token for {name}"
                )
            }
            Self::Revoked { name, at } => write!(
                f,
                "{name} was revoked at {}, after the token had been made; make another token",
                Utc(*at)
            ),
            Self::Issue(_) => f.write_str("no certificate can be issued"),
            Self::Directory(_) => f.write_str("the token cannot be looked up"),
        }
    }
}

impl Error for RedeemError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Issue(error) => Some(error),
            Self::Directory(error) => Some(error),
            _ => None,
        }
    }
}
