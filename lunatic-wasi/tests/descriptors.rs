//! The table of file descriptors, and their rights.

mod guest;

use std::fs;
use std::sync::Arc;

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, args, at, errno, filetype, oflags, rights};
use lunatic_account::{Account, Kind};
use lunatic_wasi::{Access, Stdio, WasiConfig, WasiCtx};
use tempfile::TempDir;

fn in_new_dir() -> (Guest, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (Guest::in_dir(dir.path(), Access::ReadWrite), dir)
}

/// The rights of a descriptor, and those that it passes on.
fn rights_of(guest: &mut Guest, fd: u32) -> (u64, u64) {
    guest
        .call("fd_fdstat_get", &args![fd, at::RECORDS])
        .expect("it is open");
    let base = guest.take_u64(at::RECORDS + 8);
    (base, guest.take_u64(at::RECORDS + 16))
}

fn prestat_name(guest: &mut Guest, fd: u32) -> Result<String, i32> {
    guest.call("fd_prestat_get", &args![fd, at::RESULT])?;
    assert_eq!(guest.take(at::RESULT, 1), [0]);
    let length = guest.take_u32(at::RESULT + 4);
    guest.call("fd_prestat_dir_name", &args![fd, at::DATA, length])?;
    Ok(String::from_utf8_lossy(&guest.take(at::DATA, length)).into_owned())
}

#[test]
fn preopened_directories_come_in_order_from_3_on() {
    let (a, b) = (tempfile::tempdir(), tempfile::tempdir());
    let (a, b) = (a.expect("a directory"), b.expect("a directory"));
    let mut config = WasiConfig::default();
    config
        .add_dir(a.path(), ".", Access::ReadWrite)
        .expect("there is room");
    config
        .add_dir(b.path(), "/größe", Access::ReadOnly)
        .expect("there is room");
    let mut guest = Guest::new(config, Stdio::default());
    assert_eq!(prestat_name(&mut guest, 3), Ok(".".to_owned()));
    assert_eq!(prestat_name(&mut guest, 4), Ok("/größe".to_owned()));
    assert_eq!(prestat_name(&mut guest, 5), Err(errno::BADF));
    assert_eq!(prestat_name(&mut guest, 0), Err(errno::BADF));
}

#[test]
fn the_name_of_a_directory_needs_room() {
    let (mut guest, _dir) = in_new_dir();
    let short = guest.call("fd_prestat_dir_name", &args![3, at::DATA, 0]);
    assert_eq!(short, Err(errno::NAMETOOLONG));
    let long = guest.call("fd_prestat_dir_name", &args![3, at::DATA, 100]);
    assert_eq!(long, Ok(()));
}

#[test]
fn a_directory_that_was_opened_later_is_not_preopened() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.open_to_read(3, ".").expect("it exists");
    assert_eq!(prestat_name(&mut guest, fd), Err(errno::BADF));
}

#[test]
fn preopened_directories_are_opened_once_for_all_processes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("granted");
    fs::create_dir(&path).expect("a directory");
    let mut config = WasiConfig::default();
    config
        .add_dir(&path, "/", Access::ReadWrite)
        .expect("there is room");
    let shared = Arc::new(config.clone());
    block_on(shared.open()).expect("it exists");
    // The directory is open, so neither its name nor another one matters.
    fs::rename(&path, dir.path().join("renamed")).expect("a new name");
    fs::create_dir(&path).expect("another directory");
    let mut guest = Guest::new(config, Stdio::default());
    guest.create(3, "file").expect("a file");
    assert!(dir.path().join("renamed/file").exists());
}

#[test]
fn many_directories_are_charged_to_each_process_as_long_as_it_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let account = Account::default();
    for (count, is_charged) in [(3, false), (100, true)] {
        let mut config = WasiConfig::default();
        for number in 0..count {
            let added = config.add_dir(dir.path(), number.to_string(), Access::ReadOnly);
            added.expect("there is room");
        }
        let opened = block_on(Arc::new(config).open()).expect("it exists");
        let mut process = WasiCtx::new(opened, Stdio::default());
        process.charge_to(&account);
        let used = account.used(Kind::Memory);
        assert_eq!(used > 100 * 32, is_charged, "{used}");
        drop(process);
        assert_eq!(account.used(Kind::Memory), 0);
    }
}

#[test]
fn directories_can_be_opened_before_there_is_a_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = WasiConfig::default();
    config
        .add_dir(dir.path(), "/", Access::ReadWrite)
        .expect("there is room");
    let config = Arc::new(config);
    block_on(config.clone().open()).expect("it exists");
    drop(dir);
    // It is open, so there is nothing to wait for.
    let opened = block_on(poll_once(config.open())).expect("it does not wait");
    WasiCtx::new(opened.expect("it is open"), Stdio::default());
    let mut config = WasiConfig::default();
    config
        .add_dir("/does/not/exist", "/", Access::ReadWrite)
        .expect("there is room");
    let error = block_on(Arc::new(config).open()).expect_err("it does not exist");
    assert_eq!(error.host().to_str(), Some("/does/not/exist"));
}

#[test]
fn a_new_descriptor_gets_the_lowest_free_number() {
    let (mut guest, _dir) = in_new_dir();
    assert_eq!(guest.create(3, "a"), Ok(4));
    assert_eq!(guest.create(3, "b"), Ok(5));
    assert_eq!(guest.close(4), Ok(()));
    assert_eq!(guest.create(3, "c"), Ok(4));
    assert_eq!(guest.create(3, "d"), Ok(6));
}

#[test]
fn a_descriptor_can_be_closed_once() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    assert_eq!(guest.close(fd), Ok(()));
    assert_eq!(guest.close(fd), Err(errno::BADF));
    assert_eq!(guest.close(u32::MAX), Err(errno::BADF));
    assert_eq!(guest.read(fd, 1), Err(errno::BADF));
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
    assert_eq!(guest.seek(fd, 0, 0), Err(errno::BADF));
    assert_eq!(guest.fd_stat(fd), Err(errno::BADF));
    assert_eq!(guest.readdir(fd, 0, 100), Err(errno::BADF));
}

#[test]
fn a_preopened_directory_can_be_closed() {
    let (mut guest, _dir) = in_new_dir();
    assert_eq!(guest.close(3), Ok(()));
    assert_eq!(prestat_name(&mut guest, 3), Err(errno::BADF));
    assert_eq!(guest.open_to_read(3, "."), Err(errno::BADF));
}

#[test]
fn every_function_refuses_a_descriptor_that_is_not_open() {
    let mut guest = Guest::bare();
    let fd = 99;
    let calls: &[(&str, &[wasmtime::Val])] = &[
        ("fd_advise", &args![fd, 0u64, 0u64, 0]),
        ("fd_allocate", &args![fd, 0u64, 1u64]),
        ("fd_close", &args![fd]),
        ("fd_datasync", &args![fd]),
        ("fd_fdstat_get", &args![fd, 0]),
        ("fd_fdstat_set_flags", &args![fd, 0]),
        ("fd_fdstat_set_rights", &args![fd, 0u64, 0u64]),
        ("fd_filestat_get", &args![fd, 0]),
        ("fd_filestat_set_size", &args![fd, 0u64]),
        ("fd_filestat_set_times", &args![fd, 0u64, 0u64, 0]),
        ("fd_pread", &args![fd, 0, 0, 0u64, 0]),
        ("fd_prestat_dir_name", &args![fd, 0, 0]),
        ("fd_prestat_get", &args![fd, 0]),
        ("fd_pwrite", &args![fd, 0, 0, 0u64, 0]),
        ("fd_read", &args![fd, 0, 0, 0]),
        ("fd_readdir", &args![fd, 0, 0, 0u64, 0]),
        ("fd_renumber", &args![fd, 1]),
        ("fd_renumber", &args![1, fd]),
        ("fd_seek", &args![fd, 0u64, 0, 0]),
        ("fd_sync", &args![fd]),
        ("fd_tell", &args![fd, 0]),
        ("fd_write", &args![fd, 0, 0, 0]),
    ];
    for (function, parameters) in calls {
        let outcome = guest.call(function, parameters);
        assert_eq!(outcome, Err(errno::BADF), "{function}");
    }
}

#[test]
fn renumbering_moves_a_descriptor_and_closes_the_other() {
    let (mut guest, dir) = in_new_dir();
    let from = guest.create(3, "from").expect("a file");
    let to = guest.create(3, "to").expect("a file");
    let renumber = guest.call("fd_renumber", &args![from, to]);
    assert_eq!(renumber, Ok(()));
    assert_eq!(guest.write(to, b"moved"), Ok(5));
    assert_eq!(guest.write(from, b"x"), Err(errno::BADF));
    let host = fs::read(dir.path().join("from")).expect("the host sees it");
    assert_eq!(host, b"moved");
    assert_eq!(guest.call("fd_renumber", &args![to, to]), Ok(()));
    assert_eq!(guest.write(to, b"!"), Ok(1));
}

#[test]
fn standard_output_can_be_redirected_to_a_file() {
    let (mut guest, dir) = in_new_dir();
    let fd = guest.create(3, "log").expect("a file");
    assert_eq!(guest.call("fd_renumber", &args![fd, 1]), Ok(()));
    assert_eq!(guest.write(1, b"logged"), Ok(6));
    let host = fs::read(dir.path().join("log")).expect("the host sees it");
    assert_eq!(host, b"logged");
}

#[test]
fn a_process_can_have_a_limited_number_of_descriptors() {
    let (mut guest, _dir) = in_new_dir();
    let opened = (0..2000)
        .map_while(|_| guest.create(3, "file").ok())
        .count();
    assert_eq!(opened, 1024 - 4);
    assert_eq!(guest.create(3, "another"), Err(errno::MFILE));
    // It was not created either.
    assert_eq!(guest.open_to_read(3, "another"), Err(errno::MFILE));
    assert_eq!(guest.close(10), Ok(()));
    assert_eq!(guest.open_to_read(3, "another"), Err(errno::NOENT));
    assert_eq!(guest.create(3, "another"), Ok(10));
}

#[test]
fn rights_can_be_dropped_and_never_come_back() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    let (base, inheriting) = rights_of(&mut guest, fd);
    let less = base & !rights::WRITE;
    let drop = guest.call("fd_fdstat_set_rights", &args![fd, less, inheriting]);
    assert_eq!(drop, Ok(()));
    assert_eq!(rights_of(&mut guest, fd), (less, inheriting));
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
    let back = guest.call("fd_fdstat_set_rights", &args![fd, base, inheriting]);
    assert_eq!(back, Err(errno::NOTCAPABLE));
    assert_eq!(rights_of(&mut guest, fd), (less, inheriting));
}

#[test]
fn a_directory_passes_on_no_more_than_it_inherits() {
    let (mut guest, _dir) = in_new_dir();
    guest.create(3, "file").expect("a file");
    let (base, inheriting) = rights_of(&mut guest, 3);
    let parameters = args![3, base, inheriting & !rights::WRITE];
    let drop = guest.call("fd_fdstat_set_rights", &parameters);
    assert_eq!(drop, Ok(()));
    let fd = guest.open(3, "file").expect("less than was asked for");
    assert_eq!(rights_of(&mut guest, fd).0 & rights::WRITE, 0);
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
    let dir = guest.open_to_read(3, ".").expect("it exists");
    let fd = guest.open(dir, "file").expect("less than was asked for");
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
}

#[test]
fn a_directory_without_a_right_refuses_what_needs_it() {
    const FILESTAT_SET_SIZE: u64 = 1 << 19;
    const CREATE_FILE: u64 = 1 << 10;
    let (mut guest, _dir) = in_new_dir();
    guest.create(3, "file").expect("a file");
    let (base, inheriting) = rights_of(&mut guest, 3);
    let keep = |guest: &mut Guest, dropped: u64| {
        let parameters = args![3, base & !dropped, inheriting];
        guest.call("fd_fdstat_set_rights", &parameters)
    };
    assert_eq!(keep(&mut guest, FILESTAT_SET_SIZE), Ok(()));
    let truncate = guest.open_with(3, "file", oflags::TRUNC, 0, 0);
    assert_eq!(truncate, Err(errno::PERM));
    assert_eq!(keep(&mut guest, FILESTAT_SET_SIZE | CREATE_FILE), Ok(()));
    assert_eq!(guest.create(3, "new"), Err(errno::PERM));
    assert_eq!(keep(&mut guest, u64::MAX), Ok(()));
    assert_eq!(guest.open_to_read(3, "file"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.mkdir(3, "dir"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.rmdir(3, "dir"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.unlink(3, "file"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.symlink("a", 3, "b"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.readlink(3, "b", 9), Err(errno::NOTCAPABLE));
    assert_eq!(guest.link(3, "file", 3, "b"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.rename(3, "file", 3, "b"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.stat(3, 0, "file"), Err(errno::NOTCAPABLE));
    assert_eq!(guest.fd_stat(3), Err(errno::NOTCAPABLE));
    assert_eq!(guest.readdir(3, 0, 100), Err(errno::NOTCAPABLE));
}

#[test]
fn a_directory_says_that_it_is_one() {
    let (mut guest, _dir) = in_new_dir();
    guest
        .call("fd_fdstat_get", &args![3, at::RECORDS])
        .expect("it is open");
    assert_eq!(guest.take(at::RECORDS, 1), [filetype::DIRECTORY]);
    assert_eq!(guest.take_u16(at::RECORDS + 2), 0);
    let (base, inheriting) = rights_of(&mut guest, 3);
    const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    assert_eq!(
        base & (rights::SEEK | rights::WRITE | FD_FILESTAT_SET_SIZE),
        0
    );
    assert_ne!(inheriting & rights::WRITE, 0);
}
