//! Takes over what has changed in files, and renews what comes from the cluster directory.

use std::path::Path;
use std::time::SystemTime;

use crate::authority::Authority;
use crate::credentials::{
    Credentials, CredentialsError, IdentityFiles, RefreshWarning, Source, issue_own,
};
use crate::files;
use crate::identity::{Identity, IdentityError, certificates, private_key};

/// What a [`Credentials::refresh`] has done.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Whether there is another certificate, or other authorities.
    pub certificate: bool,
    /// Whether more names are revoked, which other nodes are to be told and connections be
    /// checked against.
    pub revocations: bool,
    /// What went wrong. The same is said again each time until it is put right.
    pub warnings: Vec<RefreshWarning>,
}

impl Refreshed {
    /// Whether anything is different now.
    pub fn has_changed(&self) -> bool {
        self.certificate || self.revocations
    }
}

impl Credentials {
    /// Takes over what has changed since: files that somebody has replaced, names that were
    /// revoked in the directory of the cluster; and makes another certificate if it comes
    /// from there and a third of its validity is left. It reads and writes small files, and is
    /// to be called every few seconds.
    pub fn refresh(&self, now: SystemTime) -> Refreshed {
        let mut refreshed = Refreshed::default();
        match &self.shared.source {
            Source::Authority(authority) => self.refresh_from(authority, now, &mut refreshed),
            Source::Files(files) => match self.reread(files, now) {
                Ok(is_new) => refreshed.certificate = is_new,
                Err(warning) => refreshed.warnings.push(warning),
            },
            Source::Request => {}
        }
        if let Err(error) = self.save_revocations() {
            refreshed.warnings.push(RefreshWarning::State(error));
        }
        refreshed
    }

    fn refresh_from(&self, authority: &Authority, now: SystemTime, refreshed: &mut Refreshed) {
        match authority.revocations() {
            // The list is of the authority, and therefore valid.
            Ok(list) => {
                refreshed.revocations = self.accept_revocations(list.as_bytes()) == Ok(true);
            }
            Err(error) => refreshed.warnings.push(RefreshWarning::Revocations(error)),
        }
        if !self.needs_renewal(now) {
            return;
        }
        let identity = self.identity();
        let renewed = issue_own(authority, &identity.name, identity.issued_at, now);
        match renewed {
            Ok(identity) => {
                self.install(identity);
                refreshed.certificate = true;
                if let Err(error) = self.save_identity() {
                    refreshed.warnings.push(RefreshWarning::State(error));
                }
            }
            Err(error) => refreshed.warnings.push(RefreshWarning::Renewal(error)),
        }
    }

    /// Returns whether the files have other content, which is used from now on.
    fn reread(&self, files: &IdentityFiles, now: SystemTime) -> Result<bool, RefreshWarning> {
        let read = read_files(files, now).map_err(RefreshWarning::Files)?;
        let held = self.identity();
        if read.is_same(&held) {
            return Ok(false);
        }
        let path = || files.certificate.clone();
        if read.trust.cluster != held.trust.cluster {
            return Err(RefreshWarning::ClusterChanged { path: path() });
        }
        if read.name != held.name {
            return Err(RefreshWarning::NameChanged {
                path: path(),
                ours: held.name.clone(),
                theirs: read.name,
            });
        }
        self.install(read);
        Ok(true)
    }
}

/// Reads the files that a node is told to use.
pub(super) fn read_files(
    paths: &IdentityFiles,
    now: SystemTime,
) -> Result<Identity, CredentialsError> {
    let authorities = parse(&paths.authorities, certificates)?;
    let chain = parse(&paths.certificate, certificates)?;
    let key = parse(&paths.key, private_key)?;
    Identity::new(authorities, chain, key, now).map_err(|source| {
        let path = paths.blame(&source).to_owned();
        CredentialsError::Identity { path, source }
    })
}

fn parse<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, IdentityError>,
) -> Result<T, CredentialsError> {
    let bytes = files::read(path).map_err(CredentialsError::File)?;
    parse(&bytes).map_err(|source| CredentialsError::Identity {
        path: path.to_owned(),
        source,
    })
}
