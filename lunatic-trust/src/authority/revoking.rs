//! Revokes names, and signs the list of those that are.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use crate::authority::{Authority, AuthorityError, REVOKED};
use crate::files;
use crate::instant::milliseconds;
use crate::issuer::{IssueError, Issuer, MAX_VALIDITY};
use crate::name::NodeName;
use crate::revocation::{MAX_REVOKED, RevocationList, Revoked};

/// Why a name was not revoked.
#[derive(Debug)]
#[non_exhaustive]
pub enum RevokeError {
    /// [`MAX_REVOKED`] names are revoked already.
    Full,
    /// The list could not be signed.
    Issue(IssueError),
    /// The list could not be read or written.
    Directory(AuthorityError),
}

impl Authority {
    /// Revokes all certificates of a name that were issued so far. The name can be given to a
    /// node again, with a token that is made later.
    ///
    /// Returns the list that holds from now on, which nodes must get.
    ///
    /// # Errors
    ///
    /// [`RevokeError`] if the list is full, or cannot be written.
    pub fn revoke(&self, name: &NodeName, now: SystemTime) -> Result<RevocationList, RevokeError> {
        let _lock = self
            .lock()
            .map_err(|error| RevokeError::Directory(error.into()))?;
        let list = self.revocations().map_err(RevokeError::Directory)?;
        let now = milliseconds(now);
        let longest = u64::try_from(MAX_VALIDITY.as_millis()).unwrap_or(u64::MAX);
        let mut revoked: Vec<Revoked> = list
            .entries()
            .iter()
            // Certificates that are older have expired.
            .filter(|revoked| revoked.at.saturating_add(longest) >= now)
            .cloned()
            .collect();
        let is_full = revoked.len() >= MAX_REVOKED;
        match revoked.iter_mut().find(|revoked| revoked.name == *name) {
            Some(revoked) => revoked.at = revoked.at.max(now),
            None if is_full => return Err(RevokeError::Full),
            None => revoked.push(Revoked {
                name: name.clone(),
                at: now,
            }),
        }
        // The time keeps a list newer than those that a restored directory has forgotten.
        let number = now.max(list.number() + 1);
        let list = sign(self.issuer(), number, revoked).map_err(RevokeError::Issue)?;
        files::write(&self.path(REVOKED), list.as_bytes(), 0o600)
            .map_err(|error| RevokeError::Directory(error.into()))?;
        Ok(list)
    }

    /// The names that are revoked, signed.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] if the list is missing or damaged.
    pub fn revocations(&self) -> Result<RevocationList, AuthorityError> {
        let path = self.path(REVOKED);
        let bytes = files::read(&path).map_err(|error| match error.is_missing() {
            true => AuthorityError::Incomplete(path.clone()),
            false => error.into(),
        })?;
        let anchors = [self.certificate().clone()];
        RevocationList::verify(&bytes, &anchors, self.cluster()).map_err(|error| {
            AuthorityError::Damaged {
                path,
                reason: error.to_string(),
            }
        })
    }
}

/// The list of a new cluster.
pub(super) fn empty_list(issuer: &Issuer, now: SystemTime) -> Result<RevocationList, IssueError> {
    sign(issuer, milliseconds(now), Vec::new())
}

fn sign(issuer: &Issuer, number: u64, revoked: Vec<Revoked>) -> Result<RevocationList, IssueError> {
    RevocationList::sign(
        issuer.cluster.clone(),
        issuer.fingerprint,
        number,
        revoked,
        |message| issuer.sign(message),
    )
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "{MAX_REVOKED} names are revoked already; each is forgotten after {} days",
                MAX_VALIDITY.as_secs() / 86400
            ),
            Self::Issue(_) => f.write_str("the list of revoked names cannot be signed"),
            Self::Directory(_) => f.write_str("the list of revoked names cannot be changed"),
        }
    }
}

impl Error for RevokeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full => None,
            Self::Issue(error) => Some(error),
            Self::Directory(error) => Some(error),
        }
    }
}
