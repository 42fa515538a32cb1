//! How runtimes are found and told apart, and who may ask them.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use harness::{Fake, Place, Raw, named};
use lunatic_admin::{
    BindError, Client, ClientError, Directory, DirectoryError, Limits, RuntimeName, Server,
    StartError, runtimes,
};
use lunatic_testkit::{skipped, wait};
use rustix::process::geteuid;

fn connect(place: &Place, name: Option<&str>) -> Result<Client, ClientError> {
    let name: Option<RuntimeName> = name.map(named);
    wait(
        "a connection",
        Client::connect(&place.directory, name.as_ref()),
    )
}

/// A user that nobody is.
const NOBODY: u32 = 65_534;

#[test]
fn the_socket_is_private_in_a_private_directory() {
    let place = Place::new();
    let server = place.start("shop");
    let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(place.directory.path()), 0o700);
    assert_eq!(mode(server.path()), 0o600);
    assert_eq!(server.path(), place.directory.path().join("shop.sock"));
    assert_eq!(server.name(), &named("shop"));
}

#[test]
fn a_directory_that_others_can_look_into_is_refused() {
    let place = Place::new();
    for mode in [0o755, 0o710, 0o701, 0o777, 0o1777] {
        fs::set_permissions(place.directory.path(), Permissions::from_mode(mode)).unwrap();
        let error = Directory::at(place.directory.path()).unwrap_err();
        assert!(
            matches!(error, DirectoryError::Open(_, found) if found == mode),
            "{error}"
        );
    }
    fs::set_permissions(place.directory.path(), Permissions::from_mode(0o700)).unwrap();
    assert!(Directory::at(place.directory.path()).is_ok());
}

#[test]
fn a_symbolic_link_and_a_file_are_no_directory() {
    let place = Place::new();
    let link = place.parent.path().join("link");
    symlink(place.directory.path(), &link).unwrap();
    let error = Directory::at(&link).unwrap_err();
    assert!(matches!(error, DirectoryError::NoDirectory(_)), "{error}");
    let file = place.parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Directory::at(&file).unwrap_err();
    assert!(matches!(error, DirectoryError::NoDirectory(_)), "{error}");
    let error = Directory::at(place.parent.path().join("not there/lunatic")).unwrap_err();
    assert!(matches!(error, DirectoryError::Io(..)), "{error}");
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    if !geteuid().is_root() {
        return skipped("only root can give a directory away");
    }
    let place = Place::new();
    chown(place.directory.path(), Some(NOBODY), None).unwrap();
    let error = Directory::at(place.directory.path()).unwrap_err();
    assert!(
        matches!(error, DirectoryError::ForeignOwner(_, NOBODY)),
        "{error}"
    );
}

/// Where the next test finds the socket, as another user.
const SOCKET: &str = "LUNATIC_ADMIN_TEST_SOCKET";

#[test]
fn another_user_is_refused_even_if_the_modes_let_them_in() {
    if let Some(path) = std::env::var_os(SOCKET) {
        // This is the other user.
        let mut raw = Raw::connect(path.as_ref());
        let line = raw.is_refused("user");
        assert!(!line.contains("shop"), "{line}");
        return raw.is_closed();
    }
    if !geteuid().is_root() {
        return skipped("only root can be another user");
    }
    let place = Place::new();
    let server = place.start("shop");
    // A program that the other user can start.
    let program = place.parent.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for (path, mode) in [
        (place.parent.path(), 0o755),
        (place.directory.path(), 0o755),
        (server.path(), 0o777),
        (&program, 0o755),
    ] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let name = "another_user_is_refused_even_if_the_modes_let_them_in";
    let ran = Command::new(&program)
        .args(["--exact", name])
        .env(SOCKET, server.path())
        .current_dir("/")
        .uid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn no_runtime_one_and_several_are_told_apart() {
    let place = Place::new();
    assert!(runtimes(&place.directory).unwrap().is_empty());
    let error = connect(&place, None).unwrap_err();
    assert!(matches!(error, ClientError::NoRuntime), "{error}");

    let _first = place.start("first");
    assert_eq!(connect(&place, None).unwrap().name(), "first");

    let _second = place.start("second");
    assert_eq!(
        runtimes(&place.directory).unwrap(),
        [named("first"), named("second")]
    );
    let error = connect(&place, None).unwrap_err().to_string();
    assert!(error.contains("`first`, `second`"), "{error}");
    assert_eq!(connect(&place, Some("second")).unwrap().name(), "second");
}

#[test]
fn a_wrong_name_lists_those_there_are() {
    let place = Place::new();
    let error = connect(&place, Some("shop")).unwrap_err().to_string();
    assert!(
        error.contains("no runtime `shop`") && error.contains("no other"),
        "{error}"
    );
    let _first = place.start("first");
    let _second = place.start("second");
    let error = connect(&place, Some("shop")).unwrap_err().to_string();
    assert!(error.contains("no runtime `shop`"), "{error}");
    assert!(error.contains("`first`, `second`"), "{error}");
}

#[test]
fn a_name_in_use_is_refused_and_the_one_that_has_it_lives_on() {
    let place = Place::new();
    let server = place.start("shop");
    let again = Server::start(
        &place.directory,
        &named("shop"),
        Limits::default(),
        Fake::default(),
    );
    match again {
        Err(StartError::Bind(BindError::InUse(name))) => assert_eq!(name, *server.name()),
        other => panic!("{other:?}"),
    }
    Raw::greeted(server.path()).is_answered();
}

#[test]
fn a_stale_socket_is_removed_by_who_looks_and_by_who_takes_its_name() {
    let place = Place::new();
    let path = place.directory.socket(&named("shop"));
    // A socket whose listener is gone, as after a crash.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(runtimes(&place.directory).unwrap().is_empty());
    assert!(!path.exists());

    drop(UnixListener::bind(&path).unwrap());
    let error = connect(&place, Some("shop")).unwrap_err();
    assert!(matches!(error, ClientError::Unknown(..)), "{error}");

    drop(UnixListener::bind(&path).unwrap());
    let server = place.start("shop");
    Raw::greeted(server.path()).is_answered();
}

#[test]
fn what_is_no_socket_is_not_removed() {
    let place = Place::new();
    let path = place.directory.socket(&named("shop"));
    fs::write(&path, "precious").unwrap();
    let started = Server::start(
        &place.directory,
        &named("shop"),
        Limits::default(),
        Fake::default(),
    );
    match started {
        Err(StartError::Bind(BindError::InTheWay(found))) => assert_eq!(found, path),
        other => panic!("{other:?}"),
    }
    assert!(runtimes(&place.directory).unwrap().is_empty());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_server_does_not_remove_the_socket_of_its_successor() {
    let place = Place::new();
    let first = place.start("shop");
    fs::remove_file(first.path()).unwrap();
    let second = place.start("shop");
    drop(first);
    Raw::greeted(second.path()).is_answered();
}

#[test]
fn a_runtime_that_is_stopped_has_its_name_and_does_not_hold_a_client_for_ever() {
    let place = Place::new();
    let path = place.directory.socket(&named("shop"));
    // It listens, but accepts nobody; after a while its queue is full.
    let _listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&_listener, 1).unwrap();
    for _ in 0..4 {
        assert_eq!(runtimes(&place.directory).unwrap(), [named("shop")]);
    }
    let error = connect(&place, Some("shop")).unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer), "{error}");
}
