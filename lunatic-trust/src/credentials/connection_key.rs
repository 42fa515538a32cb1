//! A secret for the ids of connections, which a node has again when it starts again.

use ring::hkdf::{HKDF_SHA256, Salt};

use crate::credentials::{Credentials, Source};

/// What tells it from other secrets that are made from the same key.
const PURPOSE: &[u8] = b"lunatic connection key";

impl Credentials {
    /// A secret of the node, made from its private key or, if it has the directory of the cluster,
    /// from that of the authority and its name: the same at the next start, so that it is known
    /// then which connections are of before. `None` if the key of the node comes with a token:
    /// it is another one after each.
    pub fn connection_key(&self) -> Option<[u8; 32]> {
        let identity = self.identity();
        let name = identity.name.as_str().as_bytes();
        match &self.shared.source {
            Source::Authority(authority) => authority.with_key(|key| derived(key, name)),
            Source::Files(_) => derived(identity.key().secret_der(), name),
            Source::Request => None,
        }
    }
}

fn derived(key: &[u8], name: &[u8]) -> Option<[u8; 32]> {
    let secret = Salt::new(HKDF_SHA256, PURPOSE).extract(key);
    let mut derived = [0; 32];
    let info = [name];
    let expanded = secret.expand(&info, HKDF_SHA256).ok()?;
    expanded.fill(&mut derived).ok()?;
    Some(derived)
}
