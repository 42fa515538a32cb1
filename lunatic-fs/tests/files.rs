//! Files and directories, used without any WebAssembly.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, SeekFrom};
use std::time::{Duration, UNIX_EPOCH};

use futures_lite::future::block_on;
use lunatic_account::{self as account, Account, Charge};
use lunatic_fs::{Access, Dir, Durability, File, Kind, NewTime, Node, OpenOptions, Times};
use tempfile::TempDir;

fn new_dir() -> (Dir, TempDir) {
    let host = tempfile::tempdir().expect("a directory");
    let dir = block_on(Dir::open_host(host.path(), Access::ReadWrite)).expect("it exists");
    (dir, host)
}

fn file(node: Node) -> File {
    match node {
        Node::File(file) => file,
        Node::Dir(dir) => panic!("{dir:?} is no file"),
    }
}

async fn create(dir: &Dir, path: &str) -> File {
    let options = OpenOptions {
        read: true,
        write: true,
        create: true,
        ..OpenOptions::default()
    };
    file(dir.open(path, options).await.expect("a file"))
}

#[test]
fn what_is_written_can_be_read() {
    block_on(async {
        let (dir, host) = new_dir();
        let file = create(&dir, "file").await;
        assert_eq!(file.write(b"hello".to_vec()).await.expect("room"), 5);
        assert_eq!(file.seek(SeekFrom::Start(1)).await.expect("a place"), 1);
        assert_eq!(file.read(3).await.expect("data"), b"ell");
        assert_eq!(file.position().expect("a place"), 4);
        assert_eq!(file.read_at(9, 3).await.expect("data"), b"lo");
        assert_eq!(file.write_at(b"J".to_vec(), 0).await.expect("room"), 1);
        assert_eq!(file.seek(SeekFrom::End(-1)).await.expect("a place"), 4);
        file.close().await;
        let read = fs::read(host.path().join("file")).expect("it exists");
        assert_eq!(read, b"Jello");
    });
}

#[test]
fn a_clone_is_the_same_open_file() {
    block_on(async {
        let (dir, _host) = new_dir();
        let file = create(&dir, "file").await;
        let clone = file.clone();
        file.write(b"one".to_vec()).await.expect("room");
        assert_eq!(clone.position().expect("a place"), 3);
        file.close().await;
        clone.write(b"two".to_vec()).await.expect("it is open");
        let length = clone.metadata().await.expect("it is open").size;
        assert_eq!(length, 6);
    });
}

#[test]
fn options_do_what_they_say() {
    block_on(async {
        let (dir, host) = new_dir();
        fs::write(host.path().join("file"), b"old").expect("a file");
        fs::create_dir(host.path().join("dir")).expect("a directory");
        let open = |options| dir.open("file", options);
        let default = OpenOptions::default();
        assert!(open(default).await.is_ok());
        let exists = open(OpenOptions {
            create_new: true,
            ..default
        });
        let error = exists.await.expect_err("it exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let directory = open(OpenOptions {
            directory: true,
            ..default
        });
        let error = directory.await.expect_err("it is a file");
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        let append = open(OpenOptions {
            write: true,
            append: true,
            durability: Durability::All,
            ..default
        });
        let append = file(append.await.expect("it exists"));
        append.write(b" new".to_vec()).await.expect("room");
        let truncate = open(OpenOptions {
            truncate: true,
            ..default
        });
        assert_eq!(
            fs::read(host.path().join("file")).expect("it exists"),
            b"old new"
        );
        truncate.await.expect("it exists");
        assert_eq!(fs::read(host.path().join("file")).expect("it exists"), b"");
        let node = dir.open("dir", default).await.expect("it exists");
        assert!(matches!(node, Node::Dir(_)));
    });
}

#[test]
fn metadata_and_times_are_the_hosts() {
    block_on(async {
        let (dir, host) = new_dir();
        let file = create(&dir, "file").await;
        let time = UNIX_EPOCH + Duration::new(1_000_000_000, 7);
        let times = Times {
            modified: Some(NewTime::At(time)),
            accessed: None,
        };
        file.set_times(times).await.expect("it is ours");
        let metadata = dir.metadata("file", true).await.expect("it exists");
        assert_eq!(metadata.modified, time);
        assert_eq!(metadata.kind, Kind::File);
        let host = fs::metadata(host.path().join("file")).expect("it exists");
        assert_eq!(host.modified().expect("a time"), time);
        let now = Times {
            modified: Some(NewTime::Now),
            accessed: Some(NewTime::Now),
        };
        dir.set_times("file", now, true).await.expect("it is ours");
        let metadata = file.metadata().await.expect("it is open");
        assert!(metadata.modified > time);
    });
}

#[test]
fn a_listing_goes_on_where_it_stopped() {
    block_on(async {
        let (dir, host) = new_dir();
        for i in 0..100 {
            fs::write(host.path().join(i.to_string()), b"").expect("a file");
        }
        let mut names = Vec::new();
        let mut place = 0;
        loop {
            let entries = dir.entries(place, 7).await.expect("a directory");
            let Some(last) = entries.last() else { break };
            place = last.next;
            names.extend(entries.into_iter().map(|entry| entry.name));
        }
        assert_eq!(names.len(), 102);
        assert!(names.contains(&"99".to_owned()));
    });
}

#[test]
fn a_directory_can_be_built_and_torn_down() {
    block_on(async {
        let (dir, host) = new_dir();
        dir.create_dir("a").await.expect("a directory");
        create(&dir, "a/file").await;
        dir.symlink("file", "a/link").await.expect("a link");
        let target = dir.read_link("a/link").await.expect("it is a link");
        assert_eq!(target.to_str(), Some("file"));
        dir.hard_link("a/file", &dir, "b").await.expect("a name");
        dir.rename("b", &dir, "c").await.expect("a name");
        assert!(host.path().join("c").exists());
        let error = dir.remove_dir("a").await.expect_err("it is not empty");
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
        for name in ["a/link", "a/file", "c"] {
            dir.remove_file(name).await.expect("it exists");
        }
        dir.remove_dir("a/").await.expect("it is empty");
        dir.sync(true).await.expect("it is open");
    });
}

#[test]
fn a_listing_is_charged_until_it_is_dropped() {
    block_on(async {
        let (dir, host) = new_dir();
        for number in 0..10 {
            fs::write(host.path().join(number.to_string()), b"").expect("room");
        }
        let account = Account::default();
        let used = || account.used(account::Kind::Descriptors);
        let charge = Charge::new(&account, account::Kind::Descriptors, 1).expect("no limit");
        let listing = dir.list_charged(0, Some(charge)).await;
        let mut listing = listing.expect("it can be listed");
        let piece = listing.next(2).await.expect("it is there");
        assert_eq!((piece.map(|piece| piece.len()), used()), (Some(2), 1));
        drop(listing);
        assert_eq!(used(), 0);
    });
}

#[test]
fn a_large_directory_is_listed_in_pieces_from_any_position() {
    const FILES: usize = 3000;
    block_on(async {
        let (dir, host) = new_dir();
        for number in 0..FILES {
            fs::write(host.path().join(number.to_string()), b"").expect("room");
        }
        let mut listing = dir.list(0).await.expect("it can be listed");
        let (mut names, mut middle) = (BTreeSet::new(), 0);
        while let Some(entries) = listing.next(100).await.expect("it is there") {
            assert!(entries.len() <= 100);
            if names.len() < FILES / 2 {
                middle = entries.last().map_or(middle, |entry| entry.next);
            }
            names.extend(entries.into_iter().map(|entry| entry.name));
        }
        // With the directory itself and the one above.
        assert_eq!(names.len(), FILES + 2);
        let rest = dir.entries(middle, usize::MAX).await.expect("it is there");
        assert!((1..FILES).contains(&rest.len()), "{}", rest.len());
        assert!(rest.iter().all(|entry| names.contains(&entry.name)));
    });
}

#[test]
fn one_operation_reads_and_writes_a_mebibyte_at_most() {
    const MOST: usize = 1 << 20;
    block_on(async {
        let (dir, _host) = new_dir();
        let file = create(&dir, "file").await;
        let bytes = vec![7; 3 * MOST];
        assert_eq!(file.write(bytes.clone()).await.expect("room"), MOST);
        let written = file.write_at(bytes, MOST as u64).await;
        assert_eq!(written.expect("room"), MOST);
        let read = file.read_at(3 * MOST, 0).await.expect("data");
        assert_eq!(read.len(), MOST);
        assert_eq!(file.read(3 * MOST).await.expect("data").len(), MOST);
        assert!(file.read(3 * MOST).await.expect("an end").is_empty());
    });
}
