//! Certificates in files that somebody else replaces.

mod harness;

use std::error::Error;
use std::fs;
use std::path::Path;

use lunatic_trust::{
    ALPN, Authority, Credentials, CredentialsError, IdentityError, IdentityFiles, NodeName,
    PeerIdentity, RefreshWarning, Refusal,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::pki_types::CertificateDer;

use crate::harness::{
    Cluster, DAY, client_at, cluster, cluster_called, connect, name, request_of, server_at,
};

fn files(directory: &Path) -> IdentityFiles {
    IdentityFiles {
        authorities: directory.join("ca.pem"),
        certificate: directory.join("node.pem"),
        key: directory.join("node.key"),
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_ref()))
}

/// Writes a new key and certificate for `name`, valid for 30 days.
fn write(authority: &Authority, name: &NodeName, files: &IdentityFiles, cluster: &Cluster) {
    let key = KeyPair::generate().expect("a key");
    let chain = authority.issue(name, &request_of(&key), 30 * DAY, cluster.now);
    let chain = chain.expect("a certificate");
    fs::write(&files.authorities, pem(authority.certificate())).expect("written");
    fs::write(&files.certificate, pem(&chain[0])).expect("written");
    fs::write(&files.key, key.serialize_pem()).expect("written");
}

fn from_files(cluster: &Cluster) -> (Credentials, IdentityFiles) {
    let files = files(cluster.directory.path());
    write(&cluster.authority, &name("worker"), &files, cluster);
    let credentials =
        Credentials::from_files(files.clone(), None, cluster.now).expect("credentials");
    (credentials, files)
}

fn only_warning(credentials: &Credentials, cluster: &Cluster) -> RefreshWarning {
    let mut refreshed = credentials.refresh(cluster.now);
    assert!(!refreshed.has_changed());
    assert_eq!(refreshed.warnings.len(), 1);
    refreshed.warnings.remove(0)
}

#[test]
fn the_key_for_connections_is_that_of_the_file() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let key = worker.connection_key();
    assert!(key.is_some());
    let again = Credentials::from_files(files.clone(), None, cluster.now).expect("credentials");
    assert_eq!(again.connection_key(), key);
    write(&cluster.authority, &name("worker"), &files, &cluster);
    let renewed = Credentials::from_files(files, None, cluster.now).expect("credentials");
    assert_ne!(renewed.connection_key(), key);
}

#[test]
fn a_node_with_files_is_a_member() {
    let cluster = cluster();
    let (worker, _) = from_files(&cluster);
    let seed = cluster.seed("seed");
    let ends = connect(
        server_at(&seed, cluster.now),
        client_at(&worker, cluster.now),
    );
    let admitted = seed.admit(
        ends.server.alpn_protocol(),
        ends.server.peer_certificates(),
        cluster.now,
    );
    assert_eq!(admitted, Ok(PeerIdentity::Member(name("worker"))));
}

#[test]
fn files_that_are_replaced_are_used_by_the_configurations_that_there_are() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let seed = cluster.seed("seed");
    let (server, client) = (
        server_at(&worker, cluster.now),
        client_at(&seed, cluster.now),
    );
    let first = worker.chain();
    let refreshed = worker.refresh(cluster.now);
    assert!(!refreshed.has_changed() && refreshed.warnings.is_empty());

    write(&cluster.authority, &name("worker"), &files, &cluster);
    let refreshed = worker.refresh(cluster.now);
    assert!(refreshed.certificate && refreshed.warnings.is_empty());
    assert_ne!(worker.chain(), first);
    let ends = connect(server, client);
    let shown = ends.client.peer_certificates().expect("certificates");
    assert_eq!(shown, worker.chain());
}

#[test]
fn connections_with_nodes_of_an_authority_that_is_taken_away_are_not_to_go_on() {
    let (one, other) = (cluster(), cluster());
    let (worker, files) = from_files(&one);
    let both = [&one, &other].map(|cluster| pem(cluster.authority.certificate()));
    fs::write(&files.authorities, both.concat()).expect("written");
    assert!(worker.refresh(one.now).certificate);
    let chains = [&one, &other].map(|cluster| cluster.worker("other").chain());
    for chain in &chains {
        assert_eq!(worker.check_open(chain), Ok(()));
    }
    fs::write(&files.authorities, &both[0]).expect("written");
    assert!(worker.refresh(one.now).certificate);
    assert_eq!(worker.check_open(&chains[0]), Ok(()));
    let refused = worker.check_open(&chains[1]);
    assert!(matches!(refused, Err(Refusal::WrongAuthority { .. })));
}

#[test]
fn files_that_are_half_written_are_not_used_until_they_are_whole() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let first = worker.chain();
    write(&cluster.authority, &name("worker"), &files, &cluster);
    for file in [&files.authorities, &files.certificate, &files.key] {
        let whole = fs::read(file).expect("a file");
        for length in [0, 1, whole.len() / 2, whole.len() - 10] {
            fs::write(file, &whole[..length]).expect("written");
            let warning = only_warning(&worker, &cluster);
            assert!(
                matches!(&warning, RefreshWarning::Files(CredentialsError::Identity { path, .. })
                    if path == file),
                "{warning:?}"
            );
            assert_eq!(worker.chain(), first);
        }
        fs::remove_file(file).expect("removed");
        let warning = only_warning(&worker, &cluster);
        assert!(
            matches!(&warning, RefreshWarning::Files(CredentialsError::File(error))
                if error.path == *file && error.is_missing()),
            "{warning:?}"
        );
        fs::write(file, &whole).expect("written");
    }
    assert!(worker.refresh(cluster.now).certificate);
    assert_ne!(worker.chain(), first);
}

#[test]
fn a_certificate_without_its_key_is_not_used() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let key = fs::read(&files.key).expect("a key");
    write(&cluster.authority, &name("worker"), &files, &cluster);
    fs::write(&files.key, key).expect("written");
    let warning = only_warning(&worker, &cluster);
    let RefreshWarning::Files(CredentialsError::Identity { path, source }) = &warning else {
        panic!("{warning:?}");
    };
    assert_eq!(*path, files.key);
    assert!(matches!(source, IdentityError::Key(_)), "{source}");
}

#[test]
fn a_warning_shows_nothing_of_the_key() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let key = fs::read_to_string(&files.key).expect("a key");
    let line = key.lines().nth(1).expect("a line of the key");
    fs::write(&files.key, key.replace("-----END", "-----DNE")).expect("written");
    let warning = only_warning(&worker, &cluster);
    let mut shown = format!("{warning:?} {warning}");
    let mut cause = warning.source();
    while let Some(error) = cause {
        shown += &format!(" {error}");
        cause = error.source();
    }
    assert!(!shown.contains(line), "{shown}");
}

#[test]
fn a_certificate_for_another_name_or_cluster_is_not_used() {
    let (cluster, other) = (cluster(), cluster_called("bank"));
    let (worker, files) = from_files(&cluster);
    write(&cluster.authority, &name("database"), &files, &cluster);
    let warning = only_warning(&worker, &cluster);
    assert!(
        matches!(&warning, RefreshWarning::NameChanged { ours, theirs, .. }
            if *ours == name("worker") && *theirs == name("database")),
        "{warning:?}"
    );
    write(&other.authority, &name("worker"), &files, &cluster);
    let warning = only_warning(&worker, &cluster);
    assert!(matches!(warning, RefreshWarning::ClusterChanged { .. }));
    assert_eq!(worker.name(), name("worker"));
}

#[test]
fn another_authority_is_believed_once_it_is_in_the_file() {
    let (old, new) = (cluster(), cluster());
    let (worker, files) = from_files(&old);
    let seed = new.seed("seed");
    let stranger = worker.admit(Some(ALPN), Some(&seed.chain()), new.now);
    assert!(matches!(stranger, Err(Refusal::WrongAuthority { .. })));
    let both = pem(old.authority.certificate()) + &pem(new.authority.certificate());
    fs::write(&files.authorities, both).expect("written");
    assert!(worker.refresh(old.now).certificate);
    for member in [&seed, &old.seed("seed")] {
        let admitted = worker.admit(Some(ALPN), Some(&member.chain()), new.now);
        assert_eq!(admitted, Ok(PeerIdentity::Member(name("seed"))));
    }
}

#[test]
fn an_expired_certificate_in_files_is_refused_with_both_clocks() {
    let cluster = cluster();
    let (worker, files) = from_files(&cluster);
    let late = cluster.now + 31 * DAY;
    let error = Credentials::from_files(files, None, late).expect_err("it has expired");
    let cause = error.source().and_then(Error::source).expect("a refusal");
    assert_eq!(cause.to_string().matches(" UTC").count(), 3, "{cause}");
    assert!(matches!(
        worker.check_own(late),
        Err(Refusal::Expired { .. })
    ));
}

#[test]
fn a_certificate_of_somebody_else_has_one_name_and_is_for_both_sides() {
    let cluster = cluster();
    let files = files(cluster.directory.path());
    let directory = cluster.authority.directory();
    let key = fs::read_to_string(directory.join("ca.key")).expect("a key");
    let key = KeyPair::from_pem(&key).expect("a key");
    let issuer = rcgen::Issuer::from_ca_cert_der(cluster.authority.certificate(), key);
    let issuer = issuer.expect("an issuer");
    let both = [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let read = |uris: &[&str], usages: &[ExtendedKeyUsagePurpose]| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().expect("ASCII")));
        params.subject_alt_names = uris.collect();
        params.extended_key_usages = usages.to_vec();
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(&files.authorities, pem(cluster.authority.certificate())).expect("written");
        fs::write(&files.certificate, certificate.pem()).expect("written");
        fs::write(&files.key, key.serialize_pem()).expect("written");
        match Credentials::from_files(files.clone(), None, cluster.now) {
            Ok(credentials) => Ok(credentials),
            Err(CredentialsError::Identity {
                source: IdentityError::Refused(refusal),
                ..
            }) => Err(refusal),
            Err(error) => panic!("{error:?}"),
        }
    };
    let other = "https://example.com/worker";
    let worker = read(&["lunatic://shop/worker", other], &both).expect("credentials");
    assert_eq!(worker.name(), name("worker"));
    for uris in [
        &[][..],
        &[other],
        &["lunatic://shop"],
        &["lunatic://shop/Worker"],
        &["lunatic://shop/worker/1"],
        &["lunatic://shop/worker", "lunatic://shop/other"],
    ] {
        let refused = read(uris, &both);
        assert!(matches!(refused, Err(Refusal::NoName)), "{uris:?}");
    }
    for usage in &both {
        let refused = read(&["lunatic://shop/worker"], std::slice::from_ref(usage));
        assert!(matches!(refused, Err(Refusal::Unusable { .. })));
    }
    // One authority may have several clusters, the nodes of which do not let each other in.
    let banker = read(&["lunatic://bank/worker"], &both).expect("credentials");
    let refused = worker.admit(Some(ALPN), Some(&banker.chain()), cluster.now);
    let expected = Refusal::OtherCluster {
        cluster: banker.cluster(),
        ours: worker.cluster(),
    };
    assert_eq!(refused, Err(expected));
    // When the name is revoked, such a certificate is refused, as it has no time of issue.
    let list = cluster.authority.revoke(&name("worker"), cluster.now - DAY);
    let list = list.expect("revoked");
    worker.accept_revocations(list.as_bytes()).expect("a list");
    assert!(matches!(
        worker.check_own(cluster.now),
        Err(Refusal::Revoked { .. })
    ));
}

#[test]
fn the_revoked_names_of_two_authorities_are_kept() {
    let (old, new) = (cluster(), cluster());
    let (_, files) = from_files(&old);
    let both = [&old, &new].map(|cluster| pem(cluster.authority.certificate()));
    fs::write(&files.authorities, both.concat()).expect("written");
    let state = old.path("state");
    let start = || Credentials::from_files(files.clone(), Some(&state), old.now);
    let worker = start().expect("credentials");
    for (cluster, bad) in [(&old, "bad"), (&new, "worse")] {
        let list = cluster.authority.revoke(&name(bad), cluster.now);
        let accepted = worker.accept_revocations(list.expect("revoked").as_bytes());
        assert_eq!(accepted, Ok(true));
    }
    assert!(worker.refresh(old.now).warnings.is_empty());
    let again = start().expect("credentials");
    let lists = again.revocations();
    let names = lists.iter().flat_map(|list| list.names());
    let mut names: Vec<_> = names.map(|(name, _)| name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["bad", "worse"]);
}
