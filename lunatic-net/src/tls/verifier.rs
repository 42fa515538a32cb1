//! Whether the certificate of a server is trusted.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use crate::tls::bounds::{TooMuch, check_key};
use crate::tls::provider;
use crate::tls::roots::RootsError;

/// The most certificates between that of a server and a root. A chain has one or two, and three
/// or four where one certificate authority vouches for another; the search for a way through them
/// takes time in proportion to their factorial, and to the number of roots.
const MAX_INTERMEDIATES: usize = 6;

/// The same if there are more than [`MANY_ROOTS`].
const MAX_INTERMEDIATES_OF_MANY_ROOTS: usize = 4;

/// More root certificates than systems have.
const MANY_ROOTS: usize = 512;

/// Trusts servers as `WebPkiServerVerifier` does, but refuses chains that are so long, or with such
/// keys, that to verify them takes long: it is done at once, by the thread that runs the process.
#[derive(Debug)]
pub(super) struct BoundedVerifier {
    verifier: Arc<WebPkiServerVerifier>,
    max_intermediates: usize,
}

impl BoundedVerifier {
    /// # Errors
    ///
    /// [`RootsError::Unusable`] if there are no roots, or one has a key that is too long.
    pub(super) fn new(roots: RootCertStore) -> Result<BoundedVerifier, RootsError> {
        let unusable = |reason: String| RootsError::Unusable(Error::General(reason));
        let keys = roots.roots.iter().map(|root| &root.subject_public_key_info);
        for key in keys {
            check_key(key).map_err(|TooMuch(reason)| unusable(reason))?;
        }
        let max_intermediates = match roots.len() > MANY_ROOTS {
            true => MAX_INTERMEDIATES_OF_MANY_ROOTS,
            false => MAX_INTERMEDIATES,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build();
        Ok(BoundedVerifier {
            verifier: verifier.map_err(|error| unusable(error.to_string()))?,
            max_intermediates,
        })
    }
}

fn check_chain(
    of_server: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    max_intermediates: usize,
) -> Result<(), Error> {
    let refused = |too_much| {
        let other = OtherError(Arc::new(too_much));
        Error::InvalidCertificate(CertificateError::Other(other))
    };
    if intermediates.len() > max_intermediates {
        let count = intermediates.len();
        return Err(refused(TooMuch(format!(
            "the server sends {count} certificates beside its own, where {max_intermediates} are \
             accepted"
        ))));
    }
    for certificate in intermediates.iter().chain([of_server]) {
        // One that cannot be read is no part of any way.
        if let Ok(certificate) = ParsedCertificate::try_from(certificate) {
            check_key(&certificate.subject_public_key_info()).map_err(refused)?;
        }
    }
    Ok(())
}

impl ServerCertVerifier for BoundedVerifier {
    fn verify_server_cert(
        &self,
        of_server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check_chain(of_server, intermediates, self.max_intermediates)?;
        self.verifier
            .verify_server_cert(of_server, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_chain_is_refused_that_is_too_long_to_be_searched() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let certificate = certificate.der().clone();
        let chain = vec![certificate.clone(); MAX_INTERMEDIATES + 1];
        let check = |chain| check_chain(&certificate, chain, MAX_INTERMEDIATES);
        assert_eq!(check(&chain[1..]), Ok(()));
        let unreadable = [CertificateDer::from(vec![1, 2, 3]), certificate.clone()];
        assert_eq!(check(&unreadable), Ok(()));
        let error = check(&chain).unwrap_err();
        assert!(error.to_string().contains("7 certificates"), "{error}");
    }

    #[test]
    fn a_key_of_rsa_may_have_4096_bits() {
        // As `openssl` writes keys of so many bits.
        assert!(check_key(&[0; 550]).is_ok());
        assert!(check_key(&[0; 1062]).is_err());
    }
}
