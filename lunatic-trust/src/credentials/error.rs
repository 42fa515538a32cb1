//! Why credentials cannot be had, or not be renewed.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::authority::{AuthorityError, RenewError};
use crate::files::FileError;
use crate::identity::IdentityError;
use crate::issued::JoinError;
use crate::name::NodeName;
use crate::revocation::InvalidRevocations;

/// Why a node has no credentials.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The directory of the cluster cannot be used.
    Authority(AuthorityError),
    /// A file could not be read or written.
    File(FileError),
    /// What is in a file cannot be used.
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// The list of revoked names that was kept is damaged.
    Revocations {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidRevocations,
    },
    /// No key could be made.
    Key(rcgen::Error),
    /// No certificate is issued, as the name is revoked for example.
    Issue(RenewError),
}

/// What went wrong while credentials were refreshed. What there was before is still used.
#[derive(Debug)]
#[non_exhaustive]
pub enum RefreshWarning {
    /// The files have changed, and what is in them cannot be used.
    Files(CredentialsError),
    /// The certificate in the files is for another node.
    NameChanged {
        /// The file.
        path: PathBuf,
        /// The name of this node.
        ours: NodeName,
        /// The name in the file.
        theirs: NodeName,
    },
    /// The certificate in the files is for another cluster.
    ClusterChanged {
        /// The file.
        path: PathBuf,
    },
    /// No other certificate could be made from the directory of the cluster.
    Renewal(CredentialsError),
    /// The revoked names in the directory of the cluster cannot be read.
    Revocations(AuthorityError),
    /// The state directory cannot be written.
    State(FileError),
}

/// Why another certificate was not requested, or what came is not used.
#[derive(Debug)]
#[non_exhaustive]
pub enum RenewalError {
    /// Nobody is asked for it: [`Credentials::refresh`](crate::Credentials::refresh) reads or
    /// makes it.
    NotByRequest,
    /// No key could be made.
    Key(rcgen::Error),
    /// The answer is not used.
    Answer(JoinError),
}

impl RenewalError {
    /// Whether the new certificate is used nevertheless: only the state directory could not be
    /// written.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Answer(JoinError::File(_)))
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(_) => f.write_str("the directory of the cluster cannot be used"),
            Self::File(_) => f.write_str("the credentials of the node cannot be read or kept"),
            Self::Identity { path, .. } => write!(
                f,
                "{} cannot be used; replace it, or, if it was made by joining with a token, remove it and \
                 join with another one",
                path.display()
            ),
            Self::Revocations { path, .. } => {
                write!(f, "{} is damaged; remove it", path.display())
            }
            Self::Key(_) => f.write_str("no private key can be made"),
            Self::Issue(_) => f.write_str("the node gets no certificate"),
        }
    }
}

impl Error for CredentialsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Authority(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Identity { source, .. } => Some(source),
            Self::Revocations { source, .. } => Some(source),
            Self::Key(error) => Some(error),
            Self::Issue(error) => Some(error),
        }
    }
}

impl fmt::Display for RefreshWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(_) => f.write_str("the earlier certificate is still used"),
            Self::NameChanged { path, ours, theirs } => write!(
                f,
                "{} is for {theirs}, and this node is {ours} until it is started again",
                path.display()
            ),
            Self::ClusterChanged { path } => write!(
                f,
                "{} is for another cluster, in which this node is not until it is started again",
                path.display()
            ),
            Self::Renewal(_) => f.write_str("the certificate could not be renewed"),
            Self::Revocations(_) => f.write_str("the revoked names known so far still hold"),
            Self::State(_) => f.write_str("the credentials of the node could not be kept"),
        }
    }
}

impl Error for RefreshWarning {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Files(error) | Self::Renewal(error) => Some(error),
            Self::NameChanged { .. } | Self::ClusterChanged { .. } => None,
            Self::Revocations(error) => Some(error),
            Self::State(error) => Some(error),
        }
    }
}

impl fmt::Display for RenewalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotByRequest => f.write_str("nobody is asked for the certificate of this node"),
            Self::Key(_) => f.write_str("no private key can be made"),
            Self::Answer(_) => f.write_str("the certificate was not renewed"),
        }
    }
}

impl Error for RenewalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotByRequest => None,
            Self::Key(error) => Some(error),
            Self::Answer(error) => Some(error),
        }
    }
}
