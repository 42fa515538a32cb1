//! Reading, writing and asking of open files.

mod guest;

use std::fs;
use std::path::Path;
use std::process::Command;

use futures_lite::future::{block_on, poll_once};
use guest::{FOLLOW, Guest, args, at, errno, fdflags, filetype, oflags, rights};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_wasi::Access;
use tempfile::TempDir;

fn in_new_dir() -> (Guest, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (Guest::in_dir(dir.path(), Access::ReadWrite), dir)
}

fn pread(guest: &mut Guest, fd: u32, length: u32, offset: u64) -> Result<Vec<u8>, i32> {
    let iovs = guest.put_iovec(at::DATA, length);
    guest.call("fd_pread", &args![fd, iovs, 1, offset, at::RESULT])?;
    let count = guest.take_u32(at::RESULT);
    Ok(guest.take(at::DATA, count))
}

fn pwrite(guest: &mut Guest, fd: u32, data: &[u8], offset: u64) -> Result<u32, i32> {
    guest.put(at::DATA, data);
    let iovs = guest.put_iovec(at::DATA, data.len() as u32);
    guest.call("fd_pwrite", &args![fd, iovs, 1, offset, at::RESULT])?;
    Ok(guest.take_u32(at::RESULT))
}

#[test]
fn what_is_written_can_be_read() {
    let (mut guest, dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    assert_eq!(guest.write(fd, b"hello"), Ok(5));
    assert_eq!(guest.read(fd, 10), Ok(Vec::new()));
    assert_eq!(guest.seek(fd, 1, 0), Ok(1));
    assert_eq!(guest.read(fd, 3), Ok(b"ell".to_vec()));
    assert_eq!(guest.close(fd), Ok(()));
    let host = fs::read(dir.path().join("file")).expect("the host sees it");
    assert_eq!(host, b"hello");
}

#[test]
fn a_vector_of_buffers_is_filled_one_after_the_other() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"abcdef").expect("a file");
    let fd = guest.open_to_read(3, "file").expect("it exists");
    let buffers = [(at::DATA, 2), (at::DATA + 100, 0), (at::DATA + 200, 10)];
    for (i, (address, length)) in buffers.iter().enumerate() {
        let record = at::IOVS + 8 * i as u32;
        guest.put(record, &u32::to_le_bytes(*address));
        guest.put(record + 4, &u32::to_le_bytes(*length));
    }
    let read = guest.call("fd_read", &args![fd, at::IOVS, 3, at::RESULT]);
    assert_eq!((read, guest.take_u32(at::RESULT)), (Ok(()), 6));
    assert_eq!(guest.take(at::DATA, 3), b"ab\0");
    assert_eq!(guest.take(at::DATA + 200, 4), b"cdef");
}

#[test]
fn seeking_goes_from_the_start_from_here_and_from_the_end() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    guest.write(fd, b"0123456789").expect("ten bytes");
    assert_eq!(guest.seek(fd, 4, 0), Ok(4));
    assert_eq!(guest.seek(fd, 2, 1), Ok(6));
    assert_eq!(guest.seek(fd, -1, 2), Ok(9));
    assert_eq!(guest.seek(fd, 100, 0), Ok(100));
    guest
        .call("fd_tell", &args![fd, at::RESULT])
        .expect("it has a place");
    assert_eq!(guest.take_u64(at::RESULT), 100);
}

#[test]
fn seeking_before_the_start_is_invalid() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    assert_eq!(guest.seek(fd, -1, 0), Err(errno::INVAL));
    assert_eq!(guest.seek(fd, -1, 1), Err(errno::INVAL));
    assert_eq!(guest.seek(fd, -1, 2), Err(errno::INVAL));
    assert_eq!(guest.seek(fd, 0, 3), Err(errno::INVAL));
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));
}

#[test]
fn reading_and_writing_at_an_offset_moves_nothing() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    assert_eq!(pwrite(&mut guest, fd, b"world", 6), Ok(5));
    assert_eq!(pwrite(&mut guest, fd, b"hello ", 0), Ok(6));
    assert_eq!(pread(&mut guest, fd, 5, 6), Ok(b"world".to_vec()));
    assert_eq!(pread(&mut guest, fd, 5, 11), Ok(Vec::new()));
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    let too_far = pread(&mut guest, fd, 5, u64::MAX);
    assert_eq!(too_far, Err(errno::INVAL));
}

#[test]
fn appending_writes_to_the_end() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"one ").expect("a file");
    let fd = guest
        .open_with(3, "file", 0, rights::ALL, fdflags::APPEND)
        .expect("it exists");
    assert_eq!(guest.write(fd, b"two "), Ok(4));
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, b"three"), Ok(5));
    assert_eq!(guest.seek(fd, 0, 1), Ok(13));
    let host = fs::read(dir.path().join("file")).expect("the host sees it");
    assert_eq!(host, b"one two three");
}

#[test]
fn appending_can_be_combined_with_truncating() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"old").expect("a file");
    let flags = oflags::CREAT | oflags::TRUNC;
    let fd = guest
        .open_with(3, "file", flags, rights::WRITE, fdflags::APPEND)
        .expect("it exists");
    assert_eq!(guest.write(fd, b"new"), Ok(3));
    let host = fs::read(dir.path().join("file")).expect("the host sees it");
    assert_eq!(host, b"new");
}

#[test]
fn appending_can_be_switched_on_and_off() {
    let (mut guest, dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    guest.write(fd, b"12345").expect("five bytes");
    let set = |guest: &mut Guest, flags: u32| guest.call("fd_fdstat_set_flags", &args![fd, flags]);
    assert_eq!(set(&mut guest, fdflags::APPEND), Ok(()));
    guest
        .call("fd_fdstat_get", &args![fd, at::RECORDS])
        .expect("it is open");
    assert_eq!(u32::from(guest.take_u16(at::RECORDS + 2)), fdflags::APPEND);
    guest.seek(fd, 0, 0).expect("the start");
    guest.write(fd, b"6").expect("at the end");
    assert_eq!(set(&mut guest, 0), Ok(()));
    guest.seek(fd, 0, 0).expect("the start");
    guest.write(fd, b"X").expect("at the start");
    let host = fs::read(dir.path().join("file")).expect("the host sees it");
    assert_eq!(host, b"X23456");
    assert_eq!(set(&mut guest, fdflags::NONBLOCK), Ok(()));
    assert_eq!(set(&mut guest, fdflags::SYNC), Err(errno::INVAL));
    assert_eq!(set(&mut guest, 1 << 5), Err(errno::INVAL));
}

#[test]
fn synchronous_files_work_and_say_so() {
    let (mut guest, _dir) = in_new_dir();
    for flags in [
        fdflags::SYNC,
        fdflags::DSYNC,
        fdflags::RSYNC | fdflags::SYNC,
    ] {
        let fd = guest
            .open_with(3, "file", oflags::CREAT, rights::ALL, flags)
            .expect("a file");
        assert_eq!(guest.write(fd, b"x"), Ok(1));
        guest
            .call("fd_fdstat_get", &args![fd, at::RECORDS])
            .expect("it is open");
        assert_eq!(u32::from(guest.take_u16(at::RECORDS + 2)), flags);
        assert_eq!(guest.call("fd_sync", &args![fd]), Ok(()));
        assert_eq!(guest.call("fd_datasync", &args![fd]), Ok(()));
    }
    assert_eq!(guest.call("fd_sync", &args![3]), Ok(()));
    assert_eq!(guest.call("fd_datasync", &args![3]), Ok(()));
}

#[test]
fn a_file_can_be_cut_off_and_filled_up() {
    let (mut guest, dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    guest.write(fd, b"12345").expect("five bytes");
    assert_eq!(guest.call("fd_filestat_set_size", &args![fd, 2u64]), Ok(()));
    assert_eq!(guest.call("fd_filestat_set_size", &args![fd, 4u64]), Ok(()));
    let host = fs::read(dir.path().join("file")).expect("the host sees it");
    assert_eq!(host, b"12\0\0");
    let huge = guest.call("fd_filestat_set_size", &args![fd, u64::MAX]);
    assert_eq!(huge, Err(errno::INVAL));
}

#[test]
fn allocating_lets_a_file_grow_but_never_shrink() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    let size = |guest: &mut Guest| guest.fd_stat(fd).expect("it is open").size;
    assert_eq!(guest.call("fd_allocate", &args![fd, 0u64, 100u64]), Ok(()));
    assert_eq!(size(&mut guest), 100);
    assert_eq!(guest.call("fd_allocate", &args![fd, 10u64, 10u64]), Ok(()));
    assert_eq!(size(&mut guest), 100);
    assert_eq!(guest.call("fd_allocate", &args![fd, 90u64, 20u64]), Ok(()));
    assert_eq!(size(&mut guest), 110);
    let nothing = guest.call("fd_allocate", &args![fd, 0u64, 0u64]);
    assert_eq!(nothing, Err(errno::INVAL));
}

#[test]
fn advice_changes_nothing_and_must_exist() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    for advice in 0..6 {
        let call = guest.call("fd_advise", &args![fd, 10u64, 50u64, advice]);
        assert_eq!(call, Ok(()));
    }
    let unknown = guest.call("fd_advise", &args![fd, 0u64, 0u64, 6]);
    assert_eq!(unknown, Err(errno::INVAL));
    assert_eq!(guest.fd_stat(fd).map(|stat| stat.size), Ok(0));
}

#[test]
fn the_record_of_a_file_is_what_the_host_knows() {
    use std::os::unix::fs::MetadataExt;
    let (mut guest, dir) = in_new_dir();
    let path = dir.path().join("file");
    fs::write(&path, b"12345").expect("a file");
    fs::hard_link(&path, dir.path().join("other")).expect("a link");
    let host = fs::metadata(&path).expect("it exists");
    let fd = guest.open_to_read(3, "file").expect("it exists");
    let stat = guest.fd_stat(fd).expect("it is open");
    assert_eq!(stat.inode, host.ino());
    assert_eq!(stat.file_type, filetype::REGULAR_FILE);
    assert_eq!(stat.links, 2);
    assert_eq!(stat.size, 5);
    let modified = host.mtime() as u64 * 1_000_000_000 + host.mtime_nsec() as u64;
    assert_eq!(stat.modified, modified);
    assert_eq!(guest.take_u64(at::RECORDS), host.dev());
    assert_eq!(guest.stat(3, FOLLOW, "file"), Ok(stat));
    let dir = guest.fd_stat(3).expect("it is open");
    assert_eq!(dir.file_type, filetype::DIRECTORY);
}

#[test]
fn times_change_as_the_flags_say() {
    const ACCESSED: u32 = 1;
    const ACCESSED_NOW: u32 = 2;
    const MODIFIED: u32 = 4;
    const MODIFIED_NOW: u32 = 8;
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    let set = |guest: &mut Guest, flags: u32| {
        let parameters = args![fd, 1_000_000_007u64, 2_000_000_009u64, flags];
        guest.call("fd_filestat_set_times", &parameters)
    };
    let before = guest.fd_stat(fd).expect("it is open");
    assert_eq!(set(&mut guest, 0), Ok(()));
    assert_eq!(guest.fd_stat(fd), Ok(before));
    assert_eq!(set(&mut guest, MODIFIED), Ok(()));
    let after = guest.fd_stat(fd).expect("it is open");
    assert_eq!(after.modified, 2_000_000_009);
    assert_eq!(after.accessed, before.accessed);
    assert_eq!(set(&mut guest, ACCESSED | MODIFIED_NOW), Ok(()));
    let after = guest.fd_stat(fd).expect("it is open");
    assert_eq!(after.accessed, 1_000_000_007);
    assert!(after.modified > 2_000_000_009);
    for flags in [ACCESSED | ACCESSED_NOW, MODIFIED | MODIFIED_NOW, 16] {
        assert_eq!(set(&mut guest, flags), Err(errno::INVAL));
    }
    assert_eq!(guest.fd_stat(fd), Ok(after));
}

#[test]
fn a_directory_cannot_be_read_or_written_like_a_file() {
    let (mut guest, _dir) = in_new_dir();
    assert_eq!(guest.read(3, 1), Err(errno::BADF));
    assert_eq!(guest.write(3, b"x"), Err(errno::BADF));
    assert_eq!(pread(&mut guest, 3, 1, 0), Err(errno::BADF));
    assert_eq!(pwrite(&mut guest, 3, b"x", 0), Err(errno::BADF));
    assert_eq!(guest.seek(3, 0, 1), Err(errno::BADF));
    let allocate = guest.call("fd_allocate", &args![3, 0u64, 1u64]);
    assert_eq!(allocate, Err(errno::BADF));
    let advise = guest.call("fd_advise", &args![3, 0u64, 0u64, 0]);
    assert_eq!(advise, Err(errno::BADF));
    assert_eq!(
        guest.call("fd_tell", &args![3, at::RESULT]),
        Err(errno::BADF)
    );
    let size = guest.call("fd_filestat_set_size", &args![3, 0u64]);
    assert_eq!(size, Err(errno::BADF));
}

#[test]
fn a_file_that_is_open_for_one_thing_refuses_the_other() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"data").expect("a file");
    let read = guest
        .open_with(3, "file", 0, rights::READ, 0)
        .expect("it exists");
    assert_eq!(guest.read(read, 9), Ok(b"data".to_vec()));
    assert_eq!(guest.write(read, b"x"), Err(errno::BADF));
    let write = guest
        .open_with(3, "file", 0, rights::WRITE, 0)
        .expect("it exists");
    assert_eq!(guest.read(write, 1), Err(errno::BADF));
    assert_eq!(guest.write(write, b"x"), Ok(1));
    let neither = guest.open_with(3, "file", 0, 0, 0).expect("it exists");
    assert_eq!(guest.read(neither, 1), Err(errno::BADF));
    assert_eq!(guest.write(neither, b"x"), Err(errno::BADF));
}

#[test]
fn a_file_opened_only_to_read_or_to_write_can_still_seek_and_tell_its_size() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"data").expect("a file");
    for wanted in [rights::READ, rights::WRITE, 0] {
        let open = guest.open_with(3, "file", 0, wanted, 0);
        let fd = open.expect("it exists");
        assert_eq!(guest.seek(fd, 1, 0), Ok(1));
        assert!(guest.fd_stat(fd).is_ok());
        assert_eq!(guest.call("fd_sync", &args![fd]), Ok(()));
        assert_eq!(guest.call("fd_tell", &args![fd, at::RESULT]), Ok(()));
    }
}

#[test]
fn a_file_whose_rights_were_dropped_refuses_what_needs_them() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    let drop = guest.call("fd_fdstat_set_rights", &args![fd, rights::READ, 0u64]);
    assert_eq!(drop, Ok(()));
    assert_eq!(guest.read(fd, 1), Ok(Vec::new()));
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
    assert_eq!(guest.seek(fd, 0, 0), Err(errno::NOTCAPABLE));
    assert_eq!(guest.fd_stat(fd), Err(errno::NOTCAPABLE));
    for sync in ["fd_sync", "fd_datasync"] {
        assert_eq!(guest.call(sync, &args![fd]), Err(errno::NOTCAPABLE));
    }
    let allocate = guest.call("fd_allocate", &args![fd, 0u64, 1u64]);
    assert_eq!(allocate, Err(errno::NOTCAPABLE));
}

#[test]
fn a_deleted_file_stays_open() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    assert_eq!(guest.unlink(3, "file"), Ok(()));
    assert_eq!(guest.write(fd, b"still there"), Ok(11));
    assert_eq!(pread(&mut guest, fd, 5, 0), Ok(b"still".to_vec()));
    assert_eq!(guest.fd_stat(fd).map(|stat| stat.links), Ok(0));
}

#[test]
fn a_process_killed_during_a_read_leaves_the_others_alone() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), vec![1; 1 << 20]).expect("a file");
    let fd = guest.open_to_read(3, "file").expect("it exists");
    for _ in 0..100 {
        let iovs = guest.put_iovec(at::DATA, 1 << 20);
        let parameters = args![fd, iovs, 1, at::RESULT];
        let mut reading = Box::pin(guest.call_async("fd_read", &parameters));
        let _ = block_on(poll_once(&mut reading));
    }
    drop(guest);
    let mut other = Guest::in_dir(dir.path(), Access::ReadWrite);
    let fd = other.open_to_read(3, "file").expect("it exists");
    assert_eq!(other.read(fd, 10), Ok(vec![1; 10]));
}

#[test]
fn a_pipe_without_a_writer_does_not_stop_the_process() {
    let (mut guest, dir) = in_new_dir();
    let made = Command::new("mkfifo").arg(dir.path().join("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    let fd = guest.open_to_read(3, "pipe").expect("it opens at once");
    assert_eq!(guest.read(fd, 1), Ok(Vec::new()));
    assert_eq!(guest.seek(fd, 0, 1), Err(errno::SPIPE));
    assert_eq!(
        guest.fd_stat(fd).map(|stat| stat.file_type),
        Ok(filetype::UNKNOWN)
    );
}

#[test]
fn a_device_can_be_used_where_the_host_grants_it() {
    let mut guest = Guest::in_dir(Path::new("/dev"), Access::ReadWrite);
    let fd = guest.open(3, "null").expect("there is one");
    assert_eq!(guest.write(fd, b"gone"), Ok(4));
    assert_eq!(guest.read(fd, 4), Ok(Vec::new()));
    let stat = guest.fd_stat(fd).expect("it is open");
    assert_eq!(stat.file_type, filetype::CHARACTER_DEVICE);
}

/// A file system of 64 KiB, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("a directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "lunatic-test"])
            .arg(dir.path())
            .status();
        mount.ok()?.success().then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told() {
    let Some(disk) = SmallDisk::mount() else {
        lunatic_testkit::skipped("only root can mount a small disk");
        return;
    };
    let mut guest = Guest::in_dir(disk.0.path(), Access::ReadWrite);
    let fd = guest.create(3, "file").expect("there is room for a name");
    let written = guest.write(fd, &[0; 100 << 10]).expect("a part of it");
    assert!(written <= 64 << 10);
    assert_eq!(guest.write(fd, &[0; 8 << 10]), Err(errno::NOSPC));
    let allocate = guest.call("fd_allocate", &args![fd, 0u64, 1_000_000u64]);
    assert_eq!(allocate, Err(errno::NOSPC));
}

#[test]
fn what_is_read_and_written_is_charged_meanwhile_or_is_little() {
    const ALL: usize = 100_000;
    let (mut guest, _dir) = in_new_dir();
    let fd = guest.create(3, "file").expect("a file");
    let limits = AccountLimits {
        memory: 50_000,
        ..AccountLimits::UNLIMITED
    };
    let bytes = vec![7; ALL];
    assert_eq!(guest.write(fd, &bytes), Ok(ALL as u32));
    guest.store.data_mut().account = Account::root(limits);
    assert_eq!(guest.write(fd, &bytes), Ok(2048));
    assert_eq!(pwrite(&mut guest, fd, &bytes, 0), Ok(2048));
    assert_eq!(pwrite(&mut guest, fd, &bytes[..40_000], 0), Ok(40_000));
    let read = pread(&mut guest, fd, ALL as u32, 0).expect("the first bytes");
    assert_eq!(read, bytes[..2048]);
    let read = pread(&mut guest, fd, 40_000, 0).expect("all of them");
    assert_eq!(read, bytes[..40_000]);
    assert_eq!(guest.store.data().account.used(Kind::Memory), 0);
}
