//! What rustls asks during a handshake.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};

use crate::chain::{Side, Trust};
use crate::credentials::Credentials;
use crate::fingerprint::Fingerprint;
use crate::instant::from_unix;
use crate::name::ClusterName;
use crate::refusal::{REFUSED, Refusal};

/// Shows the certificate that the node has at the time.
#[derive(Debug)]
pub(super) struct Own(pub(super) Credentials);

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.identity().certified.clone())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.identity().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Lets members of the cluster through.
#[derive(Debug)]
pub(super) struct MemberVerifier {
    credentials: Credentials,
    /// Whether a peer may have no certificate.
    lets_join: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl MemberVerifier {
    pub(super) fn new(credentials: Credentials, lets_join: bool) -> Self {
        Self {
            credentials,
            lets_join,
            algorithms: default_provider().signature_verification_algorithms,
        }
    }

    fn verify(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        side: Side,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let chain = chain(first, others);
        let checked = self.credentials.check_peer(&chain, side, from_unix(now));
        checked.map(drop).map_err(|refusal| {
            let refused = Refused::new(refusal);
            self.credentials
                .note_refusal(refused.to_string(), refused.refusal.clone());
            refused.into()
        })
    }
}

/// Lets a server through whose authority is that of a token.
#[derive(Debug)]
pub(super) struct PinnedVerifier {
    cluster: ClusterName,
    authority: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedVerifier {
    pub(super) fn new(cluster: ClusterName, authority: Fingerprint) -> Self {
        Self {
            cluster,
            authority,
            algorithms: default_provider().signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn client_auth_mandatory(&self) -> bool {
        !self.lets_join
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, Side::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for MemberVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, Side::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let anchor = intermediates
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.authority);
        let trust = Trust {
            anchors: anchor
                .map(|der| der.clone().into_owned())
                .into_iter()
                .collect(),
            cluster: self.cluster.clone(),
        };
        let chain = chain(end_entity, intermediates);
        match trust.check(&chain, Side::Server, from_unix(now)) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(Refusal::WrongAuthority { claimed, .. }) => {
                let expected = vec![self.authority];
                Err(Refused::new(Refusal::WrongAuthority { claimed, expected }).into())
            }
            Err(refusal) => Err(Refused::new(refusal).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A refusal as the error of a handshake. Its text does not say why, as QUIC sends the text of
/// the error to the peer, which is made from `Debug`.
struct Refused {
    refusal: Refusal,
    /// Tells it from others. It is drawn by chance, so that nobody learns how many there are.
    number: u64,
}

impl Refused {
    fn new(refusal: Refusal) -> Refused {
        // Without a random number it is told from few others, and what is logged says so little.
        let number = getrandom::u64().unwrap_or_default();
        Refused { refusal, number }
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REFUSED} ({:016x})", self.number)
    }
}

impl Error for Refused {}

impl From<Refused> for rustls::Error {
    fn from(refused: Refused) -> rustls::Error {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

/// Why this side has refused the other in a handshake, if `error` is about that: for the own
/// log, as the text of `error` does not say it.
pub fn refusal(error: &rustls::Error) -> Option<Refusal> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => {
            let refused: &Refused = error.downcast_ref()?;
            Some(refused.refusal.clone())
        }
        rustls::Error::NoCertificatesPresented => Some(Refusal::NoCertificate),
        _ => None,
    }
}

fn chain<'a>(first: &CertificateDer<'a>, others: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    [first].into_iter().chain(others).cloned().collect()
}

fn not_tls13() -> rustls::Error {
    rustls::Error::General("TLS 1.2 is not spoken here".to_owned())
}
