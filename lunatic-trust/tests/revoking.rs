//! The signed list of revoked names, and how nodes pass it on.

mod harness;

use std::time::Duration;

use lunatic_trust::{
    ALPN, Credentials, InvalidRevocations, MAX_EXCHANGE_BYTES, MAX_REVOKED, PeerIdentity, Refusal,
    RevocationList, RevokeError,
};

use crate::harness::{DAY, cluster, cluster_called, name};

/// The only list that a node has.
fn held(node: &Credentials) -> RevocationList {
    let lists = node.revocations();
    assert_eq!(lists.len(), 1);
    lists[0].clone()
}

#[test]
fn nodes_without_the_directory_check_the_list_and_pass_it_on() {
    let cluster = cluster();
    let (first, second, bad) = (
        cluster.worker("first"),
        cluster.worker("second"),
        cluster.worker("bad"),
    );
    let list = cluster.authority.revoke(&name("bad"), cluster.now);
    let list = list.expect("revoked");
    assert_eq!(first.accept_revocations(list.as_bytes()), Ok(true));
    let passed_on = first.revocations();
    assert_eq!(passed_on.len(), 1);
    assert_eq!(second.accept_revocations(passed_on[0].as_bytes()), Ok(true));
    assert_eq!(
        second.accept_revocations(passed_on[0].as_bytes()),
        Ok(false)
    );
    let admitted = second.admit(Some(ALPN), Some(&bad.chain()), cluster.now);
    assert!(matches!(admitted, Err(Refusal::Revoked { name, .. }) if name.as_str() == "bad"));
    let admitted = second.admit(Some(ALPN), Some(&first.chain()), cluster.now);
    assert_eq!(admitted, Ok(PeerIdentity::Member(name("first"))));
    // Of a connection that is open, only that is checked again.
    assert!(matches!(
        second.check_open(&bad.chain()),
        Err(Refusal::Revoked { .. })
    ));
    assert_eq!(second.check_open(&first.chain()), Ok(()));
    assert!(bad.accept_revocations(list.as_bytes()).is_ok());
    assert!(matches!(
        bad.check_own(cluster.now),
        Err(Refusal::Revoked { .. })
    ));
}

#[test]
fn an_old_list_changes_nothing() {
    let cluster = cluster();
    let worker = cluster.worker("worker");
    let revoke = |name: &str| {
        let list = cluster.authority.revoke(&harness::name(name), cluster.now);
        list.expect("revoked")
    };
    let (old, new) = (revoke("first"), revoke("second"));
    assert!(old.number() < new.number());
    assert_eq!(worker.accept_revocations(new.as_bytes()), Ok(true));
    assert_eq!(worker.accept_revocations(old.as_bytes()), Ok(false));
    assert_eq!(held(&worker), new);
}

#[test]
fn a_list_is_newer_even_if_the_clock_went_back() {
    let cluster = cluster();
    let first = cluster.authority.revoke(&name("first"), cluster.now);
    let earlier = cluster.now - DAY;
    let second = cluster.authority.revoke(&name("second"), earlier);
    let (first, second) = (first.expect("revoked"), second.expect("revoked"));
    assert!(second.number() > first.number());
    assert_eq!(second.names().count(), 2);
}

#[test]
fn a_list_of_another_authority_or_cluster_or_one_that_was_changed_is_refused() {
    let (ours, namesake, bank) = (cluster(), cluster(), cluster_called("bank"));
    let worker = ours.worker("worker");
    for other in [&namesake, &bank] {
        let list = other.authority.revoke(&name("worker"), other.now);
        let accepted = worker.accept_revocations(list.expect("revoked").as_bytes());
        assert_eq!(accepted, Err(InvalidRevocations::WrongSignature));
    }
    let list = ours.authority.revoke(&name("other"), ours.now);
    let bytes = list.expect("revoked").as_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(worker.accept_revocations(&changed).is_err(), "byte {at}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    let accepted = worker.accept_revocations(&longer);
    assert_eq!(accepted, Err(InvalidRevocations::Malformed));
    let accepted = worker.accept_revocations(&vec![0; MAX_EXCHANGE_BYTES + 1]);
    assert_eq!(accepted, Err(InvalidRevocations::TooLarge));
}

#[test]
fn the_list_survives_a_restart_and_the_directory_of_the_cluster_is_read_again() {
    let cluster = cluster();
    let worker = cluster.kept_worker("worker");
    let seed = cluster.seed("seed");
    let list = cluster.authority.revoke(&name("bad"), cluster.now);
    let list = list.expect("revoked");
    worker.accept_revocations(list.as_bytes()).expect("a list");
    assert!(worker.refresh(cluster.now).warnings.is_empty());
    let kept = Credentials::from_state(&cluster.path("worker"), cluster.now);
    let kept = kept.expect("readable").expect("credentials");
    assert_eq!(held(&kept), list);
    let refreshed = seed.refresh(cluster.now);
    assert!(refreshed.revocations && refreshed.warnings.is_empty());
    assert_eq!(held(&seed), list);
    // Who starts later has it at once.
    assert_eq!(held(&cluster.worker("later")), list);
    assert_eq!(held(&cluster.seed("later")), list);
}

#[test]
fn a_certificate_that_was_issued_later_is_accepted() {
    let cluster = cluster();
    let old = cluster.worker("worker");
    let revoked_at = cluster.now + Duration::from_millis(1);
    let list = cluster.authority.revoke(&name("worker"), revoked_at);
    let list = list.expect("revoked");
    let later = revoked_at + Duration::from_millis(1);
    let chain = cluster
        .authority
        .issue(&name("worker"), &harness::request(), DAY, later)
        .expect("a certificate");
    let seed = cluster.seed("seed");
    seed.accept_revocations(list.as_bytes()).expect("a list");
    let admitted = seed.admit(Some(ALPN), Some(&chain), later);
    assert_eq!(admitted, Ok(PeerIdentity::Member(name("worker"))));
    let admitted = seed.admit(Some(ALPN), Some(&old.chain()), later);
    assert!(matches!(admitted, Err(Refusal::Revoked { .. })));
}

#[test]
fn a_full_list_can_be_sent_and_names_are_forgotten_when_their_certificates_have_expired() {
    let cluster = cluster();
    let long = |number: usize| name(&format!("{number:0>64}"));
    for number in 0..MAX_REVOKED {
        let revoked = cluster.authority.revoke(&long(number), cluster.now);
        revoked.expect("revoked");
    }
    let full = cluster.authority.revoke(&name("another"), cluster.now);
    assert!(matches!(full, Err(RevokeError::Full)));
    // One that is in it already is revoked again.
    let list = cluster.authority.revoke(&long(0), cluster.now + DAY);
    let list = list.expect("revoked");
    assert!(list.as_bytes().len() <= MAX_EXCHANGE_BYTES);
    let worker = cluster.worker("worker");
    assert_eq!(held(&worker), list);
    let later = cluster.now + 401 * DAY;
    let list = cluster.authority.revoke(&name("another"), later);
    let list = list.expect("there is place");
    let names: Vec<_> = list.names().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [long(0).as_str(), "another"]);
}

#[test]
fn two_processes_that_revoke_at_the_same_time_lose_nothing() {
    let cluster = cluster();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (directory, now) = (cluster.authority.directory(), cluster.now);
            scope.spawn(move || {
                let authority = lunatic_trust::Authority::open(directory).expect("the directory");
                for number in 0..10 {
                    let revoked = authority.revoke(&name(&format!("{thread}-{number}")), now);
                    revoked.expect("revoked");
                }
            });
        }
    });
    let list = cluster.authority.revocations().expect("a list");
    assert_eq!(list.names().count(), 40);
}
