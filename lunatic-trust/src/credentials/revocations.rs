//! The revoked names that a node knows, and passes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::chain::Trust;
use crate::credentials::{Credentials, CredentialsError};
use crate::files::{self, FileError};
use crate::fingerprint::Fingerprint;
use crate::revocation::{InvalidRevocations, RevocationList};

impl Credentials {
    /// The lists of revoked names that hold, to be passed on to other nodes. There is one at
    /// most of each authority.
    pub fn revocations(&self) -> Arc<[RevocationList]> {
        self.shared.revocations.read().clone()
    }

    /// Takes a list of revoked names from another node. It is kept in the state directory by
    /// the next [`refresh`](Self::refresh).
    ///
    /// Returns whether it is newer than what was known, and is to be passed on. An older one
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidRevocations`] if no authority of this cluster has signed it.
    pub fn accept_revocations(&self, bytes: &[u8]) -> Result<bool, InvalidRevocations> {
        let known = self.revocations();
        if known.iter().any(|known| known.as_bytes() == bytes) {
            return Ok(false);
        }
        let identity = self.identity();
        let trust = &identity.trust;
        let list = RevocationList::verify(bytes, &trust.anchors, &trust.cluster)?;
        let mut held = self.shared.revocations.write();
        let is_of_same = |other: &&RevocationList| other.authority() == list.authority();
        if let Some(known) = held.iter().find(is_of_same)
            && !list.is_newer_than(known)
        {
            return Ok(false);
        }
        // Those of authorities that are no longer trusted are of no use.
        let is_kept =
            |other: &&RevocationList| !is_of_same(other) && trust.knows(other.authority());
        let kept: Vec<RevocationList> = held.iter().filter(is_kept).cloned().collect();
        *held = kept.into_iter().chain([list]).collect();
        self.shared.is_unsaved.store(true, Ordering::Release);
        Ok(true)
    }

    /// Writes what is new into the state directory, if there is one.
    pub(super) fn save_revocations(&self) -> Result<(), FileError> {
        let Some(state) = &self.shared.state else {
            return Ok(());
        };
        if !self.shared.is_unsaved.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let saved = self.revocations().iter().try_for_each(|list| {
            files::make_directory(state)?;
            files::write(&path_in(state, list.authority()), list.as_bytes(), 0o600)
        });
        if saved.is_err() {
            self.shared.is_unsaved.store(true, Ordering::Release);
        }
        saved
    }
}

/// The lists of revoked names in a state directory, of the authorities that are trusted.
///
/// # Errors
///
/// [`CredentialsError`] if one is damaged, or cannot be read.
pub(super) fn kept(state: &Path, trust: &Trust) -> Result<Vec<RevocationList>, CredentialsError> {
    let mut lists = Vec::new();
    for anchor in &trust.anchors {
        let path = path_in(state, Fingerprint::of(anchor));
        let bytes = match files::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => continue,
            Err(error) => return Err(CredentialsError::File(error)),
        };
        let list = RevocationList::verify(&bytes, &trust.anchors, &trust.cluster);
        lists.push(list.map_err(|source| CredentialsError::Revocations { path, source })?);
    }
    Ok(lists)
}

/// Where the list of an authority is kept in a state directory.
fn path_in(state: &Path, authority: Fingerprint) -> PathBuf {
    state.join(format!("revoked-{authority}"))
}
