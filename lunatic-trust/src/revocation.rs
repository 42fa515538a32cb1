//! The names whose certificates are accepted no more: a list that the authority signs.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

use crate::exchange::MAX_EXCHANGE_BYTES;
use crate::fingerprint::Fingerprint;
use crate::instant::from_milliseconds;
use crate::name::{ClusterName, NodeName};

/// The most names that a list has, so that it stays below [`MAX_EXCHANGE_BYTES`].
pub const MAX_REVOKED: usize = 800;

/// What is signed begins with this, so that the signature is of use for nothing else.
const CONTEXT: &[u8] = b"lunatic revocations 1\0";

/// The names that an authority has revoked, signed by it.
///
/// Nodes pass the bytes on; whoever knows the certificate of the authority can check them.
/// Of two lists, that with the higher number holds.
#[derive(Clone)]
pub struct RevocationList {
    bytes: Arc<[u8]>,
    content: Arc<Content>,
    /// The hash of what is signed. The bytes can be others for the same, as a signature can.
    digest: Fingerprint,
}

#[derive(Serialize, Deserialize)]
struct Content {
    cluster: ClusterName,
    authority: Fingerprint,
    number: u64,
    revoked: Vec<Revoked>,
}

/// A name whose certificates are not accepted if they were issued at this time or earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub(crate) name: NodeName,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

#[derive(Serialize, Deserialize)]
struct Signed<'a> {
    content: &'a [u8],
    signature: &'a [u8],
}

/// Why bytes are no list of this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRevocations {
    /// There are more than [`MAX_EXCHANGE_BYTES`].
    TooLarge,
    /// They are no list.
    Malformed,
    /// No authority of this cluster has signed them.
    WrongSignature,
    /// The list is for another cluster.
    OtherCluster {
        /// That cluster.
        cluster: ClusterName,
    },
}

impl RevocationList {
    /// Reads a list and checks who has signed it.
    ///
    /// - `anchors`: the certificates of the authorities that are accepted.
    pub(crate) fn verify(
        bytes: &[u8],
        anchors: &[CertificateDer<'_>],
        cluster: &ClusterName,
    ) -> Result<Self, InvalidRevocations> {
        if bytes.len() > MAX_EXCHANGE_BYTES {
            return Err(InvalidRevocations::TooLarge);
        }
        let malformed = |_| InvalidRevocations::Malformed;
        let (signed, rest) = postcard::take_from_bytes::<Signed<'_>>(bytes).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(InvalidRevocations::Malformed);
        }
        let signer = anchors
            .iter()
            .find(|anchor| has_signed(anchor, signed.content, signed.signature))
            .ok_or(InvalidRevocations::WrongSignature)?;
        // Nothing is made of the content before its signer is known.
        let content: Content = postcard::from_bytes(signed.content).map_err(malformed)?;
        if content.authority != Fingerprint::of(signer) {
            return Err(InvalidRevocations::WrongSignature);
        }
        if content.cluster != *cluster {
            let cluster = content.cluster;
            return Err(InvalidRevocations::OtherCluster { cluster });
        }
        Ok(Self {
            digest: Fingerprint::of(signed.content),
            bytes: bytes.into(),
            content: content.into(),
        })
    }

    /// Makes a list.
    ///
    /// - `sign`: what signs for the authority with the fingerprint `authority`.
    pub(crate) fn sign<E>(
        cluster: ClusterName,
        authority: Fingerprint,
        number: u64,
        revoked: Vec<Revoked>,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let content = Content {
            cluster,
            authority,
            number,
            revoked,
        };
        let serialized = postcard::to_allocvec(&content).unwrap_or_default();
        let signature = sign(&in_context(&serialized))?;
        let signed = Signed {
            content: &serialized,
            signature: &signature,
        };
        Ok(Self {
            digest: Fingerprint::of(&serialized),
            bytes: postcard::to_allocvec(&signed).unwrap_or_default().into(),
            content: content.into(),
        })
    }

    /// The list as it is passed on.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the list, which is higher than those of earlier ones.
    pub fn number(&self) -> u64 {
        self.content.number
    }

    /// The authority that has signed it.
    pub fn authority(&self) -> Fingerprint {
        self.content.authority
    }

    /// The names and when they were revoked.
    pub fn names(&self) -> impl Iterator<Item = (&NodeName, SystemTime)> {
        let revoked = self.content.revoked.iter();
        revoked.map(|revoked| (&revoked.name, from_milliseconds(revoked.at)))
    }

    /// When `name` was revoked.
    pub fn revoked_at(&self, name: &NodeName) -> Option<SystemTime> {
        self.names()
            .find(|(revoked, _)| *revoked == name)
            .map(|(_, at)| at)
    }

    /// Whether this holds instead of `other`. Of two with the same number, which only a copy of
    /// the cluster directory can make, all nodes take the same.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        (self.number(), self.digest) > (other.number(), other.digest)
    }

    pub(crate) fn entries(&self) -> &[Revoked] {
        &self.content.revoked
    }
}

/// Returns since when a certificate is revoked.
///
/// - `issued_at`: when it was issued; one that does not say so is of any time.
pub(crate) fn revoked_at(
    lists: &[RevocationList],
    name: &NodeName,
    issued_at: Option<SystemTime>,
) -> Option<SystemTime> {
    let times = lists.iter().filter_map(|list| list.revoked_at(name));
    times
        .max()
        .filter(|revoked| issued_at.is_none_or(|issued| issued <= *revoked))
}

fn in_context(content: &[u8]) -> Vec<u8> {
    [CONTEXT, content].concat()
}

fn has_signed(anchor: &CertificateDer<'_>, content: &[u8], signature: &[u8]) -> bool {
    let Ok(anchor) = EndEntityCert::try_from(anchor) else {
        return false;
    };
    let message = in_context(content);
    [webpki::ring::ECDSA_P256_SHA256, webpki::ring::ED25519]
        .into_iter()
        .any(|algorithm| {
            anchor
                .verify_signature(algorithm, &message, signature)
                .is_ok()
        })
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("number", &self.number())
            .field("revoked", &self.content.revoked)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for RevocationList {}

impl fmt::Display for InvalidRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(
                    f,
                    "the list of revoked names has more than {MAX_EXCHANGE_BYTES} bytes"
                )
            }
            Self::Malformed => f.write_str("this is no list of revoked names"),
            Self::WrongSignature => {
                f.write_str("the list of revoked names is not signed by the authority")
            }
            Self::OtherCluster { cluster } => {
                write!(f, "the list of revoked names is for the cluster {cluster}")
            }
        }
    }
}

impl Error for InvalidRevocations {}
