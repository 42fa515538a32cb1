//! Nothing leads out of a directory, and nothing changes one that is read-only.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use futures_lite::future::block_on;
use lunatic_fs::{Access, Dir, OpenOptions, Times};
use tempfile::TempDir;

/// `inside` is open; `outside` holds `secret`.
async fn prison(access: Access) -> (Dir, TempDir) {
    let host = tempfile::tempdir().expect("a directory");
    let inside = host.path().join("inside");
    fs::create_dir_all(inside.join("a")).expect("directories");
    fs::write(inside.join("file"), b"harmless").expect("a file");
    fs::create_dir(host.path().join("outside")).expect("a directory");
    fs::write(host.path().join("outside/secret"), b"secret").expect("a file");
    symlink("../outside", inside.join("link")).expect("a link");
    symlink("/", inside.join("root")).expect("a link");
    let dir = Dir::open_host(&inside, access).await.expect("it exists");
    (dir, host)
}

fn denied<T>(outcome: io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::PermissionDenied)
}

#[test]
fn no_path_leads_outside() {
    block_on(async {
        let (dir, host) = prison(Access::ReadWrite).await;
        let look = OpenOptions::default();
        let create = OpenOptions {
            create: true,
            write: true,
            ..look
        };
        for path in [
            "../outside/secret",
            "a/../../outside/secret",
            "link/secret",
            "a/../link/secret",
            "root/etc/passwd",
            "/etc/passwd",
        ] {
            assert!(denied(dir.open(path, look).await), "{path}");
            assert!(denied(dir.open(path, create).await), "{path}");
            assert!(denied(dir.create_dir(path).await), "{path}");
            assert!(denied(dir.remove_dir(path).await), "{path}");
            assert!(denied(dir.remove_file(path).await), "{path}");
            assert!(denied(dir.symlink("x", path).await), "{path}");
            assert!(denied(dir.read_link(path).await), "{path}");
            assert!(denied(dir.metadata(path, true).await), "{path}");
            assert!(denied(dir.metadata(path, false).await), "{path}");
            let times = Times::default();
            assert!(denied(dir.set_times(path, times, true).await), "{path}");
            assert!(denied(dir.rename("file", &dir, path).await), "{path}");
            assert!(denied(dir.rename(path, &dir, "got").await), "{path}");
            assert!(denied(dir.hard_link("file", &dir, path).await), "{path}");
            assert!(denied(dir.hard_link(path, &dir, "got").await), "{path}");
            assert!(denied(dir.open_dir(path).await), "{path}");
        }
        assert!(denied(dir.symlink("/etc", "mine").await));
        let secret = fs::read(host.path().join("outside/secret")).expect("it exists");
        assert_eq!(secret, b"secret");
    });
}

#[test]
fn nothing_changes_what_is_read_only() {
    block_on(async {
        let (dir, _host) = prison(Access::ReadOnly).await;
        let other = tempfile::tempdir().expect("a directory");
        let writable = Dir::open_host(other.path(), Access::ReadWrite).await;
        let writable = writable.expect("it exists");
        let look = OpenOptions::default();
        for options in [
            OpenOptions {
                write: true,
                ..look
            },
            OpenOptions {
                create: true,
                ..look
            },
            OpenOptions {
                create_new: true,
                ..look
            },
            OpenOptions {
                truncate: true,
                ..look
            },
        ] {
            assert!(denied(dir.open("file", options).await), "{options:?}");
        }
        let below = dir.open_dir("a").await.expect("it can be opened");
        assert_eq!(below.access(), Access::ReadOnly);
        for dir in [&dir, &below] {
            assert!(denied(dir.create_dir("new").await));
            assert!(denied(dir.remove_dir("a").await));
            assert!(denied(dir.remove_file("file").await));
            assert!(denied(dir.symlink("x", "new").await));
            assert!(denied(dir.set_times("file", Times::default(), true).await));
            assert!(denied(dir.rename("file", &writable, "got").await));
            assert!(denied(dir.hard_link("file", &writable, "got").await));
            assert!(denied(writable.rename("x", dir, "new").await));
            assert!(denied(writable.hard_link("x", dir, "new").await));
        }
        assert!(dir.open("file", look).await.is_ok());
        assert!(dir.entries(0, 9).await.is_ok());
    });
}
