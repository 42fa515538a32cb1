//! Nothing leads out of a directory, and nothing changes one that is read-only.

mod guest;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use guest::{FOLLOW, Guest, args, at, errno, oflags, rights};
use lunatic_wasi::{Access, Stdio, WasiConfig};
use tempfile::TempDir;

/// `inside` is granted; `outside` holds `secret` and the empty directory `dir`.
struct Prison {
    root: TempDir,
    guest: Guest,
}

impl Prison {
    fn new() -> Prison {
        let root = tempfile::tempdir().expect("a directory");
        let inside = root.path().join("inside");
        fs::create_dir_all(inside.join("a/b")).expect("directories");
        fs::write(inside.join("file"), b"harmless").expect("a file");
        fs::create_dir_all(root.path().join("outside/dir")).expect("directories");
        fs::write(root.path().join("outside/secret"), b"secret").expect("a file");
        let outside = root.path().join("outside");
        let links = [
            ("up", Path::new("..")),
            ("out", Path::new("../outside")),
            ("to-secret", Path::new("../outside/secret")),
            ("to-new", Path::new("../outside/new")),
            ("absolute", outside.as_path()),
            ("root", Path::new("/")),
            ("cwd", Path::new("/proc/self/cwd")),
            ("proc", Path::new("/proc/self/root")),
            ("fds", Path::new("/proc/self/fd")),
            ("dev", Path::new("/dev/fd")),
            ("chain", Path::new("out")),
            ("a/b/far", Path::new("../../../outside")),
        ];
        for (name, target) in links {
            symlink(target, inside.join(name)).expect("a link");
        }
        let guest = Guest::in_dir(&inside, Access::ReadWrite);
        Prison { root, guest }
    }

    fn secret(&self) -> String {
        let path = self.root.path().join("outside/secret");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn check(&self, escape: &str) {
        let outside = self.root.path().join("outside");
        let mut names: Vec<_> = fs::read_dir(&outside)
            .expect("it exists")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["dir", "secret"], "{escape}");
        let secret = fs::read(outside.join("secret")).expect("it exists");
        assert_eq!(secret, b"secret", "{escape}");
        let empty = fs::read_dir(outside.join("dir"))
            .expect("it exists")
            .count();
        assert_eq!(empty, 0, "{escape}");
        let modified = fs::metadata(outside.join("secret")).and_then(|m| m.modified());
        let age = modified.expect("a time").elapsed().unwrap_or_default();
        assert!(age.as_secs() < 3600, "{escape} changed the time");
    }
}

/// Paths to something outside, except for absolute ones of the test's own.
const OUTSIDE: &[&str] = &[
    "../outside/secret",
    "../outside/dir",
    "./../outside/secret",
    "a/../../outside/secret",
    "a/b/../../../outside/secret",
    "a/b/./.././../../outside/secret",
    "..//outside//secret",
    "../inside/../outside/secret",
    "../inside/file",
    "a/../../inside/file",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "/../etc/passwd",
    "/proc/self/cwd/Cargo.toml",
    "/proc/self/root/etc/passwd",
    "/proc/self/fd/3",
    "/dev/fd/0",
    "up/outside/secret",
    "up/inside/file",
    "out/secret",
    "out/dir",
    "out/../outside/secret",
    "absolute/secret",
    "absolute/dir/",
    "root/etc/passwd",
    "cwd/Cargo.toml",
    "proc/etc/passwd",
    "fds/0",
    "fds/3/secret",
    "dev/0",
    "chain/secret",
    "chain/dir/",
    "a/b/far/secret",
    "a/b/../b/far/secret",
    "a/../up/outside/secret",
    "up/up",
];

/// Links inside whose target is outside.
const LINKS: &[&str] = &[
    "up",
    "out",
    "to-secret",
    "to-new",
    "absolute",
    "root",
    "cwd",
    "proc",
    "fds",
    "dev",
    "chain",
    "a/b/far",
    "a/../out",
    "./out",
    "out/",
    "out/.",
    "up/.",
    "chain/",
];

/// A way to do something with a path, and its name.
type Attempt = (&'static str, fn(&mut Guest, &str) -> Result<(), i32>);

/// What follows a link at the end of a path.
const FOLLOWING: &[Attempt] = &[
    ("open", |guest, path| guest.open_to_read(3, path).map(drop)),
    ("open to write", |guest, path| guest.open(3, path).map(drop)),
    ("create", |guest, path| guest.create(3, path).map(drop)),
    ("truncate", |guest, path| {
        guest.open_with(3, path, oflags::TRUNC, 0, 0).map(drop)
    }),
    ("list", |guest, path| {
        let fd = guest.open_with(3, path, oflags::DIRECTORY, rights::READ, 0)?;
        guest.readdir(fd, 0, 1000).map(drop)
    }),
    ("stat", |guest, path| guest.stat(3, FOLLOW, path).map(drop)),
    ("set times", |guest, path| {
        let (path, length) = guest.put_path(at::PATH, path);
        let parameters = args![3, FOLLOW, path, length, 1u64, 1u64, 5];
        guest.call("path_filestat_set_times", &parameters)
    }),
    ("create a directory", |guest, path| guest.mkdir(3, path)),
    ("create a file below", |guest, path| {
        guest.create(3, &format!("{path}/new")).map(drop)
    }),
    ("create a link below", |guest, path| {
        guest.symlink("x", 3, &format!("{path}/new"))
    }),
    ("move below", |guest, path| {
        guest.rename(3, "file", 3, &format!("{path}/new"))
    }),
    ("link below", |guest, path| {
        guest.link(3, "file", 3, &format!("{path}/new"))
    }),
];

/// What touches the last name of a path itself.
const DIRECT: &[Attempt] = &[
    ("stat the name", |guest, path| {
        guest.stat(3, 0, path).map(drop)
    }),
    ("unlink", |guest, path| guest.unlink(3, path)),
    ("remove a directory", |guest, path| guest.rmdir(3, path)),
    ("read a link", |guest, path| {
        guest.readlink(3, path, 100).map(drop)
    }),
    ("create a link", |guest, path| guest.symlink("x", 3, path)),
    ("move out", |guest, path| guest.rename(3, "file", 3, path)),
    ("move in", |guest, path| guest.rename(3, path, 3, "got")),
    ("link out", |guest, path| guest.link(3, "file", 3, path)),
    ("link in", |guest, path| guest.link(3, path, 3, "got")),
    ("set times of the name", |guest, path| {
        let (path, length) = guest.put_path(at::PATH, path);
        let parameters = args![3, 0, path, length, 1u64, 1u64, 5];
        guest.call("path_filestat_set_times", &parameters)
    }),
];

#[test]
fn no_path_leads_outside() {
    let mut prison = Prison::new();
    let secret = prison.secret();
    let paths = OUTSIDE.iter().copied().chain([secret.as_str()]);
    let mut attempts = 0;
    for path in paths {
        for (name, attempt) in FOLLOWING.iter().chain(DIRECT) {
            let escape = format!("{name} {path}");
            let outcome = attempt(&mut prison.guest, path);
            assert!(outcome.is_err(), "{escape}");
            prison.check(&escape);
            attempts += 1;
        }
    }
    assert!(attempts > 800);
}

#[test]
fn no_link_leads_outside() {
    let mut prison = Prison::new();
    for path in LINKS {
        for (name, attempt) in FOLLOWING {
            let escape = format!("{name} {path}");
            let outcome = attempt(&mut prison.guest, path);
            assert!(outcome.is_err(), "{escape}");
            prison.check(&escape);
        }
    }
}

#[test]
fn an_escape_is_told_as_not_permitted() {
    let mut prison = Prison::new();
    for path in [
        "..",
        "../outside/secret",
        "/etc/passwd",
        "out/secret",
        "root",
    ] {
        let open = prison.guest.open_to_read(3, path);
        assert_eq!(open, Err(errno::PERM), "{path}");
    }
}

#[test]
fn links_that_the_guest_makes_lead_nowhere_either() {
    let mut prison = Prison::new();
    let guest = &mut prison.guest;
    for absolute in ["/", "/etc/passwd", "//etc"] {
        assert_eq!(guest.symlink(absolute, 3, "mine"), Err(errno::PERM));
    }
    // A link may contain any relative path; to follow it is another matter.
    guest
        .symlink("../outside/secret", 3, "mine")
        .expect("a link");
    guest.symlink("a/b/../../..", 3, "above").expect("a link");
    guest.symlink("mine", 3, "to-mine").expect("a link");
    for path in ["mine", "to-mine", "above", "above/outside/secret"] {
        assert_eq!(guest.open_to_read(3, path), Err(errno::PERM), "{path}");
        assert_eq!(guest.create(3, path), Err(errno::PERM), "{path}");
        assert!(guest.stat(3, FOLLOW, path).is_err(), "{path}");
    }
    // Moving a link to where its path would lead somewhere else changes nothing.
    guest
        .symlink("../../outside", 3, "a/b/deep")
        .expect("a link");
    guest.rename(3, "a/b/deep", 3, "shallow").expect("it moves");
    assert_eq!(guest.open_to_read(3, "shallow"), Err(errno::PERM));
    prison.check("links of the guest");
}

#[test]
fn a_directory_below_is_a_prison_of_its_own() {
    let mut prison = Prison::new();
    let guest = &mut prison.guest;
    let below = guest.open_to_read(3, "a/b").expect("it exists");
    for path in ["..", "../..", "../../file", "../b", "far", "far/secret"] {
        assert_eq!(guest.open_to_read(below, path), Err(errno::PERM), "{path}");
    }
    // Not even after it has moved to another place.
    guest.rename(3, "a/b", 3, "moved").expect("it moves");
    assert_eq!(guest.open_to_read(below, "../file"), Err(errno::PERM));
}

#[test]
fn moving_between_two_grants_needs_both() {
    let root = tempfile::tempdir().expect("a directory");
    for name in ["a", "b", "c"] {
        fs::create_dir(root.path().join(name)).expect("a directory");
        fs::write(root.path().join(name).join("file"), name).expect("a file");
    }
    let mut config = WasiConfig::default();
    for name in ["a", "b"] {
        config
            .add_dir(root.path().join(name), name, Access::ReadWrite)
            .expect("there is room");
    }
    let mut guest = Guest::new(config, Stdio::default());
    assert_eq!(guest.rename(3, "file", 4, "../c/got"), Err(errno::PERM));
    assert_eq!(guest.rename(3, "../c/file", 4, "got"), Err(errno::PERM));
    assert_eq!(guest.rename(3, "../b/file", 3, "got"), Err(errno::PERM));
    assert_eq!(guest.link(3, "../c/file", 4, "got"), Err(errno::PERM));
    assert_eq!(guest.rename(3, "file", 4, "moved"), Ok(()));
    let moved = fs::read(root.path().join("b/moved")).expect("it moved");
    assert_eq!(moved, b"a");
}

#[test]
fn a_link_that_changes_during_the_call_leads_nowhere() {
    let mut prison = Prison::new();
    let inside = prison.root.path().join("inside");
    fs::create_dir(inside.join("real")).expect("a directory");
    fs::write(inside.join("real/secret"), b"harmless").expect("a file");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = thread::spawn({
        let stop = stop.clone();
        move || {
            // `swap` alternates between a directory and a link to the outside.
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(inside.join("real"), inside.join("swap"));
                let _ = fs::rename(inside.join("swap"), inside.join("real"));
                let _ = symlink("../outside", inside.join("swap"));
                let _ = fs::remove_file(inside.join("swap"));
            }
        }
    });
    for _ in 0..3000 {
        let guest = &mut prison.guest;
        if let Ok(fd) = guest.open_to_read(3, "swap/secret") {
            assert_ne!(guest.read(fd, 100), Ok(b"secret".to_vec()));
            guest.close(fd).expect("it is open");
        }
        if let Ok(fd) = guest.create(3, "swap/new") {
            guest.close(fd).expect("it is open");
        }
        let _ = guest.mkdir(3, "swap/dir/new");
        let _ = guest.unlink(3, "swap/secret/");
        let _ = guest.rmdir(3, "swap/dir");
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().expect("it stops");
    prison.check("a changing link");
}

#[test]
fn nothing_changes_a_read_only_directory() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("file"), b"content").expect("a file");
    fs::create_dir(root.path().join("dir")).expect("a directory");
    symlink("file", root.path().join("link")).expect("a link");
    let writable = tempfile::tempdir().expect("a directory");
    let mut config = WasiConfig::default();
    config
        .add_dir(root.path(), "/", Access::ReadOnly)
        .expect("there is room");
    config
        .add_dir(writable.path(), "/w", Access::ReadWrite)
        .expect("there is room");
    let guest = &mut Guest::new(config, Stdio::default());
    let dir = guest.open_to_read(3, "dir").expect("it can be listed");
    assert_eq!(guest.open(3, "file"), Err(errno::PERM));
    let truncate = guest.open_with(3, "file", oflags::TRUNC, 0, 0);
    assert_eq!(truncate, Err(errno::PERM));
    for fd in [3, dir] {
        assert_eq!(guest.create(fd, "new"), Err(errno::PERM));
        assert_eq!(guest.mkdir(fd, "new"), Err(errno::PERM));
        assert_eq!(guest.symlink("x", fd, "new"), Err(errno::PERM));
        assert_eq!(guest.link(3, "file", fd, "new"), Err(errno::PERM));
        assert_eq!(guest.rename(3, "file", fd, "new"), Err(errno::PERM));
        let times = guest.call("fd_filestat_set_times", &args![fd, 1u64, 1u64, 5]);
        assert_eq!(times, Err(errno::PERM));
    }
    assert_eq!(guest.unlink(3, "file"), Err(errno::PERM));
    assert_eq!(guest.rmdir(3, "dir"), Err(errno::PERM));
    // Neither can a file be moved or linked to where it could be changed.
    assert_eq!(guest.rename(3, "file", 4, "got"), Err(errno::PERM));
    assert_eq!(guest.link(3, "file", 4, "got"), Err(errno::PERM));
    let file = guest.open_to_read(3, "file").expect("it can be read");
    assert_eq!(guest.read(file, 100), Ok(b"content".to_vec()));
    assert_eq!(guest.write(file, b"x"), Err(errno::BADF));
    let times = guest.call("fd_filestat_set_times", &args![file, 1u64, 1u64, 5]);
    assert_eq!(times, Err(errno::PERM));
    let size = guest.call("fd_filestat_set_size", &args![file, 0u64]);
    assert!(size.is_err());
    let allocate = guest.call("fd_allocate", &args![file, 0u64, 100u64]);
    assert!(allocate.is_err());
    assert_eq!(guest.readlink(3, "link", 9), Ok(b"file".to_vec()));
    assert!(guest.readdir(3, 0, 1000).is_ok());
    assert!(guest.stat(3, FOLLOW, "link").is_ok());
    let host = fs::read(root.path().join("file")).expect("it exists");
    assert_eq!(host, b"content");
}
