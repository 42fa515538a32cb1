//! Configurations of TLS 1.3 in which both sides are verified.

mod verifier;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, ServerConfig, SupportedCipherSuite};

use crate::admission::{ALPN, ALPN_JOIN};
use crate::credentials::Credentials;
use crate::fingerprint::Fingerprint;
use crate::name::ClusterName;
use crate::tls::verifier::{MemberVerifier, Own, PinnedVerifier};

pub use verifier::refusal;

/// What a connection is opened to, as TLS wants a name: seeds are addresses, and who answers
/// is known from its certificate. It is not sent.
pub const SERVER_NAME: &str = "lunatic";

impl Credentials {
    /// The configurations of TLS for accepting and for opening connections, with the clock of
    /// the system.
    ///
    /// TLS 1.3, both sides verified, no resumption. If this node has the cluster directory,
    /// the server also accepts peers without a certificate; what they may do is decided by
    /// [`admit`](Credentials::admit), which must be asked about every connection.
    ///
    /// A renewed certificate and other revoked names are used without making new ones.
    ///
    /// # Errors
    ///
    /// [`rustls::Error`] if rustls cannot be used so, which is a defect of this crate.
    pub fn tls(&self) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), rustls::Error> {
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
    ) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), rustls::Error> {
        let lets_join = self.authority().is_some();
        let verifier = Arc::new(MemberVerifier::new(self.clone(), lets_join));
        let own = Arc::new(Own(self.clone()));
        let mut server = ServerConfig::builder_with_details(provider(), clock.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(own.clone());
        server.alpn_protocols = vec![ALPN.to_vec()];
        if lets_join {
            server.alpn_protocols.push(ALPN_JOIN.to_vec());
        }
        // A session that is resumed is not verified again.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider(), clock)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(own);
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok((server.into(), client.into()))
    }
}

/// The configuration of a client that joins with a token.
pub(crate) fn joining_client(
    cluster: ClusterName,
    authority: Fingerprint,
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let verifier = PinnedVerifier::new(cluster, authority);
    let mut client = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    client.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    client.resumption = Resumption::disabled();
    client.enable_sni = false;
    Ok(client.into())
}

/// That of *ring*, with AES-128-GCM before the others: it is as safe here, and faster.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    let is_later =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_later);
    Arc::new(provider)
}
