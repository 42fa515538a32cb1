//! What the directory of a cluster keeps of a token.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::authority::{AuthorityError, RedeemError};
use crate::files::{self, FileError};
use crate::fingerprint::Fingerprint;
use crate::instant::{from_milliseconds, milliseconds};
use crate::name::{NamePattern, NodeName};
use crate::token::{Proof, ProofKey, Token};

/// How long a token that has expired is known, so that whoever has it is told that.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the directory of a cluster keeps of a token.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    /// A hash of its secret.
    proof_key: ProofKey,
    /// Which names it may be used for.
    names: NamePattern,
    /// Milliseconds since 1970, as the next.
    made_at: u64,
    expires_at: u64,
    used: Option<Use>,
}

/// Who has used a token.
#[derive(Serialize, Deserialize)]
struct Use {
    name: NodeName,
    /// The SHA-256 of the public key.
    key: Fingerprint,
    at: u64,
}

impl Record {
    pub(super) fn new(
        token: &Token,
        names: NamePattern,
        made_at: SystemTime,
        expires_at: SystemTime,
    ) -> Self {
        Self {
            proof_key: token.proof_key(),
            names,
            made_at: milliseconds(made_at),
            expires_at: milliseconds(expires_at),
            used: None,
        }
    }

    /// Reads the record of a token that somebody has shown to have.
    pub(super) fn read(
        path: &Path,
        proof: &Proof,
        name: &NodeName,
        request: &[u8],
    ) -> Result<Self, RedeemError> {
        let bytes = files::read(path).map_err(|error| match error.is_missing() {
            true => RedeemError::Unknown,
            false => RedeemError::Directory(error.into()),
        })?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| {
            RedeemError::Directory(AuthorityError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            })
        })?;
        match record.proof_key.accepts(proof, name, request) {
            true => Ok(record),
            false => Err(RedeemError::Unknown),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec(self)
            .map_err(|error| FileError::new(path, "write", error.into()))?;
        files::write(path, &text, 0o600)
    }

    /// Checks that the token can be used now, by whoever has this key.
    ///
    /// - `key`: the SHA-256 of the public key.
    /// - `revoked`: when `name` was revoked.
    pub(super) fn check(
        &self,
        name: &NodeName,
        key: Fingerprint,
        revoked: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<(), RedeemError> {
        // Who has used it may have got no answer.
        if let Some(used) = &self.used
            && (used.name != *name || used.key != key)
        {
            return Err(RedeemError::Used {
                by: used.name.clone(),
                at: from_milliseconds(used.at),
            });
        }
        let expires_at = from_milliseconds(self.expires_at);
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

    pub(super) fn set_used(&mut self, name: &NodeName, key: Fingerprint, now: SystemTime) {
        self.used = Some(Use {
            name: name.clone(),
            key,
            at: milliseconds(now),
        });
    }
}

/// Removes the records of tokens that have expired long ago.
pub(super) fn forget_expired(tokens: &Path, now: SystemTime) {
    let remembered = |record: &Record| {
        let forgotten_at = from_milliseconds(record.expires_at).checked_add(REMEMBERED);
        forgotten_at.is_none_or(|at| now < at)
    };
    let entries = fs::read_dir(tokens).into_iter().flatten();
    for path in entries.flatten().map(|entry| entry.path()) {
        let record = files::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        if record.is_some_and(|record| !remembered(&record)) {
            // One that stays is removed the next time.
            let _ = fs::remove_file(path);
        }
    }
}
