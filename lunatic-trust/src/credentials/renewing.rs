//! Asks who has the cluster directory for another certificate.

use std::fmt;
use std::time::SystemTime;

use crate::credentials::{Credentials, RenewalError, Source};
use crate::exchange::Request;
use crate::issued::{JoinError, issued};
use crate::key::NodeKey;

/// A request for another certificate that has not been answered yet.
///
/// It is sent over a connection that the node has opened with its present certificate.
pub struct Renewal {
    key: NodeKey,
    request: Vec<u8>,
}

impl Renewal {
    /// What is sent to a node that has the cluster directory, for
    /// [`Authority::answer`](crate::Authority::answer).
    pub fn request(&self) -> &[u8] {
        &self.request
    }
}

impl Credentials {
    /// Whether a third, or less, of the validity of the certificate is left.
    pub fn needs_renewal(&self, now: SystemTime) -> bool {
        self.identity().validity.is_nearly_over(now)
    }

    /// Whether another certificate comes by [`begin_renewal`](Self::begin_renewal); if not,
    /// [`refresh`](Self::refresh) takes care of it.
    pub fn renews_by_request(&self) -> bool {
        matches!(self.shared.source, Source::Request)
    }

    /// Makes another key, and a request for a certificate for it. Nothing changes before it is
    /// answered.
    ///
    /// # Errors
    ///
    /// [`RenewalError`] if nobody is to be asked, or no key could be made.
    pub fn begin_renewal(&self) -> Result<Renewal, RenewalError> {
        if !self.renews_by_request() {
            return Err(RenewalError::NotByRequest);
        }
        let key = NodeKey::generate().map_err(RenewalError::Key)?;
        let request = key.request().map_err(RenewalError::Key)?;
        let request = Request::Renew { request: &request }.to_bytes();
        Ok(Renewal { key, request })
    }

    /// Uses the answer to a renewal from now on, and keeps it in the state directory.
    ///
    /// # Errors
    ///
    /// [`RenewalError`] if the answer is a refusal or is of no use; the earlier certificate is
    /// still used then, and another node may give a better answer. If it
    /// [is in use](RenewalError::is_in_use), the new one could not be kept.
    pub fn finish_renewal(
        &self,
        renewal: &Renewal,
        response: &[u8],
        now: SystemTime,
    ) -> Result<(), RenewalError> {
        let held = self.identity();
        let authority = |der: &[u8]| {
            held.trust
                .anchors
                .iter()
                .any(|anchor| anchor.as_ref() == der)
        };
        let answered = issued(
            response,
            &renewal.key,
            authority,
            &held.trust.cluster,
            &held.name,
            now,
        );
        let (identity, list) = answered.map_err(RenewalError::Answer)?;
        self.install(identity);
        let saved = self.save_identity();
        // It is of the authority, and therefore valid.
        let _ = self.accept_revocations(list.as_bytes());
        saved.map_err(|error| RenewalError::Answer(JoinError::File(error)))
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal(..)")
    }
}
