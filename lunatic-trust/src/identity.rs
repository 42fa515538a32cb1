//! Who a node is: its certificate, its private key and whom it believes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use ::pem::Pem;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::certificate::{Validity, issued_at, node_of};
use crate::chain::{Side, Trust};
use crate::name::NodeName;
use crate::refusal::Refusal;

/// The certificate of a node, its private key and the authorities that it believes.
pub(crate) struct Identity {
    pub(crate) name: NodeName,
    pub(crate) trust: Trust,
    pub(crate) validity: Validity,
    pub(crate) issued_at: Option<SystemTime>,
    /// What is shown to others.
    pub(crate) certified: Arc<CertifiedKey>,
    key: PrivateKeyDer<'static>,
}

/// Why certificates and a key cannot be used by a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no certificate of an authority.
    NoAuthority,
    /// What there is instead cannot be read.
    BadAuthority {
        /// What is wrong.
        reason: String,
    },
    /// There is no certificate.
    NoCertificate,
    /// There is no private key.
    NoKey,
    /// What there is cannot be read.
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The key is not that of the certificate, or is not understood.
    Key(rustls::Error),
    /// Others would not accept the certificate.
    Refused(Refusal),
}

impl Identity {
    /// The private key of the node.
    pub(crate) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// Checks that others accept this node.
    ///
    /// - `anchors`: the certificates of authorities.
    /// - `chain`: the certificate of the node, and those between it and an authority.
    pub(crate) fn new(
        anchors: Vec<CertificateDer<'static>>,
        mut chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: SystemTime,
    ) -> Result<Self, IdentityError> {
        let first = chain.first().cloned().ok_or(IdentityError::NoCertificate)?;
        if anchors.is_empty() {
            return Err(IdentityError::NoAuthority);
        }
        for anchor in &anchors {
            webpki::anchor_from_trusted_cert(anchor).map_err(|error| {
                IdentityError::BadAuthority {
                    reason: error.to_string(),
                }
            })?;
        }
        let certificate =
            EndEntityCert::try_from(&first).map_err(|error| IdentityError::Malformed {
                reason: error.to_string(),
            })?;
        let (cluster, name) =
            node_of(&certificate).ok_or(IdentityError::Refused(Refusal::NoName))?;
        // Who joins with a token finds the authority in the chain.
        if let [anchor] = anchors.as_slice()
            && !chain.contains(anchor)
        {
            chain.push(anchor.clone());
        }
        let trust = Trust { anchors, cluster };
        for side in [Side::Client, Side::Server] {
            trust
                .check(&chain, side, now)
                .map_err(IdentityError::Refused)?;
        }
        let validity = Validity::of(&first).ok_or_else(|| IdentityError::Malformed {
            reason: "the certificate has no validity".to_owned(),
        })?;
        let certified = CertifiedKey::from_der(chain, key.clone_key(), &default_provider())
            .map_err(IdentityError::Key)?;
        Ok(Self {
            name,
            trust,
            validity,
            issued_at: issued_at(&certificate),
            certified: certified.into(),
            key,
        })
    }

    /// Whether `other` has the same certificates and the same key.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.trust == other.trust
            && self.certified.cert == other.certified.cert
            && self.key.secret_der() == other.key.secret_der()
    }

    /// Reads what [`to_pem`](Self::to_pem) has written.
    pub(crate) fn from_bundle(pem: &[u8], now: SystemTime) -> Result<Self, IdentityError> {
        let chain = certificates(pem)?;
        let anchor = chain.last().cloned();
        let key = private_key(pem)?;
        Self::new(anchor.into_iter().collect(), chain, key, now)
    }

    /// The key and the chain, the last of which is the authority: a secret.
    pub(crate) fn to_pem(&self) -> String {
        let mut parts = vec![Pem::new("PRIVATE KEY", self.key.secret_der())];
        let certificates = self.certified.cert.iter();
        parts.extend(certificates.map(|der| Pem::new("CERTIFICATE", der.as_ref())));
        ::pem::encode_many(&parts)
    }
}

/// The certificates in a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(malformed)
}

/// The first private key in a PEM text.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => IdentityError::NoKey,
        error => malformed(error),
    })
}

/// What is wrong with a PEM text, without what is in it.
fn malformed(error: pem::Error) -> IdentityError {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a section of the PEM text has no end",
        _ => "it is no PEM text",
    };
    IdentityError::Malformed {
        reason: reason.to_owned(),
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("cluster", &self.trust.cluster)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthority => f.write_str("there is no certificate of an authority"),
            Self::BadAuthority { reason } => write!(
                f,
                "the certificate of an authority cannot be read: {reason}"
            ),
            Self::NoCertificate => f.write_str("there is no certificate"),
            Self::NoKey => f.write_str("there is no private key"),
            Self::Malformed { reason } => write!(f, "it cannot be read: {reason}"),
            Self::Key(_) => f.write_str("the key cannot be used with the certificate"),
            Self::Refused(_) => f.write_str("others would not accept the certificate"),
        }
    }
}

impl Error for IdentityError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Key(error) => Some(error),
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
