//! Who may join a cluster of Lunatic nodes: certificates, tokens and revocations.
//!
//! An [`Authority`] is the directory of a cluster. It makes a [`Token`] for each node that is
//! to join; a [`TokenJoin`] turns it into [`Credentials`]. Those make the configurations of
//! TLS, and [`admit`](Credentials::admit) the peers of connections.
//!
//! There is no networking here and no clock: bytes are passed in and out, and so is the time.
//!
//! # Layout
//!
//! All but the names needs the feature `certificates`, which is on by default.
//!
//! - `name`: names of nodes and clusters, and patterns for them.
//! - `authority`: the directory; `redeeming` has tokens, `revoking` the revoked names,
//!   `answering` what nodes ask for. `issuer` signs.
//! - `token`: the text of a token.
//! - `join`: the side of the node that has a token; `exchange` is what the two say, `issued` reads
//!   the answer.
//! - `credentials`: what a node shows, and how it is kept up to date; `identity` is one
//!   certificate with its key.
//! - `chain`, `admission`: who a peer is. `refusal`: why it is not let in.
//! - `revocation`: the signed list that nodes pass on.
//! - `tls`: the configurations of rustls.
//! - `certificate`, `key`, `fingerprint`, `instant`, `files`: what these are made of.
//!
//! # Invariants
//!
//! - A private key is not in any `Debug` or `Display`, nor in an error. Files with secrets have
//!   the mode 0600, and are replaced as a whole.
//! - A token is used up before anybody gets what it is for.
//! - Nothing from a peer is parsed beyond [`MAX_EXCHANGE_BYTES`]. A request for a certificate
//!   is parsed only if it comes with the proof of a token or from a member.
//! - Sessions of TLS are not resumed, so that each connection is verified.

#[cfg(feature = "certificates")]
mod admission;
#[cfg(feature = "certificates")]
mod authority;
#[cfg(feature = "certificates")]
mod certificate;
#[cfg(feature = "certificates")]
mod chain;
#[cfg(feature = "certificates")]
mod credentials;
#[cfg(feature = "certificates")]
mod exchange;
#[cfg(feature = "certificates")]
mod files;
#[cfg(feature = "certificates")]
mod fingerprint;
#[cfg(feature = "certificates")]
mod identity;
#[cfg(feature = "certificates")]
mod instant;
#[cfg(feature = "certificates")]
mod issued;
#[cfg(feature = "certificates")]
mod issuer;
#[cfg(feature = "certificates")]
mod join;
#[cfg(feature = "certificates")]
mod key;
mod name;
#[cfg(feature = "certificates")]
mod refusal;
#[cfg(feature = "certificates")]
mod revocation;
#[cfg(feature = "certificates")]
mod tls;
#[cfg(feature = "certificates")]
mod token;

#[cfg(feature = "certificates")]
pub use admission::{ALPN, ALPN_JOIN, PeerIdentity};
#[cfg(feature = "certificates")]
pub use authority::{
    Answer, AnswerError, Authority, AuthorityError, Issued, RedeemError, RenewError, RevokeError,
    TokenError,
};
#[cfg(feature = "certificates")]
pub use certificate::Validity;
#[cfg(feature = "certificates")]
pub use credentials::{
    Credentials, CredentialsError, IdentityFiles, RefreshWarning, Refreshed, Renewal, RenewalError,
};
#[cfg(feature = "certificates")]
pub use exchange::MAX_EXCHANGE_BYTES;
#[cfg(feature = "certificates")]
pub use files::FileError;
#[cfg(feature = "certificates")]
pub use fingerprint::Fingerprint;
#[cfg(feature = "certificates")]
pub use identity::IdentityError;
#[cfg(feature = "certificates")]
pub use issued::JoinError;
#[cfg(feature = "certificates")]
pub use issuer::{DEFAULT_VALIDITY, IssueError, MAX_VALIDITY};
#[cfg(feature = "certificates")]
pub use join::TokenJoin;
pub use name::{ClusterName, InvalidName, MAX_NAME_BYTES, NamePattern, NodeName};
#[cfg(feature = "certificates")]
pub use refusal::{REFUSED, Refusal};
#[cfg(feature = "certificates")]
pub use revocation::{InvalidRevocations, MAX_REVOKED, RevocationList};
#[cfg(feature = "certificates")]
pub use tls::{SERVER_NAME, refusal};
#[cfg(feature = "certificates")]
pub use token::{InvalidToken, Token};

/// The examples in the README, as tests.
#[cfg(all(doctest, feature = "certificates"))]
#[doc = include_str!("../README.md")]
mod readme {}
