//! The root certificates that a client trusts.

use std::error::Error;
use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::tls::bounds::check_key;

/// Why root certificates cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum RootsError {
    /// A PEM text has no certificate, or cannot be read.
    BadPem {
        /// The index of the text.
        index: usize,
        /// Why it cannot be read.
        source: pem::Error,
    },
    /// A certificate cannot be read.
    BadCertificate {
        /// The index of the text that it is in.
        index: usize,
        /// Why it cannot be read.
        source: rustls::Error,
    },
    /// TLS cannot be set up with them.
    Unusable(rustls::Error),
}

/// Reads all certificates from PEM texts.
pub(super) fn from_pem(texts: &[impl AsRef<[u8]>]) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    for (index, text) in texts.iter().enumerate() {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(text.as_ref()) {
            let certificate = certificate.map_err(|source| RootsError::BadPem { index, source })?;
            roots
                .add(certificate)
                .map_err(|source| RootsError::BadCertificate { index, source })?;
        }
        if roots.len() == before {
            let source = pem::Error::NoItemsFound;
            return Err(RootsError::BadPem { index, source });
        }
    }
    Ok(roots)
}

/// Reads the certificates that the system trusts, or returns those that Mozilla trusts
/// if there are none. This blocks.
pub(super) fn of_system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "cannot read certificates of the system");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    roots
        .roots
        .retain(|root| match check_key(&root.subject_public_key_info) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "a root certificate of the system is left out");
                false
            }
        });
    tracing::debug!(added, ignored, "certificates of the system");
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootsError::BadPem { index, source } => write!(
                f,
                "no root certificate can be read from PEM text number {index}: {source}"
            ),
            RootsError::BadCertificate { index, source } => write!(
                f,
                "a root certificate in PEM text number {index} is broken: {source}"
            ),
            RootsError::Unusable(error) => write!(f, "the root certificates: {error}"),
        }
    }
}

impl Error for RootsError {}
