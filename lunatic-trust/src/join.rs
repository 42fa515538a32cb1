//! How a node joins with a token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::credentials::Credentials;
use crate::exchange::Request;
use crate::files;
use crate::fingerprint::Fingerprint;
use crate::issued::{JoinError, issued};
use crate::key::NodeKey;
use crate::name::NodeName;
use crate::tls;
use crate::token::Token;

/// The key of a node that has asked to join, in its state directory.
const PENDING_KEY: &str = "joining.key";

/// A node that joins with a token.
///
/// It opens a connection to a seed with [`tls`](TokenJoin::tls), sends
/// [`request`](TokenJoin::request), and gives the answer to [`finish`](TokenJoin::finish). If
/// the answer is lost, the same can be done again, also after a restart with the same state
/// directory.
pub struct TokenJoin {
    token: Token,
    name: NodeName,
    key: NodeKey,
    request: Vec<u8>,
    state: Option<PathBuf>,
}

impl TokenJoin {
    /// Makes a key, or takes that of an earlier attempt.
    ///
    /// - `name`: the name that the node wants to have.
    /// - `state`: where the key, and then the credentials, are kept; made if it is missing.
    ///   Without it, a token is needed for each start.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the key cannot be made or kept.
    pub fn new(token: Token, name: NodeName, state: Option<&Path>) -> Result<Self, JoinError> {
        let key = match state {
            Some(state) => pending_key(state)?,
            None => NodeKey::generate().map_err(JoinError::Key)?,
        };
        let request = key.request().map_err(JoinError::Key)?;
        let request = Request::Join {
            proof: token.prove(&name, &request),
            name: name.clone(),
            request: &request,
        }
        .to_bytes();
        Ok(Self {
            token,
            name,
            key,
            request,
            state: state.map(Path::to_owned),
        })
    }

    /// What is sent to a node that has the cluster directory, for
    /// [`Authority::answer`](crate::Authority::answer).
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// How the connection to a seed is opened: by the protocol
    /// [`ALPN_JOIN`](crate::ALPN_JOIN), without a certificate, and only to a node whose
    /// authority is that of the token. The clock is that of the system.
    ///
    /// # Errors
    ///
    /// [`rustls::Error`] if rustls cannot be used so, which is a defect of this crate.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.tls_with_clock(Arc::new(DefaultTimeProvider))
    }

    /// The same with another clock.
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls).
    pub fn tls_with_clock(
        &self,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        tls::joining_client(self.token.cluster().clone(), self.token.authority(), clock)
    }

    /// Takes the answer, and keeps the credentials in the state directory.
    ///
    /// - `response`: what the seed has answered, at most
    ///   [`MAX_EXCHANGE_BYTES`](crate::MAX_EXCHANGE_BYTES).
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the node was refused, or the answer is of no use.
    pub fn finish(&self, response: &[u8], now: SystemTime) -> Result<Credentials, JoinError> {
        let authority = |der: &[u8]| Fingerprint::of(der) == self.token.authority();
        let cluster = self.token.cluster();
        let (identity, list) = issued(response, &self.key, authority, cluster, &self.name, now)?;
        let state = self.state.as_deref();
        let credentials = Credentials::joined(identity, list, state).map_err(JoinError::File)?;
        if let Some(state) = state {
            // What is left of it is not used again.
            let _ = std::fs::remove_file(state.join(PENDING_KEY));
        }
        Ok(credentials)
    }
}

/// The key of an earlier attempt to join, or a new one.
fn pending_key(state: &Path) -> Result<NodeKey, JoinError> {
    let path = state.join(PENDING_KEY);
    match files::read(&path) {
        // One that is damaged was never used.
        Ok(der) => {
            if let Ok(key) = NodeKey::from_pkcs8(&der) {
                return Ok(key);
            }
        }
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(JoinError::File(error)),
    }
    let key = NodeKey::generate().map_err(JoinError::Key)?;
    let kept = files::make_directory(state)
        .and_then(|()| files::write(&path, key.to_der().secret_der(), 0o600));
    kept.map_err(JoinError::File)?;
    Ok(key)
}

impl fmt::Debug for TokenJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenJoin")
            .field("token", &self.token)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
