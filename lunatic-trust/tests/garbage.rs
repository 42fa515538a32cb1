//! Bytes that strangers send, and files that are none: nothing panics, nothing is accepted.

mod harness;

use std::fs;
use std::sync::LazyLock;

use lunatic_trust::{
    ALPN, AnswerError, Credentials, IdentityFiles, InvalidRevocations, JoinError,
    MAX_EXCHANGE_BYTES, Refusal, Token, TokenJoin,
};
use proptest::prelude::*;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use crate::harness::{Cluster, cluster, name};

/// One cluster for all cases of a test: each test has a process or a thread of its own.
static CLUSTER: LazyLock<(Cluster, Credentials, Credentials)> = LazyLock::new(|| {
    let cluster = cluster();
    let (seed, worker) = (cluster.seed("seed"), cluster.worker("worker"));
    (cluster, seed, worker)
});

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("a key"));

/// Bytes of which some are changed, removed or added.
fn changed(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = bytes.len();
    let change = (0..length, any::<u8>(), 0..4_u8);
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut changed = bytes.clone();
        for (at, byte, kind) in changes {
            let at = at.min(changed.len().saturating_sub(1));
            match kind {
                0 => changed.truncate(at),
                1 => changed.insert(at, byte),
                _ if changed.is_empty() => changed.push(byte),
                _ => changed[at] ^= byte.max(1),
            }
        }
        changed
    })
}

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..2000)
}

/// Garbage, or what was valid and is changed.
fn bad(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let unchanged = valid.clone();
    prop_oneof![garbage(), changed(valid)]
        .prop_filter("unchanged", move |bytes| *bytes != unchanged)
}

fn join() -> TokenJoin {
    TokenJoin::new(CLUSTER.0.token(), name("worker"), None).expect("a key")
}

fn bad_requests() -> impl Strategy<Value = Vec<u8>> {
    bad(join().request().to_vec())
}

fn bad_lists() -> impl Strategy<Value = Vec<u8>> {
    let list = CLUSTER.0.authority.revoke(&name("bad"), CLUSTER.0.now);
    bad(list.expect("revoked").as_bytes().to_vec())
}

fn bad_certificates() -> impl Strategy<Value = Vec<u8>> {
    bad(CLUSTER.2.chain()[0].to_vec())
}

proptest! {
    // Each run has keys of its own, with which no earlier case comes again.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_token_but_those_that_were_made(text in "\\PC{0,300}", at in 0..400_usize) {
        prop_assert!(text.parse::<Token>().is_err());
        let prefixed = format!("lunatic-token:{text}");
        prop_assert!(prefixed.parse::<Token>().is_err());
        let token = CLUSTER.0.token();
        let valid = token.to_text();
        let at = at % valid.len();
        let cut = format!("{}{text}{}", &valid[..at], &valid[at..]);
        // White space around it is no part of it.
        let is_read = cut.parse::<Token>().is_ok_and(|read| read == token);
        prop_assert_eq!(is_read, cut.trim() == valid);
    }

    #[test]
    fn a_bad_request_is_refused(request in bad_requests()) {
        let (cluster, _, worker) = &*CLUSTER;
        for chain in [None, Some(worker.chain())] {
            let answer = cluster.authority.answer(&request, chain.as_deref(), cluster.now);
            prop_assert!(answer.outcome.is_err());
            prop_assert!(answer.bytes.len() < 8);
        }
    }

    #[test]
    fn a_bad_request_for_a_certificate_is_refused_or_is_for_the_key_that_signed_it(
        request in bad(harness::request_of(&KEY)),
    ) {
        let (cluster, _, worker) = &*CLUSTER;
        let now = cluster.now;
        let renewed = cluster.authority.renew(&worker.chain(), &request, now);
        let token = cluster.token();
        let redeemed = cluster.authority.redeem(&token, &name("worker"), &request, now);
        prop_assert_eq!(renewed.is_ok(), redeemed.is_ok());
        // What is not signed, as the length of the signature, may be written otherwise.
        if let Ok((_, chain)) = renewed {
            let certificate = ParsedCertificate::try_from(&chain[0]).expect("a certificate");
            let key = certificate.subject_public_key_info();
            prop_assert_eq!(key.as_ref(), KEY.subject_public_key_info());
        }
    }

    #[test]
    fn a_bad_list_of_revoked_names_is_refused(list in bad_lists()) {
        prop_assert!(CLUSTER.2.accept_revocations(&list).is_err());
    }

    #[test]
    fn a_bad_certificate_is_refused(certificate in bad_certificates(), protocol in garbage()) {
        let (cluster, seed, worker) = &*CLUSTER;
        let now = cluster.now;
        let bad = CertificateDer::from(certificate);
        let mut chain = worker.chain();
        // Between the two, one that is of no use does no harm.
        chain.insert(1, bad.clone());
        let _ = seed.admit(Some(ALPN), Some(&chain), now);
        chain[0] = bad;
        prop_assert!(seed.admit(Some(ALPN), Some(&chain), now).is_err());
        prop_assert!(seed.admit(Some(ALPN), Some(&chain[..1]), now).is_err());
        prop_assert!(seed.admit(Some(&protocol), Some(&worker.chain()), now).is_err());
    }

    #[test]
    fn files_with_anything_in_them_are_no_credentials(bytes in garbage(), which in 0..4_usize) {
        let (cluster, _, _) = &*CLUSTER;
        let directory = tempfile::tempdir().expect("a directory");
        let path = |file: &str| directory.path().join(file);
        for (number, file) in ["ca.pem", "node.pem", "node.key"].into_iter().enumerate() {
            let armoured = pem::encode(&pem::Pem::new(
                if number == 2 { "PRIVATE KEY" } else { "CERTIFICATE" },
                bytes.clone(),
            ));
            let content = if number == which { bytes.clone() } else { armoured.into_bytes() };
            fs::write(path(file), content).expect("written");
        }
        let files = IdentityFiles {
            authorities: path("ca.pem"),
            certificate: path("node.pem"),
            key: path("node.key"),
        };
        prop_assert!(Credentials::from_files(files, None, cluster.now).is_err());
        fs::write(path("identity.pem"), &bytes).expect("written");
        prop_assert!(Credentials::from_state(directory.path(), cluster.now).is_err());
    }
}

#[test]
fn bad_answers_are_of_no_use() {
    let (cluster, _, worker) = &*CLUSTER;
    let join = join();
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    let mut runner = proptest::test_runner::TestRunner::default();
    let run = runner.run(&bad(answer.bytes.clone()), |response| {
        prop_assert!(join.finish(&response, cluster.now).is_err());
        let renewal = worker.begin_renewal().expect("a key");
        prop_assert!(
            worker
                .finish_renewal(&renewal, &response, cluster.now)
                .is_err()
        );
        Ok(())
    });
    run.expect("all are refused");
    join.finish(&answer.bytes, cluster.now)
        .expect("credentials");
}

#[test]
fn what_is_larger_than_64_kib_is_not_looked_at() {
    let (cluster, seed, worker) = &*CLUSTER;
    let join = join();
    let pad = |bytes: &[u8]| {
        let mut padded = bytes.to_vec();
        padded.resize(MAX_EXCHANGE_BYTES + 1, 0);
        padded
    };
    let large = pad(join.request());
    let answer = cluster.authority.answer(&large, None, cluster.now);
    assert!(matches!(
        answer.outcome,
        Err(AnswerError::Malformed { length }) if length == large.len()
    ));
    let finished = join.finish(&large, cluster.now);
    assert!(matches!(finished, Err(JoinError::Malformed { .. })));
    let accepted = worker.accept_revocations(&large);
    assert_eq!(accepted, Err(InvalidRevocations::TooLarge));
    let mut chain = worker.chain();
    chain.push(CertificateDer::from(large));
    let admitted = seed.admit(Some(ALPN), Some(&chain), cluster.now);
    assert_eq!(admitted, Err(Refusal::TooLarge));
    let long = vec![worker.chain()[0].clone(); 9];
    let admitted = seed.admit(Some(ALPN), Some(&long), cluster.now);
    assert_eq!(admitted, Err(Refusal::TooLarge));
}

#[test]
fn a_request_that_claims_to_be_long_is_refused() {
    // Each begins a list or text of 2^60 bytes.
    let length = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    let (cluster, _, worker) = &*CLUSTER;
    for start in [&[][..], &[0], &[1], &[0, 4]] {
        let bytes = [start, &length].concat();
        let answer = cluster.authority.answer(&bytes, None, cluster.now);
        assert!(matches!(answer.outcome, Err(AnswerError::Malformed { .. })));
        assert!(join().finish(&bytes, cluster.now).is_err());
        let accepted = worker.accept_revocations(&bytes);
        assert_eq!(accepted, Err(InvalidRevocations::Malformed));
    }
}
