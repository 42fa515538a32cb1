//! Tokens: made by who owns the directory, redeemed once.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::PublicKeyData;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::authority::{Authority, AuthorityError, TOKENS};
use crate::files::{self, FileError};
use crate::fingerprint::Fingerprint;
use crate::instant::{Utc, from_milliseconds, milliseconds};
use crate::issuer::{DEFAULT_VALIDITY, IssueError, check_validity, public_key};
use crate::name::{ClusterName, NamePattern, NodeName};
use crate::token::{Proof, ProofKey, Token};

/// What the directory keeps of a token.
#[derive(Serialize, Deserialize)]
struct Record {
    /// A hash of its secret.
    key: ProofKey,
    /// Which names it may be used for.
    names: NamePattern,
    /// Milliseconds since 1970, as the next.
    made_at: u64,
    expires_at: u64,
    used: Option<Use>,
}

#[derive(Serialize, Deserialize)]
struct Use {
    name: NodeName,
    key: Fingerprint,
    at: u64,
}

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

impl Authority {
    /// Makes a token, which lets one node in.
    ///
    /// - `names`: which names the node may have; any, if `None`.
    /// - `valid_for`: until when it can be used, at most
    ///   [`MAX_VALIDITY`](crate::MAX_VALIDITY).
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it cannot be made.
    pub fn token(
        &self,
        names: Option<NamePattern>,
        valid_for: Duration,
        now: SystemTime,
    ) -> Result<Token, TokenError> {
        check_validity(valid_for).map_err(TokenError::Issue)?;
        let token = Token::new(self.cluster().clone(), self.fingerprint())
            .map_err(|error| TokenError::Issue(IssueError::Random(error)))?;
        let expires_at = now + valid_for;
        let record = Record {
            key: token.proof_key(),
            names: names.unwrap_or_else(NamePattern::any),
            made_at: milliseconds(now),
            expires_at: milliseconds(expires_at),
            used: None,
        };
        write_record(&self.token_path(token.id()), &record).map_err(TokenError::File)?;
        Ok(token)
    }

    /// Issues a certificate to who has a token, and marks it as used. Of two that redeem it
    /// at the same time, in whatever processes, one is refused.
    ///
    /// Who has redeemed a token may do so again with the same key and the same name, as it
    /// may not have got the answer.
    ///
    /// - `name`: the name that the node wants to have.
    /// - `request`: PKCS#10 in DER. Only its key is used; it is not looked at before the
    ///   token is found.
    ///
    /// Returns the certificate, valid for
    /// [`DEFAULT_VALIDITY`](crate::DEFAULT_VALIDITY), and that of the authority.
    ///
    /// # Errors
    ///
    /// [`RedeemError`]: what is wrong with the token, or with the request.
    pub fn redeem(
        &self,
        token: &Token,
        name: &NodeName,
        request: &[u8],
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, RedeemError> {
        self.redeem_proof(&token.prove(name, request), name, request, now)
    }

    /// The same for who has shown that it has a token.
    pub(super) fn redeem_proof(
        &self,
        proof: &Proof,
        name: &NodeName,
        request: &[u8],
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, RedeemError> {
        if proof.authority != self.fingerprint() {
            return Err(RedeemError::WrongCluster {
                cluster: proof.cluster.clone(),
                ours: self.cluster().clone(),
            });
        }
        let _lock = self.lock().map_err(AuthorityError::File)?;
        let path = self.token_path(proof.token);
        let mut record = read_record(&path)?;
        if !record.key.accepts(proof, name, request) {
            return Err(RedeemError::Unknown);
        }
        let revoked = self.revocations()?.revoked_at(name);
        record.permits(name, revoked, now)?;
        let key = public_key(request)?.subject_public_key_info();
        let key = Fingerprint::of(&key);
        if let Some(used) = &record.used
            && (used.name != *name || used.key != key)
        {
            return Err(RedeemError::Used {
                by: used.name.clone(),
                at: from_milliseconds(used.at),
            });
        }
        let chain = self.issue(name, request, DEFAULT_VALIDITY, now)?;
        record.used = Some(Use {
            name: name.clone(),
            key,
            at: milliseconds(now),
        });
        // Nobody gets the certificate before the token is used up.
        write_record(&path, &record).map_err(AuthorityError::File)?;
        Ok(chain)
    }

    fn token_path(&self, token: Fingerprint) -> PathBuf {
        self.path(TOKENS).join(format!("{token}.json"))
    }
}

fn read_record(path: &Path) -> Result<Record, RedeemError> {
    let bytes = files::read(path).map_err(|error| match error.is_missing() {
        true => RedeemError::Unknown,
        false => RedeemError::Directory(error.into()),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        RedeemError::Directory(AuthorityError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })
}

fn write_record(path: &Path, record: &Record) -> Result<(), FileError> {
    let text =
        serde_json::to_vec(record).map_err(|error| FileError::new(path, "write", error.into()))?;
    files::write(path, &text, 0o600)
}

impl Record {
    fn permits(
        &self,
        name: &NodeName,
        revoked: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<(), RedeemError> {
        let expires_at = from_milliseconds(self.expires_at);
        if let Some(used) = &self.used
            && used.name != *name
        {
            return Err(RedeemError::Used {
                by: used.name.clone(),
                at: from_milliseconds(used.at),
            });
        }
        if now >= expires_at {
            return Err(RedeemError::Expired {
                at: expires_at,
                host_time: now,
            });
        }
        if !self.names.matches(name) {
            return Err(RedeemError::NameNotAllowed {
                name: name.clone(),
                allowed: self.names.clone(),
            });
        }
        match revoked {
            Some(at) if from_milliseconds(self.made_at) <= at => Err(RedeemError::Revoked {
                name: name.clone(),
                at,
            }),
            _ => Ok(()),
        }
    }
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
                "the token is for another cluster that is also called {ours}"
            ),
            Self::WrongCluster { cluster, ours } => write!(
                f,
                "the token is for the cluster {cluster}, and this is {ours}"
            ),
            Self::Unknown => f.write_str("there is no such token"),
            Self::Used { by, at } => {
                write!(f, "the token was used by {by} at {}", Utc(*at))
            }
            Self::Expired { at, host_time } => write!(
                f,
                "the token has expired at {}, and the clock of this host says {}",
                Utc(*at),
                Utc(*host_time)
            ),
            Self::NameNotAllowed { name, allowed } => {
                write!(f, "the token is for {allowed}, not for {name}")
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
