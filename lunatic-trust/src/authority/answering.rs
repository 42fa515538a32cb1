//! Answers what nodes ask for: to join, and other certificates.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::authority::{Authority, AuthorityError, RedeemError};
use crate::chain::{Side, Trust};
use crate::exchange::{MAX_EXCHANGE_BYTES, Request, Response, read};
use crate::issuer::{DEFAULT_VALIDITY, IssueError};
use crate::name::NodeName;
use crate::refusal::Refusal;
use crate::revocation::revoked_at;

/// What is sent to who has asked, and what was decided.
#[derive(Debug)]
pub struct Answer {
    /// What is sent back. If it is a refusal, it says nothing else.
    pub bytes: Vec<u8>,
    /// The certificate that was issued, and those between it and the authority; empty if none was. A
    /// member that has renewed its certificate goes on over the same connection, and it is by this
    /// chain that it is to be known when it asks [again](Authority::answer).
    pub chain: Vec<CertificateDer<'static>>,
    /// What was decided, for the log.
    pub outcome: Result<Issued, AnswerError>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issued {
    /// To a node that has joined.
    Joined(NodeName),
    /// To a member that needed another one.
    Renewed(NodeName),
}

/// Why a node was refused: for the own log, not for the node.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnswerError {
    /// It sent no request, or one of more than [`MAX_EXCHANGE_BYTES`].
    Malformed {
        /// How many bytes it sent.
        length: usize,
    },
    /// It asked to join.
    Join(RedeemError),
    /// It asked for another certificate.
    Renew(RenewError),
    /// What was issued could not be sent, as the list of revoked names is damaged.
    Directory(AuthorityError),
}

/// Why no other certificate is issued.
#[derive(Debug)]
#[non_exhaustive]
pub enum RenewError {
    /// The one that the node has does not make it a member.
    Refused(Refusal),
    /// It cannot be issued.
    Issue(IssueError),
    /// The directory cannot be used.
    Directory(AuthorityError),
}

impl Authority {
    /// Answers the bytes of a [`TokenJoin`](crate::TokenJoin) or a
    /// [`Renewal`](crate::Renewal). It reads and writes files, and may wait for another
    /// process that does.
    ///
    /// - `request`: what the node sent.
    /// - `chain`: the certificates that it showed for its connection, if any, or those of the
    ///   [answer](Answer::chain) before over the same connection.
    pub fn answer(
        &self,
        request: &[u8],
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Answer {
        let decided = self.decide(request, chain.unwrap_or_default(), now);
        let decided = decided.and_then(|(issued, chain)| {
            let revocations = self.revocations().map_err(AnswerError::Directory)?;
            let bytes = Response::Issued {
                certificate: chain.first().map(AsRef::as_ref).unwrap_or_default(),
                authority: self.certificate(),
                revocations: revocations.as_bytes(),
            }
            .to_bytes();
            Ok((issued, bytes, chain))
        });
        match decided {
            Ok((issued, bytes, chain)) => Answer {
                bytes,
                chain,
                outcome: Ok(issued),
            },
            Err(error) => Answer {
                bytes: Response::Refused.to_bytes(),
                chain: Vec::new(),
                outcome: Err(error),
            },
        }
    }

    fn decide(
        &self,
        request: &[u8],
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<(Issued, Vec<CertificateDer<'static>>), AnswerError> {
        let length = request.len();
        match read(request).ok_or(AnswerError::Malformed { length })? {
            Request::Join {
                proof,
                name,
                request,
            } => {
                let redeemed = self.redeem_proof(&proof, &name, request, now);
                let chain = redeemed.map_err(AnswerError::Join)?;
                Ok((Issued::Joined(name), chain))
            }
            Request::Renew { request } => {
                let renewed = self.renew(chain, request, now);
                let (name, chain) = renewed.map_err(AnswerError::Renew)?;
                Ok((Issued::Renewed(name), chain))
            }
        }
    }

    /// Issues another certificate to a member.
    ///
    /// - `chain`: the certificates that it showed for its connection.
    /// - `request`: PKCS#10 in DER. Only its key is used.
    ///
    /// Returns its name, and its certificate, valid for
    /// [`DEFAULT_VALIDITY`](crate::DEFAULT_VALIDITY), with that of the authority.
    ///
    /// # Errors
    ///
    /// [`RenewError::Refused`] if it is no member, has expired or was revoked.
    pub fn renew(
        &self,
        chain: &[CertificateDer<'_>],
        request: &[u8],
        now: SystemTime,
    ) -> Result<(NodeName, Vec<CertificateDer<'static>>), RenewError> {
        let trust = Trust {
            anchors: vec![self.certificate().clone()],
            cluster: self.cluster().clone(),
        };
        let holder = trust
            .check(chain, Side::Client, now)
            .map_err(RenewError::Refused)?;
        let chain = self.issue_unless_revoked(&holder.name, holder.issued_at, request, now)?;
        Ok((holder.name, chain))
    }

    /// Issues a certificate for a name that a node has already, if the certificate that it has
    /// is not revoked.
    ///
    /// - `issued_at`: when that was issued; `None` if it has none.
    pub(crate) fn issue_unless_revoked(
        &self,
        name: &NodeName,
        issued_at: Option<SystemTime>,
        request: &[u8],
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, RenewError> {
        // No certificate is issued while its name is being revoked.
        let _lock = self
            .lock()
            .map_err(|error| RenewError::Directory(error.into()))?;
        let list = self.revocations().map_err(RenewError::Directory)?;
        if let Some(at) = revoked_at(&[list], name, issued_at) {
            let name = name.clone();
            return Err(RenewError::Refused(Refusal::Revoked { name, at }));
        }
        self.issue(name, request, DEFAULT_VALIDITY, now)
            .map_err(RenewError::Issue)
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { length } if *length > MAX_EXCHANGE_BYTES => write!(
                f,
                "a request of {length} bytes, of which there may be {MAX_EXCHANGE_BYTES}"
            ),
            Self::Malformed { length } => write!(f, "{length} bytes that are no request"),
            Self::Join(_) => f.write_str("a node was not let in"),
            Self::Renew(_) => f.write_str("a node got no other certificate"),
            Self::Directory(_) => f.write_str("a node got no answer"),
        }
    }
}

impl Error for AnswerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed { .. } => None,
            Self::Join(error) => Some(error),
            Self::Renew(error) => Some(error),
            Self::Directory(error) => Some(error),
        }
    }
}

impl fmt::Display for RenewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal::Revoked { .. }) => f.write_str(
                "the name is revoked; take another one, or join with a token that was made since",
            ),
            Self::Refused(_) => f.write_str("the node is no member"),
            Self::Issue(_) => f.write_str("no certificate can be issued"),
            Self::Directory(_) => f.write_str("the directory of the cluster cannot be used"),
        }
    }
}

impl Error for RenewError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Issue(error) => Some(error),
            Self::Directory(error) => Some(error),
        }
    }
}
