//! Real handshakes of TLS in memory: who gets through, and what is said to who does not.

mod harness;

use std::sync::Arc;
use std::time::SystemTime;

use lunatic_trust::{ALPN, ALPN_JOIN, Credentials, PeerIdentity, Refusal, TokenJoin, refusal};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, ServerConfig,
    SignatureScheme,
};

use crate::harness::{
    Clock, Cluster, DAY, Ends, client_at, cluster, cluster_called, connect, name, server_at,
};

/// What the peer is told at most, but for a number drawn by chance; it is the same for all refusals.
const TOLD: [&str; 2] = [
    "invalid peer certificate: Other(OtherError(refused (",
    ")))",
];

/// Believes every server.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A client that believes every server and shows what it is told to.
fn believer(
    shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer));
    let mut config = match shown {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("a key"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.into()
}

/// A client of `cluster` that believes every server.
fn believing_member(cluster: &Cluster, name: &str) -> Arc<ClientConfig> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = harness::request_of(&key);
    let token = cluster.token();
    let chain = cluster
        .authority
        .redeem(&token, &harness::name(name), &request, cluster.now);
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    believer(Some((chain.expect("a certificate"), key)), &[ALPN])
}

/// Transports send the text of the error to the peer.
fn assert_tells_nothing(error: &Error) {
    let text = error.to_string();
    let number = text.strip_prefix(TOLD[0]);
    let number = number.and_then(|rest| rest.strip_suffix(TOLD[1]));
    let is_number = |number: &str| number.len() == 16 && u64::from_str_radix(number, 16).is_ok();
    assert!(number.is_some_and(is_number), "{text}");
}

fn told_by_server(ends: &Ends) -> String {
    let error = ends.server_result.as_ref().expect_err("it refuses");
    error.to_string()
}

/// Why the server has refused; the client must not be told.
fn refused_by_server(ends: &Ends) -> Refusal {
    let error = ends.server_result.as_ref().expect_err("it refuses");
    assert_tells_nothing(error);
    let told = ends.client_result.as_ref().expect_err("it is told");
    assert!(matches!(told, Error::AlertReceived(_)), "{told}");
    refusal(error).expect("a refusal")
}

fn refused_by_client(ends: &Ends) -> Refusal {
    let error = ends.client_result.as_ref().expect_err("it refuses");
    assert_tells_nothing(error);
    let told = ends.server_result.as_ref().expect_err("it is told");
    assert!(matches!(told, Error::AlertReceived(_)), "{told}");
    refusal(error).expect("a refusal")
}

fn admitted_by_server(
    server: &Credentials,
    ends: &Ends,
    now: SystemTime,
) -> Result<PeerIdentity, Refusal> {
    let (protocol, chain) = (ends.server.alpn_protocol(), ends.server.peer_certificates());
    server.admit(protocol, chain, now)
}

#[test]
fn two_members_let_each_other_in_and_know_their_names() {
    let cluster = cluster();
    let now = cluster.now;
    let (seed, worker) = (cluster.seed("seed"), cluster.worker("worker"));
    for (server, client) in [(&seed, &worker), (&worker, &seed), (&worker, &worker)] {
        let ends = connect(server_at(server, now), client_at(client, now));
        assert_eq!(
            (&ends.server_result, &ends.client_result),
            (&Ok(()), &Ok(()))
        );
        assert_eq!(
            ends.server.protocol_version(),
            Some(ProtocolVersion::TLSv1_3)
        );
        let suite = ends.server.negotiated_cipher_suite();
        let suite = suite.map(|suite| suite.suite());
        assert_eq!(suite, Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
        assert_eq!(ends.client.alpn_protocol(), Some(ALPN));
        let admitted = admitted_by_server(server, &ends, now);
        assert_eq!(admitted, Ok(PeerIdentity::Member(client.name())));
        let (protocol, chain) = (ends.client.alpn_protocol(), ends.client.peer_certificates());
        let admitted = client.admit(protocol, chain, now);
        assert_eq!(admitted, Ok(PeerIdentity::Member(server.name())));
    }
}

#[test]
fn the_configurations_with_the_clock_of_the_system_work_now() {
    let cluster = cluster();
    let (server, _) = cluster.seed("seed").tls().expect("a configuration");
    let (_, client) = cluster.worker("worker").tls().expect("a configuration");
    let ends = connect(server, client);
    assert_eq!((ends.server_result, ends.client_result), (Ok(()), Ok(())));
}

#[test]
fn a_server_of_another_authority_is_refused_even_if_the_cluster_has_the_same_name() {
    let (ours, theirs) = (cluster(), cluster());
    let server = server_at(&theirs.seed("seed"), theirs.now);
    let ends = connect(server, client_at(&ours.worker("worker"), ours.now));
    let expected = Refusal::WrongAuthority {
        claimed: Some(name("seed")),
        expected: vec![ours.authority.fingerprint()],
    };
    assert_eq!(refused_by_client(&ends), expected);
}

#[test]
fn a_client_of_another_authority_is_refused_even_if_the_cluster_has_the_same_name() {
    let (ours, theirs) = (cluster(), cluster());
    for server in [ours.seed("seed"), ours.worker("worker")] {
        let client = believing_member(&theirs, "stranger");
        let ends = connect(server_at(&server, ours.now), client);
        let expected = Refusal::WrongAuthority {
            claimed: Some(name("stranger")),
            expected: vec![ours.authority.fingerprint()],
        };
        assert_eq!(refused_by_server(&ends), expected);
    }
}

#[test]
fn a_node_of_another_cluster_is_refused_on_both_sides() {
    let (ours, theirs) = (cluster(), cluster_called("bank"));
    let expected = Refusal::OtherCluster {
        cluster: "bank".parse().expect("a name"),
        ours: "shop".parse().expect("a name"),
    };
    let client = believing_member(&theirs, "stranger");
    let ends = connect(server_at(&ours.seed("seed"), ours.now), client);
    assert_eq!(refused_by_server(&ends), expected);
    let server = server_at(&theirs.seed("seed"), theirs.now);
    let ends = connect(server, client_at(&ours.worker("worker"), ours.now));
    assert_eq!(refused_by_client(&ends), expected);
}

#[test]
fn an_expired_certificate_is_refused_and_both_clocks_are_named() {
    let cluster = cluster();
    let (seed, worker) = (cluster.seed("seed"), cluster.worker("worker"));
    let late = cluster.now + 31 * DAY;
    let client = believing_member(&cluster, "late");
    let by_server = refused_by_server(&connect(server_at(&seed, late), client));
    let ends = connect(server_at(&seed, cluster.now), client_at(&worker, late));
    for (refusal, expected) in [(by_server, "late"), (refused_by_client(&ends), "seed")] {
        let Refusal::Expired {
            name,
            not_before,
            not_after,
            host_time,
        } = &refusal
        else {
            panic!("{refusal}");
        };
        assert_eq!(name.as_str(), expected);
        assert!(*not_before < cluster.now && cluster.now < *not_after && *not_after < late);
        // TLS has whole seconds.
        let difference = late.duration_since(*host_time).expect("not later");
        assert!(difference.as_secs() < 1);
        assert_eq!(refusal.to_string().matches(" UTC").count(), 3, "{refusal}");
    }
}

#[test]
fn a_certificate_of_the_future_is_refused_and_both_clocks_are_named() {
    let cluster = cluster();
    let (seed, worker) = (cluster.seed("seed"), cluster.worker("worker"));
    let early = cluster.now - DAY;
    let client = believing_member(&cluster, "early");
    let by_server = refused_by_server(&connect(server_at(&seed, early), client));
    let ends = connect(server_at(&seed, cluster.now), client_at(&worker, early));
    for (refusal, expected) in [(by_server, "early"), (refused_by_client(&ends), "seed")] {
        assert!(
            matches!(&refusal, Refusal::NotYetValid { name, not_before, .. }
                if name.as_str() == expected && early < *not_before),
            "{refusal}"
        );
        assert_eq!(refusal.to_string().matches(" UTC").count(), 3, "{refusal}");
    }
}

#[test]
fn an_expired_certificate_of_another_authority_is_refused_for_its_authority() {
    let (ours, theirs) = (cluster(), cluster());
    let client = believing_member(&theirs, "stranger");
    let late = ours.now + 31 * DAY;
    let ends = connect(server_at(&ours.seed("seed"), late), client);
    let refusal = refused_by_server(&ends);
    assert!(
        matches!(refusal, Refusal::WrongAuthority { .. }),
        "{refusal}"
    );
}

#[test]
fn why_others_were_refused_is_kept_until_it_is_taken() {
    let (one, other) = (cluster(), cluster_called("other"));
    let one_more = cluster_called("one-more");
    let now = one.now;
    let (seed, stranger) = (one.seed("seed"), other.seed("stranger"));
    let ends = connect(server_at(&seed, now), believing_member(&other, "liar"));
    let other_ends = connect(server_at(&seed, now), believing_member(&one_more, "fool"));
    let [refused, other_refused] = [&ends, &other_ends].map(refused_by_server);
    let [told, other_told] = [&ends, &other_ends].map(told_by_server);
    assert_ne!(refused, other_refused);
    // In whatever order they are asked for.
    assert_eq!(seed.take_refusal(&other_told), Some(other_refused));
    assert_eq!(seed.take_refusal(&told), Some(refused));
    assert_eq!(seed.take_refusal(&told), None);
    // The side that dials refuses first.
    let ends = connect(server_at(&seed, now), client_at(&stranger, now));
    let refused = refused_by_client(&ends);
    assert!(matches!(refused, Refusal::OtherCluster { .. }), "{refused}");
    let told = ends.client_result.expect_err("it is refused").to_string();
    assert_eq!(stranger.take_refusal(&told), Some(refused));
    assert_eq!(seed.take_refusal(&told), None);
    // Those who ask again and again take no more memory.
    let told = (0..200).map(|_| {
        let ends = connect(server_at(&seed, now), believing_member(&other, "liar"));
        told_by_server(&ends)
    });
    let told: Vec<_> = told.collect();
    let kept = told.iter().map(|told| seed.take_refusal(told).is_some());
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept.iter().filter(|is_kept| **is_kept).count(), 64);
    assert!(kept.ends_with(&[true; 64]), "the last ones are");
}

#[test]
fn who_has_no_certificate_is_no_member() {
    let cluster = cluster();
    // A node that lets others join cannot tell by TLS alone.
    let seed = cluster.seed("seed");
    let ends = connect(server_at(&seed, cluster.now), believer(None, &[ALPN]));
    assert_eq!(ends.server_result, Ok(()));
    let admitted = admitted_by_server(&seed, &ends, cluster.now);
    assert_eq!(admitted, Err(Refusal::NoCertificate));
    // One that does not refuses the handshake.
    let worker = server_at(&cluster.worker("worker"), cluster.now);
    let ends = connect(worker.clone(), believer(None, &[ALPN]));
    let error = ends.server_result.expect_err("it refuses");
    assert_eq!(refusal(&error), Some(Refusal::NoCertificate));
    let ends = connect(worker, believer(None, &[ALPN_JOIN]));
    assert_eq!(ends.server_result, Err(Error::NoApplicationProtocol));
}

#[test]
fn who_speaks_another_protocol_or_names_none_is_refused() {
    let cluster = cluster();
    let seed = cluster.seed("seed");
    let server = server_at(&seed, cluster.now);
    let ends = connect(server.clone(), believer(None, &[b"h3"]));
    assert_eq!(ends.server_result, Err(Error::NoApplicationProtocol));
    let ends = connect(server, believer(None, &[]));
    let admitted = admitted_by_server(&seed, &ends, cluster.now);
    assert_eq!(admitted, Err(Refusal::WrongProtocol { offered: None }));
    let joining = cluster
        .worker("worker")
        .admit(Some(ALPN_JOIN), None, cluster.now);
    assert_eq!(joining, Err(Refusal::JoiningElsewhere));
}

#[test]
fn who_has_the_certificate_of_a_member_and_not_its_key_is_refused() {
    let cluster = cluster();
    let seed = cluster.seed("seed");
    let stolen = cluster.worker("worker").chain();
    let key = rcgen::KeyPair::generate().expect("a key");
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = default_provider().key_provider.load_private_key(key);
    let shown = rustls::sign::CertifiedKey::new(stolen, key.expect("a key"));
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer))
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    let ends = connect(server_at(&seed, cluster.now), config.into());
    let expected = rustls::CertificateError::BadSignature;
    assert_eq!(ends.server_result, Err(Error::InvalidCertificate(expected)));
}

#[test]
fn nothing_older_than_tls_1_3_is_spoken() {
    let cluster = cluster();
    let mut old = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer))
        .with_no_client_auth();
    old.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    let ends = connect(server_at(&cluster.seed("seed"), cluster.now), old.into());
    let refused = ends.server_result.expect_err("it is too old");
    assert!(matches!(refused, Error::PeerIncompatible(_)), "{refused}");
}

#[test]
fn a_node_joins_with_a_token_over_a_connection_and_is_a_member_then() {
    let cluster = cluster();
    let now = cluster.now;
    let seed = cluster.seed("seed");
    let join = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let client = join.tls_with_clock(Arc::new(Clock(now)));
    let mut ends = connect(server_at(&seed, now), client.expect("a configuration"));
    assert_eq!(
        (&ends.server_result, &ends.client_result),
        (&Ok(()), &Ok(()))
    );
    let admitted = admitted_by_server(&seed, &ends, now);
    assert_eq!(admitted, Ok(PeerIdentity::Joining));

    let request = ends.send_to_server(join.request());
    let authority = seed.authority().expect("it has the directory");
    let answer = authority.answer(&request, ends.server.peer_certificates(), now);
    let response = ends.send_to_client(&answer.bytes);
    let worker = join.finish(&response, now).expect("credentials");

    let ends = connect(server_at(&seed, now), client_at(&worker, now));
    let admitted = admitted_by_server(&seed, &ends, now);
    assert_eq!(admitted, Ok(PeerIdentity::Member(name("worker"))));
}

#[test]
fn a_node_sends_its_token_to_no_server_of_another_authority() {
    let (ours, theirs) = (cluster(), cluster());
    let join = TokenJoin::new(ours.token(), name("worker"), None).expect("a key");
    let client = || {
        join.tls_with_clock(Arc::new(Clock(ours.now)))
            .expect("a configuration")
    };
    let ends = connect(server_at(&theirs.seed("seed"), ours.now), client());
    let expected = Refusal::WrongAuthority {
        claimed: Some(name("seed")),
        expected: vec![ours.authority.fingerprint()],
    };
    assert_eq!(refused_by_client(&ends), expected);
    // Nor to one that shows the certificate of ours beside its own.
    let key = rcgen::KeyPair::generate().expect("a key");
    let chain = theirs
        .authority
        .issue(&name("seed"), &harness::request_of(&key), DAY, theirs.now);
    let mut chain = chain.expect("a certificate");
    chain.push(ours.authority.certificate().clone());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key");
    server.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    let ends = connect(server.into(), client());
    assert_eq!(refused_by_client(&ends), expected);
}

#[test]
fn a_revoked_member_is_refused_on_both_sides_with_the_same_configurations() {
    let cluster = cluster();
    let now = cluster.now;
    let (seed, worker) = (cluster.seed("seed"), cluster.worker("worker"));
    let other = cluster.worker("other");
    let (server, client) = (server_at(&seed, now), believing_member(&cluster, "other"));
    let (other_server, seed_client) = (server_at(&other, now), client_at(&seed, now));
    for _ in 0..2 {
        // The second would resume the session of the first.
        let ends = connect(server.clone(), client.clone());
        assert_eq!((ends.server_result, ends.client_result), (Ok(()), Ok(())));
        assert_eq!(
            ends.server.handshake_kind(),
            Some(rustls::HandshakeKind::Full)
        );
    }
    let list = cluster
        .authority
        .revoke(&name("other"), now)
        .expect("revoked");
    assert_eq!(seed.accept_revocations(list.as_bytes()), Ok(true));
    let refusals = [
        refused_by_server(&connect(server.clone(), client)),
        refused_by_client(&connect(other_server, seed_client)),
    ];
    for refusal in refusals {
        assert!(
            matches!(&refusal, Refusal::Revoked { name, .. } if name.as_str() == "other"),
            "{refusal}"
        );
    }
    // Others are still let in.
    let ends = connect(server, client_at(&worker, now));
    assert_eq!((ends.server_result, ends.client_result), (Ok(()), Ok(())));
}
