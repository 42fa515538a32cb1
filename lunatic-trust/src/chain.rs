//! Checks who a chain of certificates is.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::{Validity, issued_at, node_of};
use crate::exchange::MAX_EXCHANGE_BYTES;
use crate::fingerprint::Fingerprint;
use crate::instant::{from_unix, to_unix};
use crate::name::{ClusterName, NodeName};
use crate::refusal::Refusal;

/// The most certificates of a chain that are looked at.
const MAX_CHAIN: usize = 8;

/// Whom a node believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The certificates of the authorities.
    pub(crate) anchors: Vec<CertificateDer<'static>>,
    pub(crate) cluster: ClusterName,
}

/// Which side of a connection shows a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Whom a chain is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: NodeName,
    /// When the certificate was issued, if it says so.
    pub(crate) issued_at: Option<SystemTime>,
}

impl Holder {
    /// Whom a chain is of that was verified before.
    pub(crate) fn of_verified(chain: &[CertificateDer<'_>]) -> Result<Self, Refusal> {
        let first = chain.first().ok_or(Refusal::NoCertificate)?;
        let certificate = parse(first)?;
        let (_, name) = node_of(&certificate).ok_or(Refusal::NoName)?;
        let issued_at = issued_at(&certificate);
        Ok(Self { name, issued_at })
    }
}

impl Trust {
    /// Whether this is the fingerprint of one of the authorities.
    pub(crate) fn knows(&self, authority: Fingerprint) -> bool {
        let mut anchors = self.anchors.iter();
        anchors.any(|anchor| Fingerprint::of(anchor) == authority)
    }

    /// Checks that `chain` is of a node of this cluster, at this time. That the name is not
    /// revoked is for the caller to check.
    ///
    /// - `chain`: the certificate of the node, and those between it and the authority.
    pub(crate) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        side: Side,
        now: SystemTime,
    ) -> Result<Holder, Refusal> {
        let (first, others) = chain.split_first().ok_or(Refusal::NoCertificate)?;
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if chain.len() > MAX_CHAIN || bytes > MAX_EXCHANGE_BYTES {
            return Err(Refusal::TooLarge);
        }
        let certificate = parse(first)?;
        let node = node_of(&certificate);
        let path = |at| self.path(&certificate, others, side, at);
        let outside = match path(to_unix(now)) {
            Ok(()) => None,
            // Only who has a certificate of the authority is told apart by its time.
            Err(webpki::Error::CertExpired { not_after, .. }) => Some((not_after, true)),
            Err(webpki::Error::CertNotValidYet { not_before, .. }) => Some((not_before, false)),
            Err(error) => return Err(self.refusal(error, node)),
        };
        if let Some((time, _)) = outside {
            path(time).map_err(|error| self.refusal(error, node.clone()))?;
        }
        let (cluster, name) = node.ok_or(Refusal::NoName)?;
        if cluster != self.cluster {
            let ours = self.cluster.clone();
            return Err(Refusal::OtherCluster { cluster, ours });
        }
        match outside {
            Some((time, is_over)) => Err(outside_validity(name, first, time, is_over, now)),
            None => Ok(Holder {
                name,
                issued_at: issued_at(&certificate),
            }),
        }
    }

    fn path(
        &self,
        certificate: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        side: Side,
        at: rustls::pki_types::UnixTime,
    ) -> Result<(), webpki::Error> {
        let anchors: Vec<TrustAnchor<'_>> = self
            .anchors
            .iter()
            .map(webpki::anchor_from_trusted_cert)
            .collect::<Result<_, _>>()?;
        let usage = match side {
            Side::Client => KeyUsage::client_auth(),
            Side::Server => KeyUsage::server_auth(),
        };
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                others,
                at,
                usage,
                None,
                None,
            )
            .map(drop)
    }

    fn refusal(&self, error: webpki::Error, node: Option<(ClusterName, NodeName)>) -> Refusal {
        let is_stranger = matches!(
            error,
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey
        );
        match node {
            Some((cluster, _)) if is_stranger && cluster != self.cluster => Refusal::OtherCluster {
                cluster,
                ours: self.cluster.clone(),
            },
            node if is_stranger => Refusal::WrongAuthority {
                claimed: node.map(|(_, name)| name),
                expected: self
                    .anchors
                    .iter()
                    .map(|der| Fingerprint::of(der))
                    .collect(),
            },
            _ => Refusal::Unusable {
                reason: error.to_string(),
            },
        }
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'a>) -> Result<EndEntityCert<'a>, Refusal> {
    EndEntityCert::try_from(certificate).map_err(|error| Refusal::Malformed {
        reason: error.to_string(),
    })
}

/// The refusal of a certificate at a time at which it is not valid.
fn outside_validity(
    name: NodeName,
    certificate: &CertificateDer<'_>,
    bound: rustls::pki_types::UnixTime,
    is_over: bool,
    host_time: SystemTime,
) -> Refusal {
    let bound = from_unix(bound);
    let Validity {
        not_before,
        not_after,
    } = Validity::of(certificate).unwrap_or(Validity {
        not_before: bound,
        not_after: bound,
    });
    if is_over {
        Refusal::Expired {
            name,
            not_before,
            not_after,
            host_time,
        }
    } else {
        Refusal::NotYetValid {
            name,
            not_before,
            not_after,
            host_time,
        }
    }
}
