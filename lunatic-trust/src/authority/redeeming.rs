//! Tokens: made by who owns the directory, redeemed once.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::PublicKeyData;
use rustls::pki_types::CertificateDer;

use crate::authority::record::{Record, forget_expired};
use crate::authority::{Authority, AuthorityError, RedeemError, TOKENS, TokenError};
use crate::fingerprint::Fingerprint;
use crate::issuer::{DEFAULT_VALIDITY, IssueError, check_validity, public_key};
use crate::name::{NamePattern, NodeName};
use crate::token::{Proof, Token};

impl Authority {
    /// Makes a token, which lets one node in.
    ///
    /// - `names`: which names the node may have; any, if `None`.
    /// - `valid_for`: until when it can be used, at most
    ///   [`MAX_VALIDITY`](crate::MAX_VALIDITY).
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it cannot be made.
    pub fn token(
        &self,
        names: Option<NamePattern>,
        valid_for: Duration,
        now: SystemTime,
    ) -> Result<Token, TokenError> {
        check_validity(valid_for).map_err(TokenError::Issue)?;
        let token = Token::new(self.cluster().clone(), self.fingerprint())
            .map_err(|error| TokenError::Issue(IssueError::Random(error)))?;
        let expires_at = now
            .checked_add(valid_for)
            .ok_or(TokenError::Issue(IssueError::Clock))?;
        let record = Record::new(
            &token,
            names.unwrap_or_else(NamePattern::any),
            now,
            expires_at,
        );
        let _lock = self.lock().map_err(TokenError::File)?;
        forget_expired(&self.path(TOKENS), now);
        record
            .write(&self.token_path(token.id()))
            .map_err(TokenError::File)?;
        Ok(token)
    }

    /// Issues a certificate to who has a token, and marks it as used. Of two that redeem it
    /// at the same time, in whatever processes, one is refused.
    ///
    /// Who has redeemed a token may do so again with the same key and the same name, as it
    /// may not have got the answer.
    ///
    /// - `name`: the name that the node wants to have.
    /// - `request`: PKCS#10 in DER. Only its key is used; it is not looked at before the
    ///   token is found.
    ///
    /// Returns the certificate, valid for
    /// [`DEFAULT_VALIDITY`](crate::DEFAULT_VALIDITY), and that of the authority.
    ///
    /// # Errors
    ///
    /// [`RedeemError`]: what is wrong with the token, or with the request.
    pub fn redeem(
        &self,
        token: &Token,
        name: &NodeName,
        request: &[u8],
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, RedeemError> {
        self.redeem_proof(&token.prove(name, request), name, request, now)
    }

    /// The same for who has shown that it has a token.
    pub(super) fn redeem_proof(
        &self,
        proof: &Proof,
        name: &NodeName,
        request: &[u8],
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, RedeemError> {
        if proof.authority != self.fingerprint() {
            return Err(RedeemError::WrongCluster {
                cluster: proof.cluster.clone(),
                ours: self.cluster().clone(),
            });
        }
        let path = self.token_path(proof.token);
        // Who has no token keeps nobody waiting.
        Record::read(&path, proof, name, request)?;
        let key = Fingerprint::of(&public_key(request)?.subject_public_key_info());
        let _lock = self.lock().map_err(AuthorityError::File)?;
        let mut record = Record::read(&path, proof, name, request)?;
        record.check(name, key, self.revocations()?.revoked_at(name), now)?;
        let chain = self.issue(name, request, DEFAULT_VALIDITY, now)?;
        // Nobody gets the certificate before the token is used up.
        record.set_used(name, key, now);
        record.write(&path).map_err(AuthorityError::File)?;
        Ok(chain)
    }

    fn token_path(&self, token: Fingerprint) -> PathBuf {
        self.path(TOKENS).join(format!("{token}.json"))
    }
}
