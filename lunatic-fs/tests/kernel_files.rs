//! What the kernel shows as files is not reached through a directory above it.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process;

use futures_lite::future::block_on;
use lunatic_fs::{Access, Dir, Node, OpenOptions, Times};
use lunatic_testkit::skipped;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    create: false,
    create_new: false,
    truncate: false,
    directory: false,
    nofollow: false,
    durability: lunatic_fs::Durability::None,
};

const WRITE: OpenOptions = OpenOptions {
    read: false,
    write: true,
    ..READ
};

fn dir(path: impl AsRef<Path>) -> Dir {
    block_on(Dir::open_host(path.as_ref(), Access::ReadWrite)).unwrap()
}

#[track_caller]
fn assert_denied<T>(outcome: io::Result<T>, what: &str) {
    match outcome {
        Ok(_) => panic!("{what}"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{what}"),
    }
}

fn has_proc() -> bool {
    let found = Path::new("/proc/self/status").exists();
    if !found {
        skipped("there is no /proc");
    }
    found
}

async fn read(dir: &Dir, path: &str) -> io::Result<Vec<u8>> {
    match dir.open(path, READ).await? {
        Node::File(file) => file.read(1 << 16).await,
        Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
    }
}

#[test]
fn below_the_root_of_the_machine_the_files_of_the_kernel_are_refused() {
    if !has_proc() {
        return;
    }
    let root = dir("/");
    block_on(async {
        for path in [
            "proc",
            "proc/version",
            "proc/self/mem",
            "proc/self/environ",
            "proc/1/status",
            "proc/../proc/version",
            "etc/../proc/version",
            "sys",
            "sys/kernel",
        ] {
            if !Path::new("/").join(path).exists() {
                continue;
            }
            assert_denied(root.open(path, READ).await, path);
            assert_denied(root.open(path, WRITE).await, path);
            assert_denied(root.open_dir(path).await, path);
            assert_denied(root.metadata(path, true).await, path);
            assert_denied(root.set_times(path, Times::default(), true).await, path);
        }
        assert_denied(root.read_link("proc/self").await, "a link");
        assert_denied(root.create_dir("proc/new").await, "a new directory");
        assert_denied(root.symlink("x", "proc/new").await, "a new link");
        assert_denied(
            root.rename("proc/version", &root, "proc/new").await,
            "a name",
        );
        assert!(root.open("etc", READ).await.is_ok());
    });
}

#[test]
fn a_link_to_the_files_of_the_kernel_leads_nowhere() {
    if !has_proc() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    let above = "../".repeat(host.path().components().count() - 1);
    symlink(format!("{above}proc"), host.path().join("link")).unwrap();
    let path = host.path().strip_prefix("/").unwrap().join("link/version");
    assert!(Path::new("/").join(&path).exists());
    block_on(async {
        assert_denied(dir("/").open(&*path, READ).await, "a link");
        assert_denied(dir("/").metadata(&*path, true).await, "a link");
    });
}

#[test]
fn proc_can_be_read_if_it_is_named_itself() {
    if !has_proc() {
        return;
    }
    let proc = dir("/proc");
    assert_eq!(proc.access(), Access::ReadOnly);
    block_on(async {
        let version = read(&proc, "version").await.unwrap();
        assert_eq!(version, fs::read("/proc/version").unwrap());
        assert!(read(&proc, "sys/kernel/ostype").await.is_ok());
        assert!(
            proc.open_dir("sys")
                .await
                .unwrap()
                .open("kernel/ostype", READ)
                .await
                .is_ok()
        );
        assert!(proc.metadata("version", false).await.is_ok());
        assert!(!proc.entries(0, 9).await.unwrap().is_empty());
        assert_denied(proc.open("sys/kernel/hostname", WRITE).await, "to write");
    });
}

#[test]
fn what_is_of_the_program_itself_is_never_reached() {
    if !has_proc() {
        return;
    }
    let proc = dir("/proc");
    let own = process::id();
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap().to_str().unwrap().to_owned();
    block_on(async {
        for path in [
            "self".to_owned(),
            "self/status".to_owned(),
            "self/mem".to_owned(),
            "thread-self/status".to_owned(),
            "mounts".to_owned(),
            format!("{own}"),
            format!("{own}/status"),
            format!("{own}/mem"),
            format!("{own}/task/{thread}/status"),
            format!("{thread}/environ"),
            format!("sys/../{own}/mem"),
        ] {
            assert_denied(proc.open(&*path, READ).await, &path);
            assert_denied(proc.open_dir(&*path).await, &path);
            assert_denied(proc.metadata(&*path, true).await, &path);
        }
        assert_denied(proc.read_link("self").await, "a link");
        for path in ["/proc/self".to_owned(), format!("/proc/{own}/task")] {
            assert_denied(Dir::open_host(&*path, Access::ReadOnly).await, &path);
        }
    });
}

#[test]
fn another_process_can_be_read_if_proc_is_named() {
    if !has_proc() {
        return;
    }
    let mut child = process::Command::new("sleep").arg("100").spawn().unwrap();
    let path = format!("{}/status", child.id());
    let status = block_on(read(&dir("/proc"), &path));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.is_ok(), "{status:?}");
}

#[test]
fn a_device_is_not_opened() {
    let host = tempfile::tempdir().unwrap();
    let (path, mode) = (host.path().join("zero"), Mode::from_raw_mode(0o666));
    let made = mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(1, 5));
    if made.is_err() {
        skipped("a device can only be made by root");
        return;
    }
    block_on(async {
        let dir = dir(host.path());
        assert_denied(dir.open("zero", READ).await, "to read");
        assert_denied(dir.open("zero", WRITE).await, "to write");
        assert!(dir.metadata("zero", true).await.is_ok());
    });
}

#[test]
fn a_pipe_blocks_nobody() {
    let host = tempfile::tempdir().unwrap();
    let (path, mode) = (host.path().join("pipe"), Mode::from_raw_mode(0o666));
    mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
    block_on(async {
        let dir = dir(host.path());
        // Nobody reads it.
        assert!(dir.open("pipe", WRITE).await.is_err());
        assert!(dir.set_times("pipe", Times::default(), true).await.is_ok());
        let Ok(Node::File(file)) = dir.open("pipe", READ).await else {
            panic!("a pipe is a file");
        };
        // Nobody writes to it.
        assert!(file.read(9).await.unwrap().is_empty());
        let Ok(Node::File(writer)) = dir.open("pipe", WRITE).await else {
            panic!("it is read now");
        };
        let kept = writer.write(vec![0; 1 << 20]).await.unwrap();
        assert!(kept < 1 << 20);
        assert!(writer.write(vec![0; 1]).await.is_err());
    });
}

/// `/proc`, mounted in another place.
struct BoundProc(tempfile::TempDir);

impl BoundProc {
    fn mount() -> Option<BoundProc> {
        let bound = BoundProc(tempfile::tempdir().unwrap());
        let there = bound.0.path().join("there");
        fs::create_dir(&there).unwrap();
        let mounted = process::Command::new("mount")
            .args(["--bind", "/proc"])
            .arg(&there)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(bound)
    }
}

impl Drop for BoundProc {
    fn drop(&mut self) {
        let there = self.0.path().join("there");
        process::Command::new("umount").arg(there).status().ok();
    }
}

#[test]
fn another_place_of_proc_makes_no_difference() {
    let Some(bound) = BoundProc::mount() else {
        skipped("only root can mount /proc elsewhere");
        return;
    };
    let (above, itself) = (dir(bound.0.path()), dir(bound.0.path().join("there")));
    let own = process::id();
    block_on(async {
        assert_denied(above.open("there/version", READ).await, "from above");
        assert_denied(above.open_dir("there").await, "from above");
        assert_denied(above.create_dir("there/new").await, "from above");
        assert!(read(&itself, "version").await.is_ok());
        assert_denied(itself.open("self/mem", READ).await, "itself");
        assert_denied(itself.open(format!("{own}/mem"), READ).await, "itself");
        assert_denied(itself.open("version", WRITE).await, "to write");
    });
}
