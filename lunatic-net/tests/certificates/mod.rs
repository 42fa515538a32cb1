//! Certificates that tests make as they need them.

#![allow(dead_code, unreachable_pub)] // Each test file uses another part of it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// PEM text of certificate and key.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new([]).expect("no names");
        let name = "an authority of the tests";
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// What a client must trust.
    pub fn root(&self) -> String {
        self.0.as_ref().pem()
    }

    /// A certificate for a name.
    pub fn vouch_for(&self, name: &str) -> Identity {
        self.sign(params(name))
    }

    /// A certificate for a name, of the past.
    pub fn vouch_in_the_past_for(&self, name: &str) -> Identity {
        let mut params = params(name);
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(2000, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate that nobody vouches for.
pub fn self_signed(name: &str) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(name).self_signed(&key).expect("a certificate");
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}
