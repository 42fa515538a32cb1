//! Directories of the host in which guests change nothing.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::UNIX_EPOCH;

use futures_lite::future::block_on;
use lunatic_fs::{Access, Companion, Dir, NewTime, Node, OpenOptions, Times, protect};
use tempfile::TempDir;

const WRITE: OpenOptions = OpenOptions {
    write: true,
    create: true,
    read: false,
    append: false,
    create_new: false,
    truncate: true,
    directory: false,
    nofollow: false,
    durability: lunatic_fs::Durability::None,
};

/// A directory with `caches/own/code` in it, where `caches/own` is protected.
fn home() -> (TempDir, Dir) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("caches/own")).unwrap();
    fs::write(home.path().join("caches/own/code"), "compiled").unwrap();
    protect(&home.path().join("caches/own"));
    let dir = open(home.path()).unwrap();
    (home, dir)
}

fn open(path: &Path) -> io::Result<Dir> {
    block_on(Dir::open_host(path, Access::ReadWrite))
}

#[track_caller]
fn is_denied<T>(outcome: io::Result<T>) {
    let kind = outcome.map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::PermissionDenied));
}

#[test]
fn files_there_are_read_and_not_written() {
    let (home, dir) = home();
    block_on(async {
        assert!(
            dir.open("caches/own/code", OpenOptions::default())
                .await
                .is_ok()
        );
        is_denied(dir.open("caches/own/code", WRITE).await);
        is_denied(dir.open("caches/own/other", WRITE).await);
        is_denied(dir.remove_file("caches/own/code").await);
        is_denied(dir.create_dir("caches/own/more").await);
        is_denied(dir.symlink("x", "caches/own/link").await);
    });
    let code = fs::read_to_string(home.path().join("caches/own/code")).unwrap();
    assert_eq!(code, "compiled");
    assert!(!home.path().join("caches/own/other").exists());
}

#[test]
fn nothing_comes_in_or_goes_out_by_another_name() {
    let (_home, dir) = home();
    block_on(async {
        dir.open("mine", WRITE).await.unwrap();
        is_denied(dir.rename("mine", &dir, "caches/own/code").await);
        is_denied(dir.hard_link("mine", &dir, "caches/own/more").await);
        is_denied(dir.hard_link("caches/own/code", &dir, "same").await);
        is_denied(dir.rename("caches/own/code", &dir, "mine").await);
        // A link that leads there does not help.
        dir.symlink("caches/own/code", "link").await.unwrap();
        is_denied(dir.open("link", WRITE).await);
        dir.symlink("caches/own", "there").await.unwrap();
        is_denied(dir.open("there/other", WRITE).await);
        let own = dir.open_dir("caches/own").await.unwrap();
        is_denied(own.open("code", WRITE).await);
        is_denied(own.remove_file("code").await);
    });
}

#[test]
fn the_directories_that_lead_there_keep_their_names() {
    let (home, dir) = home();
    block_on(async {
        is_denied(dir.rename("caches", &dir, "elsewhere").await);
        is_denied(dir.rename("caches/own", &dir, "elsewhere").await);
        let other = dir.create_dir("other").await;
        other.unwrap();
        is_denied(dir.rename("other", &dir, "caches").await);
        // What is beside them is not concerned.
        dir.create_dir("caches/others").await.unwrap();
        dir.open("caches/others/file", WRITE).await.unwrap();
        dir.rename("caches/others", &dir, "caches/renamed")
            .await
            .unwrap();
    });
    is_denied(open(&home.path().join("caches/own")));
}

#[test]
fn it_need_not_exist_yet() {
    let home = tempfile::tempdir().unwrap();
    protect(&home.path().join("caches/own"));
    let dir = open(home.path()).unwrap();
    block_on(async {
        is_denied(dir.symlink("elsewhere", "caches").await);
        is_denied(dir.open("caches", WRITE).await);
        dir.create_dir("caches").await.unwrap();
        is_denied(dir.create_dir("caches/own").await);
    });
}

#[test]
fn a_link_of_the_host_that_leads_there_keeps_its_place() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("disk/own")).unwrap();
    std::os::unix::fs::symlink("disk", home.path().join("caches")).unwrap();
    protect(&home.path().join("caches/own"));
    let dir = open(home.path()).unwrap();
    block_on(async {
        is_denied(dir.remove_file("caches").await);
        is_denied(dir.open("disk/own/code", WRITE).await);
        is_denied(dir.open("caches/own/code", WRITE).await);
        is_denied(dir.rename("disk", &dir, "elsewhere").await);
    });
}

#[test]
fn no_library_makes_or_writes_files_there() {
    let (home, dir) = home();
    let wal = &[Companion {
        suffix: "-wal",
        is_locked: false,
    }];
    block_on(async {
        is_denied(dir.hold("caches/own/code", wal).await);
        is_denied(dir.hold("caches/own/other", wal).await);
        dir.symlink("caches/own/other", "link").await.unwrap();
        is_denied(dir.hold("link", wal).await);
        let own = dir.open_dir("caches/own").await.unwrap();
        is_denied(own.hold("other", wal).await);
        dir.hold("mine", wal).await.unwrap().release();
    });
    assert!(!home.path().join("caches/own/other").exists());
}

#[test]
fn what_is_open_to_be_read_keeps_its_times() {
    let (home, dir) = home();
    let code = home.path().join("caches/own/code");
    let modified = || fs::metadata(&code).unwrap().modified().unwrap();
    let before = modified();
    let times = Times {
        accessed: None,
        modified: Some(NewTime::At(UNIX_EPOCH)),
    };
    block_on(async {
        let Node::File(file) = dir
            .open("caches/own/code", OpenOptions::default())
            .await
            .unwrap()
        else {
            panic!("it is a file");
        };
        is_denied(file.set_times(times).await);
        is_denied(dir.set_times("caches/own/code", times, true).await);
    });
    assert_eq!(modified(), before);
}
