//! TLS on rustls, which is driven here directly: a connection is a state
//! machine behind a lock that is held only while bytes move, so that one process
//! reads while another writes, and a dropped operation leaves nothing half done.

mod connector;
mod handshake;
mod identity;
mod listener;
mod roots;
mod session;
mod stream;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};

pub use connector::TlsConnector;
pub use handshake::HandshakeError;
pub use identity::{IdentityError, TlsIdentity};
pub use listener::{DEFAULT_HANDSHAKE_LIMIT, TlsListener};
pub use roots::RootsError;
pub use stream::TlsStream;

/// The one crypto provider.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(ring::default_provider()))
        .clone()
}
