//! A token: what lets one node into a cluster, as a line of text.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fingerprint::{Fingerprint, from_hex, to_hex};
use crate::name::{ClusterName, NodeName};

const PREFIX: &str = "lunatic-token";

/// The longest text that is read, in bytes.
const MAX_TEXT_BYTES: usize = 512;

const CHECKSUM_BYTES: usize = 4;

/// What lets one node into a cluster: who its authority is, and a secret.
///
/// The text is one line. It is a secret, and therefore `Debug` and `Display` leave it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    cluster: ClusterName,
    authority: Fingerprint,
    secret: [u8; 32],
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It does not begin as a token does.
    NoToken,
    /// Part of it is missing, or was changed.
    Damaged,
}

impl Token {
    pub(crate) fn new(
        cluster: ClusterName,
        authority: Fingerprint,
    ) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            cluster,
            authority,
            secret,
        })
    }

    /// The line that is given to whoever starts the node. It is a secret.
    pub fn to_text(&self) -> String {
        let bytes = [
            self.authority.as_bytes().as_slice(),
            &self.secret,
            &self.checksum(),
        ]
        .concat();
        format!("{PREFIX}:{}:{}", self.cluster, to_hex(&bytes))
    }

    /// The cluster that is joined.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The fingerprint of the certificate of its authority.
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// What the cluster directory calls the token.
    pub(crate) fn id(&self) -> Fingerprint {
        self.derive(b"lunatic token id 1\0")
    }

    /// What the cluster directory keeps to check a [`Proof`].
    pub(crate) fn proof_key(&self) -> ProofKey {
        ProofKey(self.derive(b"lunatic token proof 1\0"))
    }

    /// Shows that who has the token wants `name` for the key in `request`. The secret stays
    /// where it is, so that nobody on the way can use the token for another key.
    pub(crate) fn prove(&self, name: &NodeName, request: &[u8]) -> Proof {
        let mut proof = Proof {
            cluster: self.cluster.clone(),
            authority: self.authority,
            token: self.id(),
            tag: [0; 32],
        };
        let tag = hmac::sign(&self.proof_key().hmac(), &proof.proven(name, request));
        proof.tag.copy_from_slice(tag.as_ref());
        proof
    }

    fn derive(&self, purpose: &[u8]) -> Fingerprint {
        Fingerprint::of(&[purpose, &self.secret].concat())
    }

    /// Tells a text that was cut or mistyped from one that is not known.
    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let digest = Sha256::new()
            .chain_update(b"lunatic token 1\0")
            .chain_update(self.cluster.as_str())
            .chain_update([0])
            .chain_update(self.authority.as_bytes())
            .chain_update(self.secret)
            .finalize();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

/// What a node shows instead of a token.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) cluster: ClusterName,
    pub(crate) authority: Fingerprint,
    pub(crate) token: Fingerprint,
    tag: [u8; 32],
}

impl Proof {
    /// What is proven: all that is sent. No name has the byte 0.
    fn proven(&self, name: &NodeName, request: &[u8]) -> Vec<u8> {
        [
            self.cluster.as_str().as_bytes(),
            &[0],
            self.authority.as_bytes(),
            self.token.as_bytes(),
            name.as_str().as_bytes(),
            &[0],
            request,
        ]
        .concat()
    }
}

/// What is kept of the secret of a token.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ProofKey(Fingerprint);

impl ProofKey {
    /// Whether `proof` was made with the token that this is of.
    pub(crate) fn accepts(&self, proof: &Proof, name: &NodeName, request: &[u8]) -> bool {
        hmac::verify(&self.hmac(), &proof.proven(name, request), &proof.tag).is_ok()
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let rest = text.trim().strip_prefix(PREFIX);
        let rest = rest.and_then(|rest| rest.strip_prefix(':'));
        let rest = rest.ok_or(InvalidToken::NoToken)?;
        if rest.len() > MAX_TEXT_BYTES {
            return Err(InvalidToken::Damaged);
        }
        parse(rest).ok_or(InvalidToken::Damaged)
    }
}

fn parse(text: &str) -> Option<Token> {
    let (cluster, digits) = text.split_once(':')?;
    let bytes = from_hex(digits)?;
    let (authority, rest) = bytes.split_first_chunk()?;
    let (secret, checksum) = rest.split_first_chunk()?;
    let token = Token {
        cluster: cluster.parse().ok()?,
        authority: Fingerprint::from_bytes(*authority),
        secret: *secret,
    };
    (checksum == token.checksum()).then_some(token)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("cluster", &self.cluster)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => write!(
                f,
                "this is no token, which is a line that begins with {PREFIX}:"
            ),
            Self::Damaged => f.write_str("the token is damaged: part of it is missing or changed"),
        }
    }
}

impl Error for InvalidToken {}
