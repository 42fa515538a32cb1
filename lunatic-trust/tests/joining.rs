//! Tokens: how a node joins with one, and when it is refused.

mod harness;

use std::sync::Barrier;
use std::time::Duration;

use lunatic_trust::{
    ALPN, AnswerError, Authority, Credentials, InvalidToken, Issued, JoinError, NamePattern,
    PeerIdentity, RedeemError, Refusal, Token, TokenJoin,
};

use crate::harness::{HOUR, cluster, cluster_called, name, request};

#[test]
fn a_node_joins_with_a_token_and_is_a_member() {
    let cluster = cluster();
    let seed = Credentials::from_authority(&cluster.authority, &name("seed"), None, cluster.now)
        .expect("credentials");
    let token: Token = cluster.token().to_text().parse().expect("a token");
    let join = TokenJoin::new(token, name("worker"), None).expect("a key");
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    assert_eq!(
        answer.outcome.expect("a certificate"),
        Issued::Joined(name("worker"))
    );
    let worker = join
        .finish(&answer.bytes, cluster.now)
        .expect("credentials");
    let member = PeerIdentity::Member(name("worker"));
    let admitted = seed.admit(Some(ALPN), Some(&worker.chain()), cluster.now);
    assert_eq!(admitted, Ok(member));
    let member = PeerIdentity::Member(name("seed"));
    let admitted = worker.admit(Some(ALPN), Some(&seed.chain()), cluster.now);
    assert_eq!(admitted, Ok(member));
}

#[test]
fn of_many_threads_that_redeem_a_token_one_gets_a_certificate() {
    let cluster = cluster();
    for _ in 0..10 {
        let token = cluster.token();
        let barrier = Barrier::new(8);
        let redeemed: Vec<_> = std::thread::scope(|scope| {
            let redeem = |_| {
                // As another process does.
                let other = Authority::open(cluster.authority.directory()).expect("the directory");
                let (token, barrier) = (&token, &barrier);
                scope.spawn(move || {
                    let request = request();
                    barrier.wait();
                    other.redeem(token, &name("worker"), &request, cluster.now)
                })
            };
            let threads: Vec<_> = (0..8).map(redeem).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|result| result.expect("no panic")).collect()
        });
        assert_eq!(redeemed.iter().filter(|result| result.is_ok()).count(), 1);
        let used = |result: &&Result<_, _>| matches!(result, Err(RedeemError::Used { .. }));
        assert_eq!(redeemed.iter().filter(used).count(), 7);
    }
}

#[test]
fn a_used_token_is_refused() {
    let cluster = cluster();
    let token = cluster.token();
    cluster
        .redeem(&token, &name("worker"))
        .expect("a certificate");
    let again = cluster.redeem(&token, &name("worker"));
    assert!(matches!(again, Err(RedeemError::Used { by, .. }) if by == name("worker")));
    let other = cluster.redeem(&token, &name("other"));
    assert!(matches!(other, Err(RedeemError::Used { by, .. }) if by == name("worker")));
}

#[test]
fn whose_answer_was_lost_asks_again_with_the_same_key() {
    let cluster = cluster();
    let state = cluster.directory.path().join("state");
    let token = cluster.token();
    let join = TokenJoin::new(token.clone(), name("worker"), Some(&state)).expect("a key");
    let lost = cluster.authority.answer(join.request(), None, cluster.now);
    assert!(lost.outcome.is_ok());
    drop(join);
    let join = TokenJoin::new(token.clone(), name("worker"), Some(&state)).expect("a key");
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    join.finish(&answer.bytes, cluster.now)
        .expect("credentials");
    // With what was kept, no token is needed; with another key, the token is used up.
    let kept = Credentials::from_state(&state, cluster.now).expect("readable");
    assert_eq!(kept.expect("credentials").name(), name("worker"));
    let join = TokenJoin::new(token, name("worker"), Some(&state)).expect("a key");
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    assert!(matches!(
        answer.outcome,
        Err(AnswerError::Join(RedeemError::Used { .. }))
    ));
}

#[test]
fn an_expired_token_is_refused_and_both_times_are_named() {
    let cluster = cluster();
    let token = cluster.token();
    let late = cluster.now + HOUR;
    let redeemed = cluster
        .authority
        .redeem(&token, &name("worker"), &request(), late);
    let error = redeemed.expect_err("it has expired");
    assert!(matches!(error, RedeemError::Expired { host_time, .. } if host_time == late));
    assert_eq!(error.to_string().matches(" UTC").count(), 2, "{error}");
}

#[test]
fn a_token_of_another_cluster_is_refused() {
    let (ours, theirs, namesake) = (cluster(), cluster_called("bank"), cluster());
    let redeemed = ours.redeem(&theirs.token(), &name("worker"));
    let error = redeemed.expect_err("another cluster");
    assert_eq!(
        error.to_string(),
        "the token is for the cluster bank, and this is shop; make one with the directory of shop, or join bank"
    );
    let redeemed = ours.redeem(&namesake.token(), &name("worker"));
    assert!(matches!(redeemed, Err(RedeemError::WrongCluster { .. })));
}

#[test]
fn a_token_that_nobody_made_is_refused() {
    let cluster = cluster();
    let token = cluster.token();
    let tokens = cluster.authority.directory().join("tokens");
    for entry in std::fs::read_dir(tokens).expect("tokens") {
        std::fs::remove_file(entry.expect("a file").path()).expect("removed");
    }
    let redeemed = cluster.redeem(&token, &name("worker"));
    assert!(matches!(redeemed, Err(RedeemError::Unknown)));
}

#[test]
fn a_token_is_for_the_names_that_it_was_made_for() {
    let cluster = cluster();
    let workers: NamePattern = "worker-*".parse().expect("a pattern");
    let token = cluster.authority.token(Some(workers), HOUR, cluster.now);
    let token = token.expect("a token");
    let redeemed = cluster.redeem(&token, &name("database"));
    let error = redeemed.expect_err("another name");
    assert_eq!(
        error.to_string(),
        "the token is for worker-*, not for database; give the node such a name, or make a token for database"
    );
    cluster
        .redeem(&token, &name("worker-1"))
        .expect("not used up");
}

#[test]
fn a_revoked_name_joins_again_with_a_token_that_was_made_later_only() {
    let cluster = cluster();
    let earlier = cluster.token();
    let later = cluster.now + Duration::from_secs(1);
    cluster
        .authority
        .revoke(&name("worker"), later)
        .expect("revoked");
    let redeemed = cluster
        .authority
        .redeem(&earlier, &name("worker"), &request(), later);
    assert!(matches!(redeemed, Err(RedeemError::Revoked { .. })));
    let later = later + Duration::from_secs(1);
    let token = cluster.authority.token(None, HOUR, later).expect("a token");
    let join = TokenJoin::new(token, name("worker"), None).expect("a key");
    let answer = cluster.authority.answer(join.request(), None, later);
    let worker = join.finish(&answer.bytes, later).expect("credentials");
    assert_eq!(worker.check_own(later), Ok(()));
}

#[test]
fn who_is_refused_is_not_told_why() {
    let cluster = cluster();
    let token = cluster.token();
    cluster
        .redeem(&token, &name("worker"))
        .expect("a certificate");
    let used = TokenJoin::new(token, name("worker"), None).expect("a key");
    let late = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let used_answer = cluster.authority.answer(used.request(), None, cluster.now);
    let late_answer = cluster
        .authority
        .answer(late.request(), None, cluster.now + HOUR);
    let garbage_answer = cluster.authority.answer(b"garbage", None, cluster.now);
    assert_eq!(used_answer.bytes, late_answer.bytes);
    assert_eq!(used_answer.bytes, garbage_answer.bytes);
    let finished = used.finish(&used_answer.bytes, cluster.now);
    assert!(matches!(finished, Err(JoinError::Refused)));
}

#[test]
fn who_passes_a_request_on_cannot_use_it_for_another_name_or_key() {
    let cluster = cluster();
    let token = cluster.token();
    let join = TokenJoin::new(token, name("worker-1"), None).expect("a key");
    let mut stolen = join.request().to_vec();
    let at = stolen
        .windows(8)
        .position(|text| text == b"worker-1")
        .expect("the name");
    stolen[at + 7] = b'2';
    let answer = cluster.authority.answer(&stolen, None, cluster.now);
    assert!(matches!(
        answer.outcome,
        Err(AnswerError::Join(RedeemError::Unknown))
    ));
    // It was not used up.
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    join.finish(&answer.bytes, cluster.now)
        .expect("credentials");
}

#[test]
fn an_answer_from_another_authority_is_not_used() {
    let (ours, theirs) = (cluster(), cluster());
    let join = TokenJoin::new(ours.token(), name("worker"), None).expect("a key");
    let other = TokenJoin::new(theirs.token(), name("worker"), None).expect("a key");
    let answer = theirs.authority.answer(other.request(), None, theirs.now);
    let finished = join.finish(&answer.bytes, ours.now);
    assert!(matches!(finished, Err(JoinError::WrongAuthority { .. })));
}

#[test]
fn an_answer_for_another_key_or_name_is_not_used() {
    let cluster = cluster();
    let join = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let other = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let answer = cluster.authority.answer(other.request(), None, cluster.now);
    let finished = join.finish(&answer.bytes, cluster.now);
    assert!(matches!(finished, Err(JoinError::Identity(_))));
}

#[test]
fn a_node_whose_clock_is_wrong_says_so_when_it_joins() {
    let cluster = cluster();
    let join = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let answer = cluster.authority.answer(join.request(), None, cluster.now);
    let yesterday = cluster.now - Duration::from_secs(86400);
    let finished = join.finish(&answer.bytes, yesterday);
    let Err(JoinError::Identity(lunatic_trust::IdentityError::Refused(refusal))) = finished else {
        panic!("{finished:?}");
    };
    assert!(matches!(refusal, Refusal::NotYetValid { host_time, .. } if host_time == yesterday));
    assert_eq!(refusal.to_string().matches(" UTC").count(), 3, "{refusal}");
}

#[test]
fn a_damaged_text_is_no_token() {
    let text = cluster().token().to_text();
    assert!(format!("  {text}\n").parse::<Token>().is_ok());
    let cut = &text[..text.len() - 1];
    assert_eq!(cut.parse::<Token>(), Err(InvalidToken::Damaged));
    let other = text.replace(":shop:", ":bank:");
    assert_eq!(other.parse::<Token>(), Err(InvalidToken::Damaged));
    assert_eq!("shop".parse::<Token>(), Err(InvalidToken::NoToken));
}

#[test]
fn the_directory_has_no_secret_of_a_token_and_debug_has_none_either() {
    let cluster = cluster();
    let token = cluster.token();
    let text = token.to_text();
    // The fingerprint is before the secret, and no secret.
    let digits = text.rsplit_once(':').expect("parts").1;
    let secret = &digits[64..128];
    assert!(!format!("{token:?}").contains(secret));
    let tokens = cluster.authority.directory().join("tokens");
    let mut files = 0;
    for entry in std::fs::read_dir(tokens).expect("tokens") {
        let path = entry.expect("a file").path();
        assert!(!path.to_string_lossy().contains(secret));
        let kept = std::fs::read_to_string(&path).expect("text");
        assert!(!kept.contains(secret), "{kept}");
        files += 1;
    }
    assert_eq!(files, 1);
}
