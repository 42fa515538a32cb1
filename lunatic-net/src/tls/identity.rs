//! The certificate of a server and its private key.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::provider;

/// The certificate of a server with its chain, and its private key.
///
/// # Examples
///
/// ```
/// use lunatic_net::TlsIdentity;
/// use rcgen::{CertificateParams, KeyPair};
///
/// let key = KeyPair::generate()?;
/// let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
/// let (certificate, key) = (certificate.pem(), key.serialize_pem());
/// TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes())?;
/// assert!(TlsIdentity::from_pem(key.as_bytes(), certificate.as_bytes()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    pub(super) config: Arc<ServerConfig>,
    /// Bytes of the texts that it was read from.
    size: usize,
    signs_slowly: bool,
}

/// The longest private key with which to sign takes no more than a millisecond or two: one of RSA
/// with 3072 bits.
const QUICK_KEY_BYTES: usize = 2000;

/// Why a certificate and a key cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityError {
    /// The PEM text has no certificate, or cannot be read.
    BadCertificates(pem::Error),
    /// The PEM text has no private key, or cannot be read.
    BadKey(pem::Error),
    /// There is more than one private key.
    SeveralKeys,
    /// The two do not belong together, or are of a kind that TLS cannot use.
    Unusable(rustls::Error),
}

impl TlsIdentity {
    /// Reads a certificate and a key from PEM texts.
    ///
    /// - `certificates`: the certificate of the server, followed by its chain.
    /// - `key`: PKCS#8, PKCS#1 (RSA) or SEC1 (elliptic curves).
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if they cannot be read or used.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<TlsIdentity, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(IdentityError::BadCertificates)?;
        if chain.is_empty() {
            return Err(IdentityError::BadCertificates(pem::Error::NoItemsFound));
        }
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::Unusable)?
            .with_no_client_auth();
        let size = certificates.len() + key.len();
        let key = only_key(key)?;
        let signs_slowly = key.secret_der().len() > QUICK_KEY_BYTES;
        let config = config
            .with_single_cert(chain, key)
            .map_err(IdentityError::Unusable)?;
        Ok(TlsIdentity {
            config: Arc::new(config),
            size,
            signs_slowly,
        })
    }

    /// Whether to sign with its key, once for each handshake, takes milliseconds.
    pub(super) fn signs_slowly(&self) -> bool {
        self.signs_slowly
    }

    /// About how many bytes it takes: as many as the texts that it was read from.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

fn only_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let mut keys = PrivateKeyDer::pem_slice_iter(text);
    let key = keys
        .next()
        .unwrap_or(Err(pem::Error::NoItemsFound))
        .map_err(IdentityError::BadKey)?;
    match keys.next() {
        None => Ok(key),
        Some(_) => Err(IdentityError::SeveralKeys),
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::BadCertificates(error) => {
                write!(f, "no certificate can be read from the PEM text: {error}")
            }
            IdentityError::BadKey(error) => {
                write!(f, "no private key can be read from the PEM text: {error}")
            }
            IdentityError::SeveralKeys => f.write_str("the PEM text has more than one private key"),
            IdentityError::Unusable(error) => {
                write!(f, "certificate and private key are not usable: {error}")
            }
        }
    }
}

impl Error for IdentityError {}
