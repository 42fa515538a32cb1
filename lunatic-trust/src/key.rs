//! The private key of a node, which is never shown.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The private key of a node: ECDSA on the curve P-256.
pub(crate) struct NodeKey(KeyPair);

impl NodeKey {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate().map(Self)
    }

    /// A key that was kept, in PKCS#8.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, rcgen::Error> {
        KeyPair::try_from(der).map(Self)
    }

    /// The key in PKCS#8.
    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }

    /// A request for a certificate (PKCS#10), which shows that the key is there.
    pub(crate) fn request(&self) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = CertificateParams::default();
        // What the certificate says is for the authority to decide.
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.0)?;
        Ok(request.der().to_vec())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}
