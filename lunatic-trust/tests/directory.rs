//! The directory of a cluster: who can read it, and what is said about one that is damaged.

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lunatic_trust::{
    Authority, AuthorityError, Credentials, IssueError, MAX_VALIDITY, RedeemError, TokenError,
    TokenJoin,
};
use rcgen::KeyPair;

use crate::harness::{Cluster, DAY, HOUR, cluster, name, request, request_of};

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

fn open_error(cluster: &Cluster) -> (AuthorityError, String) {
    let error = Authority::open(cluster.authority.directory()).expect_err("it is damaged");
    let text = error.to_string();
    (error, text)
}

#[test]
fn only_the_owner_can_read_what_is_secret() {
    let cluster = cluster();
    cluster.token();
    let directory = cluster.authority.directory();
    assert_eq!(mode(directory), 0o700);
    assert_eq!(mode(&directory.join("tokens")), 0o700);
    assert_eq!(mode(&directory.join("ca.key")), 0o600);
    for entry in fs::read_dir(directory.join("tokens")).expect("tokens") {
        assert_eq!(mode(&entry.expect("a token").path()), 0o600);
    }
    cluster.kept_worker("worker");
    let state = cluster.path("worker");
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("identity.pem")), 0o600);
    // The key of the attempt is gone, and no temporary file is left.
    let mut files: Vec<_> = fs::read_dir(&state)
        .expect("files")
        .map(|entry| entry.expect("a file").file_name())
        .collect();
    files.sort();
    let revoked = format!("revoked-{}", cluster.authority.fingerprint());
    assert_eq!(files, ["identity.pem", &*revoked]);
}

#[test]
fn the_key_of_an_attempt_to_join_is_readable_by_its_owner_only() {
    let cluster = cluster();
    let state = cluster.path("state");
    TokenJoin::new(cluster.token(), name("worker"), Some(&state)).expect("a key");
    assert_eq!(mode(&state.join("joining.key")), 0o600);
}

#[test]
fn a_directory_that_was_open_to_others_is_closed() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("cluster");
    fs::create_dir(&directory).expect("made");
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).expect("opened");
    let cluster = "shop".parse().expect("a name");
    Authority::init(&directory, &cluster, SystemTime::now()).expect("a cluster");
    assert_eq!(mode(&directory), 0o700);
}

#[test]
fn a_directory_that_has_anything_in_it_is_not_overwritten() {
    let cluster = cluster();
    let directory = cluster.authority.directory();
    let key = fs::read(directory.join("ca.key")).expect("a key");
    let again = Authority::init(directory, cluster.authority.cluster(), cluster.now);
    let error = again.expect_err("it is there");
    assert!(matches!(&error, AuthorityError::NotEmpty(path) if path == directory));
    assert!(
        error.to_string().contains("name another directory"),
        "{error}"
    );
    assert_eq!(fs::read(directory.join("ca.key")).expect("a key"), key);
    // Also one of somebody else.
    let theirs = cluster.path("theirs");
    fs::create_dir(&theirs).expect("made");
    fs::write(theirs.join("letter.txt"), "dear").expect("written");
    let init = Authority::init(&theirs, cluster.authority.cluster(), cluster.now);
    assert!(matches!(init, Err(AuthorityError::NotEmpty(_))));
    assert_eq!(fs::read_dir(&theirs).expect("files").count(), 1);
}

#[test]
fn of_many_threads_that_make_a_directory_one_does() {
    for _ in 0..5 {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("cluster");
        let made: Vec<_> = std::thread::scope(|scope| {
            let init = |_| {
                scope.spawn(|| {
                    let cluster = "shop".parse().expect("a name");
                    Authority::init(&directory, &cluster, SystemTime::now())
                })
            };
            let threads: Vec<_> = (0..4).map(init).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|made| made.expect("no panic")).collect()
        });
        let made: Vec<_> = made.into_iter().filter_map(Result::ok).collect();
        assert_eq!(made.len(), 1);
        let opened = Authority::open(&directory).expect("complete");
        assert_eq!(opened.fingerprint(), made[0].fingerprint());
    }
}

#[test]
fn a_directory_is_opened_as_it_was_made() {
    let cluster = cluster();
    let opened = Authority::open(cluster.authority.directory()).expect("a cluster");
    assert_eq!(opened.cluster().as_str(), "shop");
    assert_eq!(opened.fingerprint(), cluster.authority.fingerprint());
    // A token of one is good for the other.
    let token = opened.token(None, HOUR, cluster.now).expect("a token");
    cluster
        .redeem(&token, &name("worker"))
        .expect("a certificate");
}

#[test]
fn what_is_missing_or_damaged_is_named_with_the_next_step() {
    let missing = tempfile::tempdir().expect("a directory");
    let error = Authority::open(&missing.path().join("none")).expect_err("missing");
    assert!(matches!(error, AuthorityError::NoDirectory(_)));
    assert!(
        error.to_string().contains("`lunatic cluster init`"),
        "{error}"
    );

    for file in ["ca.pem", "ca.key", "revoked"] {
        let cluster = cluster();
        let path = cluster.authority.directory().join(file);
        fs::remove_file(&path).expect("removed");
        let (error, text) = open_error(&cluster);
        assert!(
            matches!(&error, AuthorityError::Incomplete(at) if *at == path),
            "{text}"
        );
        assert!(text.contains(file) && text.contains("backup"), "{text}");
    }
    for file in ["ca.pem", "ca.key", "revoked"] {
        let cluster = cluster();
        let path = cluster.authority.directory().join(file);
        let mut bytes = fs::read(&path).expect("a file");
        bytes.truncate(bytes.len() / 2);
        fs::write(&path, bytes).expect("written");
        let (error, text) = open_error(&cluster);
        assert!(
            matches!(&error, AuthorityError::Damaged { path: at, .. } if *at == path),
            "{text}"
        );
        assert!(text.contains(file) && text.contains("backup"), "{text}");
    }
}

#[test]
fn a_key_of_another_cluster_is_noticed() {
    let (ours, theirs) = (cluster(), cluster());
    let file = |cluster: &Cluster| cluster.authority.directory().join("ca.key");
    fs::copy(file(&theirs), file(&ours)).expect("copied");
    let (_, text) = open_error(&ours);
    assert!(text.contains("it is not the key of ca.pem"), "{text}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let cluster = cluster();
    let key = cluster.authority.directory().join("ca.key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("opened");
    let (error, text) = open_error(&cluster);
    assert!(matches!(
        error,
        AuthorityError::KeyIsReadable { mode: 0o640, .. }
    ));
    assert!(text.contains("chmod 600"), "{text}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let cluster = cluster();
    let path = cluster.authority.directory().join("ca.pem");
    fs::write(&path, vec![b'a'; 64 * 1024 + 1]).expect("written");
    let (error, _) = open_error(&cluster);
    let AuthorityError::File(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.path, path);
    assert_eq!(error.source.kind(), std::io::ErrorKind::FileTooLarge);
}

#[test]
fn a_damaged_token_is_refused_and_named() {
    let cluster = cluster();
    let token = cluster.token();
    let tokens = cluster.authority.directory().join("tokens");
    let mut entries = fs::read_dir(tokens).expect("tokens");
    let path = entries.next().expect("one").expect("a file").path();
    fs::write(&path, "{").expect("written");
    let redeemed = cluster.redeem(&token, &name("worker"));
    assert!(matches!(
        redeemed,
        Err(RedeemError::Directory(AuthorityError::Damaged { path: at, .. })) if at == path
    ));
}

#[test]
fn tokens_that_expired_long_ago_are_forgotten() {
    let cluster = cluster();
    let token = cluster.token();
    let count = || {
        fs::read_dir(cluster.authority.directory().join("tokens"))
            .expect("tokens")
            .count()
    };
    let at = |now| {
        cluster.authority.token(None, HOUR, now).expect("a token");
        count()
    };
    assert_eq!(at(cluster.now + DAY), 2);
    let redeemed = cluster
        .authority
        .redeem(&token, &name("worker"), &request(), cluster.now + DAY);
    assert!(matches!(redeemed, Err(RedeemError::Expired { .. })));
    assert_eq!(at(cluster.now + 30 * DAY), 1);
}

#[test]
fn a_certificate_is_issued_for_a_bounded_time_and_kind_of_key() {
    let cluster = cluster();
    let issue = |request: &[u8], validity, now| {
        let issued = cluster
            .authority
            .issue(&name("worker"), request, validity, now);
        issued.map(drop)
    };
    let now = cluster.now;
    assert!(issue(&request(), DAY, now).is_ok());
    for validity in [Duration::ZERO, MAX_VALIDITY + Duration::from_secs(1)] {
        let refused = issue(&request(), validity, now);
        assert!(matches!(refused, Err(IssueError::Validity { .. })));
        let refused = cluster.authority.token(None, validity, now);
        assert!(matches!(
            refused,
            Err(TokenError::Issue(IssueError::Validity { .. }))
        ));
    }
    let later = issue(&request(), DAY, now + 3653 * DAY);
    assert!(matches!(later, Err(IssueError::AuthorityExpired { .. })));
    let early = issue(&request(), DAY, UNIX_EPOCH);
    assert!(matches!(early, Err(IssueError::Clock)));
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert!(issue(&request_of(&ed25519), DAY, now).is_ok());
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let refused = issue(&request_of(&p384), DAY, now);
    assert!(matches!(refused, Err(IssueError::UnsupportedKey)));
    let mut forged = request();
    *forged.last_mut().expect("a signature") ^= 1;
    let refused = issue(&forged, DAY, now);
    assert!(matches!(refused, Err(IssueError::BadRequest { .. })));
    let refused = issue(&[0; 5000], DAY, now);
    assert!(matches!(refused, Err(IssueError::BadRequest { .. })));
}

#[test]
fn no_certificate_outlives_its_authority() {
    let cluster = cluster();
    let late = cluster.now + 3640 * DAY;
    let seed = Credentials::from_authority(&cluster.authority, &name("seed"), None, late);
    let validity = seed.expect("credentials").validity();
    let length = validity.not_after.duration_since(late).expect("later");
    assert!(length < 13 * DAY);
}

#[test]
fn debug_shows_no_key() {
    let cluster = cluster();
    let join = TokenJoin::new(cluster.token(), name("worker"), None).expect("a key");
    let worker = cluster.kept_worker("other");
    let renewal = worker.begin_renewal().expect("a key");
    let shown = format!("{:?} {join:?} {worker:?} {renewal:?}", cluster.authority);
    let secrets = [
        fs::read_to_string(cluster.authority.directory().join("ca.key")),
        fs::read_to_string(cluster.path("other").join("identity.pem")),
    ];
    for pem in secrets {
        let der = pem::parse(pem.expect("a file")).expect("PEM");
        assert_eq!(der.tag(), "PRIVATE KEY");
        let bytes: Vec<String> = der.contents().iter().map(u8::to_string).collect();
        assert!(!shown.contains(&bytes[40..50].join(", ")));
        let digits: String = der.contents()[40..50]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(!shown.contains(&digits));
    }
    assert!(shown.contains("NodeKey(..)") || shown.contains("Renewal(..)"));
}

#[test]
fn a_node_that_starts_again_has_the_same_key_for_connections_and_others_have_another() {
    let (shop, other) = (cluster(), cluster());
    let key = |cluster: &harness::Cluster, name: &str| cluster.seed(name).connection_key();
    let own = key(&shop, "seed");
    assert!(own.is_some());
    assert_eq!(key(&shop, "seed"), own);
    assert_ne!(key(&shop, "other"), own);
    assert_ne!(key(&other, "seed"), own);
    // It comes with a token, and so is another one after each.
    assert_eq!(shop.worker("worker").connection_key(), None);
}
