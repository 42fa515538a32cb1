//! The key of an authority, and what it signs.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SigningKey,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use crate::certificate::{Validity, cluster_of, cluster_uri, node_uri, serial};
use crate::fingerprint::{Fingerprint, to_hex};
use crate::instant::{Utc, to_calendar};
use crate::name::{ClusterName, NodeName};

/// How long a certificate is valid if nothing else is asked for: 30 days.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(30 * DAY);

/// The longest that a certificate or a token can be valid: 400 days.
pub const MAX_VALIDITY: Duration = Duration::from_secs(400 * DAY);

/// The shortest that a certificate or a token can be valid: a second.
const MIN_VALIDITY: Duration = Duration::from_secs(1);

/// How long the certificate of an authority is valid: ten years.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(3652 * DAY);

/// How far the clock of another node may be behind that of the authority.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(300);

const DAY: u64 = 24 * 60 * 60;

/// The longest request for a certificate that is read, in bytes.
const MAX_REQUEST_BYTES: usize = 4096;

/// Why a certificate is not issued.
#[derive(Debug)]
#[non_exhaustive]
pub enum IssueError {
    /// What was asked is no request for a certificate (PKCS#10), or its signature is wrong.
    BadRequest {
        /// What is wrong.
        reason: String,
    },
    /// The key is of another kind than ECDSA on P-256, or Ed25519.
    UnsupportedKey,
    /// The validity is below a second, or above [`MAX_VALIDITY`].
    Validity {
        /// What was asked for.
        validity: Duration,
    },
    /// The clock of this host is before 1970 or after 9999.
    Clock,
    /// The certificate of the authority has expired.
    AuthorityExpired {
        /// When.
        not_after: SystemTime,
    },
    /// The random numbers of the system are missing.
    Random(getrandom::Error),
    /// The certificate could not be signed.
    Signing(rcgen::Error),
}

/// The certificate of an authority and its key.
pub(crate) struct Issuer {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) cluster: ClusterName,
    pub(crate) fingerprint: Fingerprint,
    validity: Validity,
}

/// Why two files are no authority.
#[derive(Debug)]
pub(crate) enum BadIssuer {
    Certificate(String),
    Key(String),
    Mismatch,
}

impl Issuer {
    /// Makes a key and a certificate of its own; returns them as PEM.
    pub(crate) fn generate(
        cluster: &ClusterName,
        now: SystemTime,
    ) -> Result<(String, String), IssueError> {
        let key = KeyPair::generate().map_err(IssueError::Signing)?;
        let mut params = params(now, AUTHORITY_VALIDITY)?;
        params.subject_alt_names = vec![uri(&cluster_uri(cluster))?];
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "Lunatic cluster");
        name.push(DnType::CommonName, cluster.as_str());
        // Two clusters of the same name are two issuers.
        name.push(DnType::OrganizationalUnitName, to_hex(&random()?));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).map_err(IssueError::Signing)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// An authority that was made before.
    pub(crate) fn from_parts(
        certificate: CertificateDer<'static>,
        key_pem: &str,
    ) -> Result<Self, BadIssuer> {
        let key = KeyPair::from_pem(key_pem).map_err(|error| BadIssuer::Key(error.to_string()))?;
        let bad = |reason: &str| BadIssuer::Certificate(reason.to_owned());
        let cluster = cluster_of(&certificate)
            .ok_or_else(|| bad("it has no name of the form lunatic://CLUSTER"))?;
        let validity = Validity::of(&certificate).ok_or_else(|| bad("it has no validity"))?;
        let parsed = webpki::EndEntityCert::try_from(&certificate)
            .map_err(|error| bad(&error.to_string()))?;
        if parsed.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(BadIssuer::Mismatch);
        }
        let issuer = rcgen::Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| bad(&error.to_string()))?;
        Ok(Self {
            issuer,
            fingerprint: Fingerprint::of(&certificate),
            cluster,
            validity,
            certificate,
        })
    }

    /// Issues a certificate for the key that has signed `request`.
    pub(crate) fn issue(
        &self,
        name: &NodeName,
        request: &[u8],
        validity: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let not_after = self.validity.not_after;
        let left = not_after.duration_since(now).unwrap_or_default();
        if left < MIN_VALIDITY {
            return Err(IssueError::AuthorityExpired { not_after });
        }
        check_validity(validity)?;
        let key = public_key(request)?;
        let mut params = params(now, validity.min(left))?;
        params.subject_alt_names = vec![uri(&node_uri(&self.cluster, name))?];
        params
            .distinguished_name
            .push(DnType::CommonName, name.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let issued = params.signed_by(&key, &self.issuer);
        Ok(issued.map_err(IssueError::Signing)?.into())
    }

    /// The private key, in DER.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// Signs what is no certificate.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IssueError> {
        let signature = self.issuer.key().sign(message);
        signature.map_err(IssueError::Signing)
    }
}

/// Checks that something can be valid for so long.
pub(crate) fn check_validity(validity: Duration) -> Result<(), IssueError> {
    if (MIN_VALIDITY..=MAX_VALIDITY).contains(&validity) {
        Ok(())
    } else {
        Err(IssueError::Validity { validity })
    }
}

/// The key for which a certificate is requested.
pub(crate) fn public_key(request: &[u8]) -> Result<impl PublicKeyData, IssueError> {
    let bad = |reason: String| IssueError::BadRequest { reason };
    if request.len() > MAX_REQUEST_BYTES {
        return Err(bad(format!("it has more than {MAX_REQUEST_BYTES} bytes")));
    }
    let request =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(|error| bad(error.to_string()))?;
    let key = request.public_key;
    let length = key.der_bytes().len();
    let is_supported = (key.algorithm() == &PKCS_ECDSA_P256_SHA256 && length == 65)
        || (key.algorithm() == &PKCS_ED25519 && length == 32);
    is_supported
        .then_some(key)
        .ok_or(IssueError::UnsupportedKey)
}

/// What all certificates have.
fn params(now: SystemTime, validity: Duration) -> Result<CertificateParams, IssueError> {
    let calendar = |time: Option<SystemTime>| time.and_then(to_calendar).ok_or(IssueError::Clock);
    let mut params = CertificateParams::default();
    params.not_before = calendar(now.checked_sub(CLOCK_DIFFERENCE))?;
    params.not_after = calendar(now.checked_add(validity))?;
    params.serial_number = Some(SerialNumber::from_slice(&serial(now, random()?)));
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

fn random() -> Result<[u8; 8], IssueError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(IssueError::Random)?;
    Ok(random)
}

fn uri(text: &str) -> Result<SanType, IssueError> {
    let text: Result<Ia5String, _> = text.try_into();
    text.map(SanType::URI).map_err(IssueError::Signing)
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("cluster", &self.cluster)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest { reason } => {
                write!(f, "the request for a certificate cannot be read: {reason}")
            }
            Self::UnsupportedKey => {
                f.write_str("a node has an ECDSA key on P-256, or an Ed25519 key")
            }
            Self::Validity { validity } => write!(
                f,
                "a validity is between a second and {} days, not {validity:?}",
                MAX_VALIDITY.as_secs() / DAY
            ),
            Self::Clock => f.write_str("the clock of this host is before 1970 or after 9999"),
            Self::AuthorityExpired { not_after } => write!(
                f,
                "the certificate of the authority has expired at {}; make another cluster directory",
                Utc(*not_after)
            ),
            Self::Random(_) => f.write_str("the system gives no random numbers"),
            Self::Signing(_) => f.write_str("the certificate cannot be signed"),
        }
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Random(error) => Some(error),
            Self::Signing(error) => Some(error),
            _ => None,
        }
    }
}
