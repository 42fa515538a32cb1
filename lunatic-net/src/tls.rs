//! TLS, on the state machine of rustls.
//!
//! The state of a connection is behind a lock that is held only while bytes are copied.
//! So one process can read while another one writes, and dropping an operation leaves
//! the connection usable.

mod bounds;
mod connector;
mod handshake;
mod identity;
mod listener;
mod roots;
mod session;
mod stream;
mod verifier;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};

pub use connector::TlsConnector;
pub use handshake::HandshakeError;
pub use identity::{IdentityError, TlsIdentity};
pub use listener::TlsListener;
pub use roots::RootsError;
pub(crate) use rustls::Error as TlsError;
pub use stream::TlsStream;

/// Returns the crypto provider that all connections use.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(ring::default_provider()))
        .clone()
}
