//! What a certificate says: who, until when, and when it was issued.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::instant::{from_milliseconds, milliseconds};
use crate::name::{ClusterName, NodeName};

/// What names of nodes begin with: `lunatic://CLUSTER/NODE`, a URI among the names of the
/// subject.
const SCHEME: &str = "lunatic://";

/// The first byte of a serial number that says when the certificate was issued.
const SERIAL_MARK: u8 = b'L';

/// Since when and until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first time at which it is valid.
    pub not_before: SystemTime,
    /// The last.
    pub not_after: SystemTime,
}

impl Validity {
    /// Of a certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        let time = |seconds: i64| {
            let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
            UNIX_EPOCH.checked_add(seconds)
        };
        Some(Self {
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
        })
    }

    /// Whether a third of it, or less, is left.
    pub(crate) fn is_nearly_over(&self, now: SystemTime) -> bool {
        let whole = self.not_after.duration_since(self.not_before);
        let left = self.not_after.duration_since(now);
        left.unwrap_or_default() <= whole.unwrap_or_default() / 3
    }
}

/// The URI that names a node in a certificate.
pub(crate) fn node_uri(cluster: &ClusterName, name: &NodeName) -> String {
    format!("{SCHEME}{cluster}/{name}")
}

/// The URI that names a cluster in the certificate of its authority.
pub(crate) fn cluster_uri(cluster: &ClusterName) -> String {
    format!("{SCHEME}{cluster}")
}

/// The node that a certificate names, if it names exactly one.
pub(crate) fn node_of(certificate: &EndEntityCert<'_>) -> Option<(ClusterName, NodeName)> {
    let mut names = certificate
        .valid_uri_names()
        .filter_map(|uri| uri.strip_prefix(SCHEME));
    let (cluster, name) = names.next()?.split_once('/')?;
    if names.next().is_some() {
        return None;
    }
    Some((cluster.parse().ok()?, name.parse().ok()?))
}

/// The cluster whose authority this is the certificate of.
pub(crate) fn cluster_of(certificate: &CertificateDer<'_>) -> Option<ClusterName> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_uri_names();
    names.find_map(|uri| uri.strip_prefix(SCHEME)?.parse().ok())
}

/// A serial number that says that the certificate is issued `now`.
pub(crate) fn serial(now: SystemTime, random: [u8; 8]) -> [u8; 17] {
    let mut serial = [SERIAL_MARK; 17];
    serial[1..9].copy_from_slice(&milliseconds(now).to_be_bytes());
    serial[9..].copy_from_slice(&random);
    serial
}

/// When a certificate was issued, if its serial number says so.
pub(crate) fn issued_at(certificate: &EndEntityCert<'_>) -> Option<SystemTime> {
    let (mark, rest) = certificate.serial().split_first()?;
    let (issued, random) = rest.split_first_chunk::<8>()?;
    (*mark == SERIAL_MARK && random.len() == 8)
        .then(|| from_milliseconds(u64::from_be_bytes(*issued)))
}
