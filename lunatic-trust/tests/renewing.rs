//! Certificates that are renewed: by request, or from the directory of the cluster.

mod harness;

use std::fs;

use lunatic_trust::{
    ALPN, AnswerError, Credentials, CredentialsError, DEFAULT_VALIDITY, Fingerprint, Issued,
    JoinError, PeerIdentity, RefreshWarning, Refusal, RenewError, RenewalError,
};

use crate::harness::{DAY, client_at, cluster, connect, name, request, server_at};

#[test]
fn a_certificate_is_to_be_renewed_when_a_third_of_its_validity_is_left() {
    let cluster = cluster();
    let worker = cluster.worker("worker");
    let validity = worker.validity();
    let length = validity.not_after.duration_since(validity.not_before);
    assert!(length.expect("positive") >= DEFAULT_VALIDITY);
    assert!(!worker.needs_renewal(cluster.now));
    assert!(!worker.needs_renewal(cluster.now + 19 * DAY));
    assert!(worker.needs_renewal(cluster.now + 21 * DAY));
    assert!(worker.needs_renewal(cluster.now + 40 * DAY));
}

#[test]
fn a_member_renews_over_a_connection_and_keeps_the_new_certificate() {
    let cluster = cluster();
    let later = cluster.now + 25 * DAY;
    let seed = cluster.seed("seed");
    let worker = cluster.kept_worker("worker");
    assert!(worker.renews_by_request());
    let (server, client) = (server_at(&seed, later), client_at(&worker, later));
    let mut ends = connect(server.clone(), client.clone());
    let first = worker.chain();

    let renewal = worker.begin_renewal().expect("a key");
    let got = ends.send_to_server(renewal.request());
    let chain = ends.server.peer_certificates();
    let answer = cluster.authority.answer(&got, chain, later);
    let outcome = answer.outcome.expect("a certificate");
    assert_eq!(outcome, Issued::Renewed(name("worker")));
    let got = ends.send_to_client(&answer.bytes);
    worker
        .finish_renewal(&renewal, &got, later)
        .expect("renewed");

    assert_ne!(worker.chain()[0], first[0]);
    assert!(!worker.needs_renewal(later));
    // The earlier configuration shows the new certificate.
    let ends = connect(server, client);
    let shown = ends.server.peer_certificates().expect("certificates");
    assert_eq!(shown, worker.chain());
    let kept = Credentials::from_state(&cluster.path("worker"), later + 10 * DAY);
    let kept = kept.expect("readable").expect("credentials");
    assert_eq!(kept.chain(), worker.chain());
}

#[test]
fn a_member_renews_again_and_again_over_one_connection() {
    let cluster = cluster();
    let worker = cluster.worker("worker");
    // The chain that it showed when it connected is over after 30 days.
    let shown = worker.chain();
    let mut chain = shown.clone();
    for days in [25, 50, 75] {
        let now = cluster.now + days * DAY;
        let renewal = worker.begin_renewal().expect("a key");
        let answer = cluster
            .authority
            .answer(renewal.request(), Some(&chain), now);
        let renewed = worker.finish_renewal(&renewal, &answer.bytes, now);
        renewed.expect("renewed");
        chain = answer.chain;
        assert_eq!(chain[0], worker.chain()[0]);
    }
    let now = cluster.now + 75 * DAY;
    let renewal = worker.begin_renewal().expect("a key");
    let answer = cluster
        .authority
        .answer(renewal.request(), Some(&shown), now);
    assert!(answer.outcome.is_err() && answer.chain.is_empty());
}

#[test]
fn who_is_no_member_any_more_gets_no_other_certificate() {
    let cluster = cluster();
    let worker = cluster.worker("worker");
    let ask = |chain: Option<&[_]>, now| {
        let renewal = worker.begin_renewal().expect("a key");
        let answer = cluster.authority.answer(renewal.request(), chain, now);
        let finished = worker.finish_renewal(&renewal, &answer.bytes, now);
        assert!(matches!(
            finished,
            Err(RenewalError::Answer(JoinError::Refused))
        ));
        match answer.outcome {
            Err(AnswerError::Renew(RenewError::Refused(refusal))) => refusal,
            other => panic!("{other:?}"),
        }
    };
    let chain = worker.chain();
    assert_eq!(ask(None, cluster.now), Refusal::NoCertificate);
    let expired = ask(Some(&chain), cluster.now + 31 * DAY);
    assert!(matches!(expired, Refusal::Expired { .. }));
    let stranger = harness::cluster().worker("worker").chain();
    let stranger = ask(Some(&stranger), cluster.now);
    assert!(matches!(stranger, Refusal::WrongAuthority { .. }));
    let revoked = cluster.authority.revoke(&name("worker"), cluster.now);
    revoked.expect("revoked");
    let revoked = ask(Some(&chain), cluster.now);
    assert!(matches!(revoked, Refusal::Revoked { .. }));
    // Nothing has changed.
    assert_eq!(worker.chain(), chain);
}

#[test]
fn an_answer_to_another_request_is_not_used() {
    let cluster = cluster();
    let (worker, other) = (cluster.worker("worker"), cluster.worker("other"));
    let renewal = worker.begin_renewal().expect("a key");
    let theirs = other.begin_renewal().expect("a key");
    let chain = other.chain();
    let answer = cluster
        .authority
        .answer(theirs.request(), Some(&chain), cluster.now);
    let finished = worker.finish_renewal(&renewal, &answer.bytes, cluster.now);
    assert!(matches!(
        finished,
        Err(RenewalError::Answer(JoinError::Identity(_)))
    ));
    // Whoever has another name and sends our request gets a certificate for its own name.
    let renewal = worker.begin_renewal().expect("a key");
    let answer = cluster
        .authority
        .answer(renewal.request(), Some(&chain), cluster.now);
    let finished = worker.finish_renewal(&renewal, &answer.bytes, cluster.now);
    assert!(matches!(
        finished,
        Err(RenewalError::Answer(JoinError::WrongName { .. }))
    ));
    // The right answer may come behind those.
    let chain = worker.chain();
    let answer = cluster
        .authority
        .answer(renewal.request(), Some(&chain), cluster.now);
    let finished = worker.finish_renewal(&renewal, &answer.bytes, cluster.now);
    finished.expect("renewed");
    assert_ne!(worker.chain()[0], chain[0]);
}

#[test]
fn a_node_with_the_directory_renews_itself() {
    let cluster = cluster();
    let state = cluster.path("state");
    let seed = || {
        let seed = name("seed");
        Credentials::from_authority(&cluster.authority, &seed, Some(&state), cluster.now)
    };
    let credentials = seed().expect("credentials");
    let first = credentials.chain();
    // The next start takes what was kept.
    assert_eq!(seed().expect("credentials").chain(), first);
    let renewal = credentials.begin_renewal();
    assert!(matches!(renewal, Err(RenewalError::NotByRequest)));
    assert!(!credentials.refresh(cluster.now + DAY).has_changed());
    // Also if the host was away for longer than the certificate was valid.
    for later in [cluster.now + 25 * DAY, cluster.now + 200 * DAY] {
        let refreshed = credentials.refresh(later);
        assert!(refreshed.certificate && refreshed.warnings.is_empty());
        assert_eq!(credentials.check_own(later), Ok(()));
    }
    assert_ne!(credentials.chain()[0], first[0]);
    let kept = fs::read(state.join("identity.pem")).expect("kept");
    let kept = pem::parse_many(kept).expect("PEM");
    assert_eq!(kept[1].contents(), credentials.chain()[0].as_ref());
}

#[test]
fn a_revoked_node_with_the_directory_does_not_make_itself_a_member_again() {
    let cluster = cluster();
    let state = cluster.path("state");
    let start =
        |now| Credentials::from_authority(&cluster.authority, &name("seed"), Some(&state), now);
    let seed = start(cluster.now).expect("credentials");
    let revoked_at = cluster.now + DAY;
    let list = cluster.authority.revoke(&name("seed"), revoked_at);
    list.expect("revoked");
    let refreshed = seed.refresh(revoked_at);
    assert!(refreshed.revocations && !refreshed.certificate);
    assert!(matches!(
        seed.check_own(revoked_at),
        Err(Refusal::Revoked { .. })
    ));
    let later = cluster.now + 25 * DAY;
    let refreshed = seed.refresh(later);
    assert!(!refreshed.has_changed());
    assert!(matches!(
        refreshed.warnings.as_slice(),
        [RefreshWarning::Renewal(CredentialsError::Issue(_))]
    ));
    let error = start(later).expect_err("it is revoked");
    assert!(matches!(
        error,
        CredentialsError::Issue(RenewError::Refused(Refusal::Revoked { .. }))
    ));
    // Who owns the directory can issue a certificate nevertheless.
    let chain = cluster
        .authority
        .issue(&name("seed"), &request(), DAY, later)
        .expect("a certificate");
    let other = Credentials::from_authority(&cluster.authority, &name("other"), None, later);
    let admitted = other
        .expect("credentials")
        .admit(Some(ALPN), Some(&chain), later);
    assert_eq!(admitted, Ok(PeerIdentity::Member(name("seed"))));
}

#[test]
fn what_was_kept_is_not_used_when_it_is_damaged_or_has_expired() {
    let cluster = cluster();
    cluster.kept_worker("worker");
    let state = cluster.path("worker");
    let late = Credentials::from_state(&state, cluster.now + 31 * DAY);
    let error = late.expect_err("it has expired");
    assert!(
        error
            .to_string()
            .contains("remove it and join with another one"),
        "{error}"
    );
    let authority = Fingerprint::of(cluster.authority.certificate());
    for file in [&*format!("revoked-{authority}"), "identity.pem"] {
        let path = state.join(file);
        let whole = fs::read(&path).expect("a file");
        fs::write(&path, &whole[..whole.len() / 2]).expect("written");
        let damaged = Credentials::from_state(&state, cluster.now);
        let error = damaged.expect_err("it is damaged");
        assert!(error.to_string().contains(file), "{error}");
    }
    let nothing = Credentials::from_state(&cluster.path("none"), cluster.now);
    assert!(nothing.expect("readable").is_none());
}
