//! Decides who a peer is, once its connection is open.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::certificate::Validity;
use crate::chain::{Holder, Side};
use crate::credentials::Credentials;
use crate::name::NodeName;
use crate::refusal::Refusal;
use crate::revocation::revoked_at;

/// The protocol that nodes speak to each other.
pub const ALPN: &[u8] = b"lunatic/1";

/// The protocol by which a node joins that has a token and no certificate.
pub const ALPN_JOIN: &[u8] = b"lunatic-join/1";

/// Who a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerIdentity {
    /// A node of this cluster.
    Member(NodeName),
    /// Somebody who may send the request of a [`TokenJoin`](crate::TokenJoin), and nothing
    /// else.
    Joining,
}

impl Credentials {
    /// Decides who a peer is, on each connection that was opened or accepted.
    ///
    /// - `protocol`: what was agreed on by ALPN.
    /// - `chain`: the certificates that the peer has shown.
    /// - `now`: the time.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], for the own log. A peer is told [`REFUSED`](crate::REFUSED) at most.
    pub fn admit(
        &self,
        protocol: Option<&[u8]>,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> Result<PeerIdentity, Refusal> {
        match protocol {
            Some(ALPN) => self
                .check_peer(chain.unwrap_or_default(), Side::Client, now)
                .map(PeerIdentity::Member),
            Some(ALPN_JOIN) if self.authority().is_some() => Ok(PeerIdentity::Joining),
            Some(ALPN_JOIN) => Err(Refusal::JoiningElsewhere),
            other => Err(Refusal::WrongProtocol {
                offered: other.map(|text| text.escape_ascii().to_string()),
            }),
        }
    }

    /// Checks that a peer that was [admitted](Self::admit) has not been revoked since, and that its
    /// authority is still one of this node's, for the connections that are open when names are revoked
    /// and authorities taken away. They may outlive the certificates with which they were opened.
    ///
    /// - `chain`: the certificates that the peer has shown.
    ///
    /// # Errors
    ///
    /// [`Refusal::Revoked`], [`Refusal::WrongAuthority`], or what is wrong with certificates that were
    /// never admitted.
    pub fn check_open(&self, chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        let first = chain.first().ok_or(Refusal::NoCertificate)?;
        // At a time at which it was valid, so that the time is not what is wrong.
        let then = Validity::of(first).map_or(SystemTime::UNIX_EPOCH, |of| of.not_before);
        match self.identity().trust.check(chain, Side::Client, then) {
            Ok(_) | Err(Refusal::Expired { .. } | Refusal::NotYetValid { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        let holder = Holder::of_verified(chain)?;
        self.check_revoked(holder).map(drop)
    }

    /// Checks that others let this node in: that its certificate has not expired, and its name
    /// is not revoked.
    ///
    /// # Errors
    ///
    /// What they would say.
    pub fn check_own(&self, now: SystemTime) -> Result<(), Refusal> {
        self.check_peer(&self.chain(), Side::Client, now).map(drop)
    }

    /// The name of the node that shows this chain.
    pub(crate) fn check_peer(
        &self,
        chain: &[CertificateDer<'_>],
        side: Side,
        now: SystemTime,
    ) -> Result<NodeName, Refusal> {
        let holder = self.identity().trust.check(chain, side, now)?;
        self.check_revoked(holder)
    }

    fn check_revoked(&self, holder: Holder) -> Result<NodeName, Refusal> {
        let name = holder.name;
        match revoked_at(&self.revocations(), &name, holder.issued_at) {
            Some(at) => Err(Refusal::Revoked { name, at }),
            None => Ok(name),
        }
    }
}
