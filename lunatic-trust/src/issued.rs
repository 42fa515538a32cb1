//! Reads what a node is answered that has asked for a certificate.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::exchange::{MAX_EXCHANGE_BYTES, Response, read};
use crate::files::FileError;
use crate::fingerprint::Fingerprint;
use crate::identity::{Identity, IdentityError};
use crate::key::NodeKey;
use crate::name::{ClusterName, NodeName};
use crate::revocation::{InvalidRevocations, RevocationList};

/// Why a node has not joined.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The node that was asked has refused. Why is in its log.
    Refused,
    /// The answer is none.
    Malformed {
        /// How many bytes it has.
        length: usize,
    },
    /// The answer is from another authority.
    WrongAuthority {
        /// Who has answered.
        found: Fingerprint,
    },
    /// The certificate is for another node or another cluster.
    WrongName {
        /// What was asked for.
        expected: NodeName,
        /// The name in the certificate.
        found: NodeName,
    },
    /// The certificate cannot be used.
    Identity(IdentityError),
    /// The list of revoked names cannot be used.
    Revocations(InvalidRevocations),
    /// No key could be made.
    Key(rcgen::Error),
    /// The state directory cannot be used.
    File(FileError),
}

/// Reads the answer to a request, and checks that it is for this node.
///
/// - `is_authority`: whether a certificate is that of the authority.
pub(crate) fn issued(
    response: &[u8],
    key: &NodeKey,
    is_authority: impl Fn(&[u8]) -> bool,
    cluster: &ClusterName,
    name: &NodeName,
    now: SystemTime,
) -> Result<(Identity, RevocationList), JoinError> {
    let length = response.len();
    let (certificate, authority, revocations) =
        match read(response).ok_or(JoinError::Malformed { length })? {
            Response::Issued {
                certificate,
                authority,
                revocations,
            } => (certificate, authority, revocations),
            Response::Refused => return Err(JoinError::Refused),
        };
    if !is_authority(authority) {
        let found = Fingerprint::of(authority);
        return Err(JoinError::WrongAuthority { found });
    }
    let anchors = vec![CertificateDer::from(authority.to_vec())];
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    let list =
        RevocationList::verify(revocations, &anchors, cluster).map_err(JoinError::Revocations)?;
    let identity = Identity::new(anchors, chain, key.to_der(), now).map_err(JoinError::Identity)?;
    if identity.name != *name || identity.trust.cluster != *cluster {
        return Err(JoinError::WrongName {
            expected: name.clone(),
            found: identity.name,
        });
    }
    Ok((identity, list))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => {
                f.write_str("the cluster has refused; why is in the log of the node that was asked")
            }
            Self::Malformed { length } if *length > MAX_EXCHANGE_BYTES => write!(
                f,
                "an answer of {length} bytes, of which there may be {MAX_EXCHANGE_BYTES}"
            ),
            Self::Malformed { length } => write!(f, "{length} bytes that are no answer"),
            Self::WrongAuthority { found } => write!(
                f,
                "the answer is from another authority, with the fingerprint {found}"
            ),
            Self::WrongName { expected, found } => write!(
                f,
                "the certificate is for {found}, and not for {expected} in this cluster"
            ),
            Self::Identity(_) => f.write_str("the certificate that was issued cannot be used"),
            Self::Revocations(_) => {
                f.write_str("the list of revoked names that came along cannot be used")
            }
            Self::Key(_) => f.write_str("no private key can be made"),
            Self::File(_) => f.write_str("the state directory cannot be used"),
        }
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Identity(error) => Some(error),
            Self::Revocations(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}
