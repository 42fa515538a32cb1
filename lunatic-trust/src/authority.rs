//! The directory of a cluster: its authority, tokens and revocations.

mod answering;
mod error;
mod record;
mod redeeming;
mod revoking;
mod token_error;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::files::{self, FileError};
use crate::fingerprint::Fingerprint;
use crate::issuer::{BadIssuer, IssueError, Issuer};
use crate::name::{ClusterName, NodeName};

pub use answering::{Answer, AnswerError, Issued, RenewError};
pub use error::AuthorityError;
pub use revoking::RevokeError;
pub use token_error::{RedeemError, TokenError};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";
const REVOKED: &str = "revoked";
const TOKENS: &str = "tokens";
const LOCK: &str = "lock";

/// The authority of a cluster: whoever has its directory decides who is a member.
///
/// The directory has the mode 0700 and contains
///
/// - `ca.pem`, the certificate of the authority, which is no secret,
/// - `ca.key`, its private key, with the mode 0600,
/// - `revoked`, the signed list of the names that are revoked,
/// - `tokens/`, a file for each token, with a hash of its secret.
///
/// Several processes of one host may use it at the same time. Clones share everything.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use lunatic_trust::Authority;
///
/// let parent = tempfile::tempdir()?;
/// let directory = parent.path().join("shop");
/// let now = SystemTime::now();
/// let authority = Authority::init(&directory, &"shop".parse()?, now)?;
/// let workers = "worker-*".parse()?;
/// let token = authority.token(Some(workers), Duration::from_secs(3600), now)?;
/// assert!(token.to_text().starts_with("lunatic-token:shop:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Authority {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    issuer: Issuer,
}

impl Authority {
    /// Makes the directory of a new cluster.
    ///
    /// - `directory`: must be missing or empty.
    /// - `cluster`: the name of the cluster.
    /// - `now`: the time.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::NotEmpty`] if the directory has anything in it; others if it
    /// cannot be written.
    pub fn init(
        directory: &Path,
        cluster: &ClusterName,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        files::make_directory(directory)?;
        let entries =
            fs::read_dir(directory).map_err(|error| FileError::new(directory, "read", error))?;
        let mut entries = entries.filter_map(Result::ok);
        if entries.any(|entry| entry.file_name() != LOCK) {
            return Err(AuthorityError::NotEmpty(directory.to_owned()));
        }
        // It may have been there with another mode.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
            .map_err(|error| FileError::new(directory, "protect", error))?;
        let _lock = files::lock(&directory.join(LOCK))?;
        if directory.join(KEY).exists() || directory.join(CERTIFICATE).exists() {
            return Err(AuthorityError::NotEmpty(directory.to_owned()));
        }
        let (certificate, key) = Issuer::generate(cluster, now)?;
        files::make_directory(&directory.join(TOKENS))?;
        files::write(&directory.join(KEY), key.as_bytes(), 0o600)?;
        let issuer = Issuer::from_parts(read_certificate(directory, certificate.as_bytes())?, &key)
            .map_err(|bad| bad_issuer(directory, bad))?;
        let list = revoking::empty_list(&issuer, now)?;
        files::write(&directory.join(REVOKED), list.as_bytes(), 0o600)?;
        // Whoever finds it finds everything.
        files::write(&directory.join(CERTIFICATE), certificate.as_bytes(), 0o644)?;
        Ok(Self::new(directory, issuer))
    }

    /// Opens the directory of a cluster.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`], which names the file that is missing or damaged, and what to do.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        let path = directory.join(CERTIFICATE);
        let certificate = files::read(&path).map_err(|error| match error.is_missing() {
            true if directory.join(KEY).exists() => AuthorityError::Incomplete(path),
            true => AuthorityError::NoDirectory(directory.to_owned()),
            false => error.into(),
        })?;
        let certificate = read_certificate(directory, &certificate)?;
        let path = directory.join(KEY);
        let key = files::read(&path).map_err(|error| match error.is_missing() {
            true => AuthorityError::Incomplete(path.clone()),
            false => error.into(),
        })?;
        let metadata = fs::metadata(&path).map_err(|error| FileError::new(&path, "read", error))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(AuthorityError::KeyIsReadable { path, mode });
        }
        let key = String::from_utf8(key).map_err(|_| AuthorityError::Damaged {
            path,
            reason: "it is no text".to_owned(),
        })?;
        let issuer =
            Issuer::from_parts(certificate, &key).map_err(|bad| bad_issuer(directory, bad))?;
        let authority = Self::new(directory, issuer);
        authority.revocations()?;
        Ok(authority)
    }

    fn new(directory: &Path, issuer: Issuer) -> Self {
        let directory = directory.to_owned();
        Self {
            shared: Arc::new(Shared { directory, issuer }),
        }
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &ClusterName {
        &self.issuer().cluster
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// The certificate of the authority, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.issuer().certificate
    }

    /// Makes something from the private key of the authority, in DER.
    pub(crate) fn with_key<R>(&self, make: impl FnOnce(&[u8]) -> R) -> R {
        make(&self.issuer().key())
    }

    /// The fingerprint of that certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.issuer().fingerprint
    }

    /// Issues a certificate to whoever has the key that has signed `request`. Nothing is
    /// asked of them: this is for who owns the directory. A name that was revoked is a
    /// member again.
    ///
    /// - `request`: PKCS#10 in DER. Only its key is used.
    /// - `validity`: how long it is valid, at most [`MAX_VALIDITY`](crate::MAX_VALIDITY); the
    ///   certificate of the authority ends it earlier if it has to.
    ///
    /// Returns the certificate and that of the authority.
    ///
    /// # Errors
    ///
    /// [`IssueError`] if the request cannot be used.
    pub fn issue(
        &self,
        name: &NodeName,
        request: &[u8],
        validity: Duration,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let certificate = self.issuer().issue(name, request, validity, now)?;
        Ok(vec![certificate, self.certificate().clone()])
    }

    fn issuer(&self) -> &Issuer {
        &self.shared.issuer
    }

    fn path(&self, file: &str) -> PathBuf {
        self.shared.directory.join(file)
    }

    /// Keeps other processes and threads from changing the directory, until it is dropped.
    fn lock(&self) -> Result<File, FileError> {
        files::lock(&self.path(LOCK))
    }
}

fn read_certificate(
    directory: &Path,
    pem: &[u8],
) -> Result<CertificateDer<'static>, AuthorityError> {
    CertificateDer::from_pem_slice(pem).map_err(|error| AuthorityError::Damaged {
        path: directory.join(CERTIFICATE),
        reason: error.to_string(),
    })
}

fn bad_issuer(directory: &Path, bad: BadIssuer) -> AuthorityError {
    let (file, reason) = match bad {
        BadIssuer::Certificate(reason) => (CERTIFICATE, reason),
        BadIssuer::Key(reason) => (KEY, reason),
        BadIssuer::Mismatch => (KEY, format!("it is not the key of {CERTIFICATE}")),
    };
    AuthorityError::Damaged {
        path: directory.join(file),
        reason,
    }
}
