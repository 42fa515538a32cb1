//! Opening, naming and listing.

mod guest;

use std::fs;
use std::os::unix::ffi::OsStrExt;

use guest::{FOLLOW, Guest, args, at, errno, filetype, oflags, rights};
use lunatic_wasi::Access;
use tempfile::TempDir;

fn in_new_dir() -> (Guest, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (Guest::in_dir(dir.path(), Access::ReadWrite), dir)
}

/// A directory with a file, an empty directory, and links to both.
fn with_files() -> (Guest, TempDir) {
    let (mut guest, dir) = in_new_dir();
    guest.create(3, "file").expect("a file");
    guest.close(4).expect("it is open");
    guest.mkdir(3, "dir").expect("a directory");
    guest.symlink("file", 3, "file-link").expect("a link");
    guest.symlink("dir", 3, "dir-link").expect("a link");
    guest.symlink("nothing", 3, "dangling").expect("a link");
    guest.symlink("loop", 3, "loop").expect("a link");
    (guest, dir)
}

fn open_nofollow(guest: &mut Guest, path: &str, oflags: u32) -> Result<u32, i32> {
    let (path, length) = guest.put_path(at::PATH, path);
    let parameters = args![3, 0, path, length, oflags, 0u64, 0u64, 0, at::RESULT];
    guest.call("path_open", &parameters)?;
    Ok(guest.take_u32(at::RESULT))
}

#[test]
fn what_is_missing_is_not_found() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.open(3, "nothing"), Err(errno::NOENT));
    assert_eq!(guest.open(3, ""), Err(errno::NOENT));
    assert_eq!(guest.open(3, "nothing/file"), Err(errno::NOENT));
    assert_eq!(guest.create(3, "nothing/file"), Err(errno::NOENT));
    assert_eq!(guest.open(3, "dangling"), Err(errno::NOENT));
    assert_eq!(guest.mkdir(3, "nothing/dir"), Err(errno::NOENT));
    assert_eq!(guest.rmdir(3, "nothing"), Err(errno::NOENT));
    assert_eq!(guest.unlink(3, "nothing"), Err(errno::NOENT));
    assert_eq!(guest.readlink(3, "nothing", 9), Err(errno::NOENT));
    assert_eq!(guest.stat(3, FOLLOW, "dangling"), Err(errno::NOENT));
    assert_eq!(guest.rename(3, "nothing", 3, "new"), Err(errno::NOENT));
    assert_eq!(guest.link(3, "nothing", 3, "new"), Err(errno::NOENT));
    assert_eq!(guest.symlink("x", 3, "nothing/link"), Err(errno::NOENT));
}

#[test]
fn what_exists_is_not_created_again() {
    let (mut guest, _dir) = with_files();
    let exclusive = oflags::CREAT | oflags::EXCL;
    for existing in ["file", "dir", "file-link", "dangling"] {
        let create = guest.open_with(3, existing, exclusive, rights::READ, 0);
        assert_eq!(create, Err(errno::EXIST), "{existing}");
        assert_eq!(guest.mkdir(3, existing), Err(errno::EXIST));
        assert_eq!(guest.symlink("x", 3, existing), Err(errno::EXIST));
        assert_eq!(guest.link(3, "file", 3, existing), Err(errno::EXIST));
    }
    assert!(guest.create(3, "file").is_ok());
}

#[test]
fn a_directory_is_not_opened_to_write() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.open(3, "dir"), Err(errno::ISDIR));
    assert_eq!(guest.create(3, "dir"), Err(errno::ISDIR));
    let truncate = guest.open_with(3, "dir", oflags::TRUNC, 0, 0);
    assert_eq!(truncate, Err(errno::ISDIR));
    let both = rights::READ | rights::WRITE;
    let write = guest.open_with(3, ".", oflags::DIRECTORY, both, 0);
    assert_eq!(write, Err(errno::ISDIR));
    assert_eq!(guest.unlink(3, "dir"), Err(errno::ISDIR));
    assert_eq!(guest.unlink(3, "dir/"), Err(errno::ISDIR));
}

#[test]
fn a_file_is_not_a_directory() {
    let (mut guest, _dir) = with_files();
    let directory = guest.open_with(3, "file", oflags::DIRECTORY, 0, 0);
    assert_eq!(directory, Err(errno::NOTDIR));
    let link = guest.open_with(3, "file-link", oflags::DIRECTORY, 0, 0);
    assert_eq!(link, Err(errno::NOTDIR));
    assert_eq!(guest.open(3, "file/x"), Err(errno::NOTDIR));
    assert_eq!(guest.open(3, "file/"), Err(errno::NOTDIR));
    assert_eq!(guest.open(3, "file///"), Err(errno::NOTDIR));
    assert_eq!(guest.rmdir(3, "file"), Err(errno::NOTDIR));
    assert_eq!(guest.rmdir(3, "file/"), Err(errno::NOTDIR));
    assert_eq!(guest.unlink(3, "file/"), Err(errno::NOTDIR));
    assert_eq!(guest.mkdir(3, "file/x"), Err(errno::NOTDIR));
}

#[test]
fn a_file_cannot_stand_for_the_directory_of_a_path() {
    let (mut guest, _dir) = with_files();
    let file = guest.open(3, "file").expect("it exists");
    for fd in [0, 1, file] {
        assert_eq!(guest.open(fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.mkdir(fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.rmdir(fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.unlink(fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.symlink("a", fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.readlink(fd, "x", 9), Err(errno::NOTDIR));
        assert_eq!(guest.link(3, "file", fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.link(fd, "x", 3, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.rename(3, "file", fd, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.rename(fd, "x", 3, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.stat(fd, 0, "x"), Err(errno::NOTDIR));
        assert_eq!(guest.readdir(fd, 0, 100), Err(errno::NOTDIR));
    }
    assert_eq!(guest.open(99, "x"), Err(errno::BADF));
}

#[test]
fn a_directory_that_is_not_empty_stays() {
    let (mut guest, _dir) = with_files();
    guest.create(3, "dir/file").expect("a file");
    assert_eq!(guest.rmdir(3, "dir"), Err(errno::NOTEMPTY));
    guest.mkdir(3, "other").expect("a directory");
    assert_eq!(guest.rename(3, "other", 3, "dir"), Err(errno::NOTEMPTY));
    assert_eq!(guest.unlink(3, "dir/file"), Ok(()));
    assert_eq!(guest.rmdir(3, "dir/"), Ok(()));
    assert_eq!(guest.rmdir(3, "dir"), Err(errno::NOENT));
}

#[test]
fn a_path_can_be_too_long() {
    let (mut guest, _dir) = in_new_dir();
    let name = "n".repeat(256);
    assert_eq!(guest.create(3, &name), Err(errno::NAMETOOLONG));
    assert_eq!(guest.mkdir(3, &name), Err(errno::NAMETOOLONG));
    let path = "d/".repeat(4000);
    assert_eq!(guest.open(3, &path), Err(errno::NAMETOOLONG));
    let huge = guest.call("path_create_directory", &args![3, 0, 1 << 20]);
    assert_eq!(huge, Err(errno::NAMETOOLONG));
}

#[test]
fn a_path_must_be_utf_8_and_have_no_zero_byte() {
    let (mut guest, _dir) = with_files();
    guest.put(at::PATH, b"a\xff");
    let create = guest.call("path_create_directory", &args![3, at::PATH, 2]);
    assert_eq!(create, Err(errno::ILSEQ));
    let parameters = args![3, 0, at::PATH, 2, 0, 0u64, 0u64, 0, at::RESULT];
    assert_eq!(guest.call("path_open", &parameters), Err(errno::ILSEQ));
    assert_eq!(guest.open(3, "file\0"), Err(errno::INVAL));
    assert_eq!(guest.mkdir(3, "a\0b"), Err(errno::INVAL));
    assert_eq!(guest.stat(3, 0, "file\0"), Err(errno::INVAL));
}

#[test]
fn flags_that_do_not_exist_are_refused() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.open_with(3, "file", 16, 0, 0), Err(errno::INVAL));
    assert_eq!(guest.open_with(3, "file", 0, 0, 32), Err(errno::INVAL));
    let create_directory = oflags::CREAT | oflags::DIRECTORY;
    let create = guest.open_with(3, "new", create_directory, 0, 0);
    assert_eq!(create, Err(errno::INVAL));
    assert_eq!(guest.stat(3, 2, "file"), Err(errno::INVAL));
    let (path, length) = guest.put_path(at::PATH, "file");
    let parameters = args![3, 2, path, length, 0, 0u64, 0u64, 0, at::RESULT];
    assert_eq!(guest.call("path_open", &parameters), Err(errno::INVAL));
}

#[test]
fn paths_may_wind_inside_of_the_directory() {
    let (mut guest, _dir) = with_files();
    guest.mkdir(3, "dir/nested").expect("a directory");
    guest.create(3, "dir/nested/file").expect("a file");
    let winding = "dir/.//nested/../../dir/nested/../nested///./file";
    assert!(guest.open(3, winding).is_ok());
    assert!(guest.open_to_read(3, "dir/nested/").is_ok());
    assert!(guest.open_to_read(3, "dir-link/nested///").is_ok());
    assert!(guest.stat(3, 0, "dir/..").is_ok());
}

#[test]
fn truncating_makes_a_file_empty() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"full").expect("a file");
    assert!(guest.open_with(3, "file", oflags::TRUNC, 0, 0).is_ok());
    assert_eq!(guest.stat(3, 0, "file").map(|stat| stat.size), Ok(0));
}

#[test]
fn a_file_can_be_created_just_to_read_it() {
    let (mut guest, _dir) = in_new_dir();
    let fd = guest
        .open_with(3, "file", oflags::CREAT, rights::READ, 0)
        .expect("a file");
    assert_eq!(guest.read(fd, 1), Ok(Vec::new()));
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
}

#[test]
fn links_are_followed_only_if_asked() {
    let (mut guest, _dir) = with_files();
    assert_eq!(open_nofollow(&mut guest, "file-link", 0), Err(errno::LOOP));
    let directory = open_nofollow(&mut guest, "dir-link", oflags::DIRECTORY);
    assert!(matches!(directory, Err(errno::LOOP | errno::NOTDIR)));
    assert!(guest.open(3, "file-link").is_ok());
    assert!(guest.open_to_read(3, "dir-link").is_ok());
    let link = guest.stat(3, 0, "file-link").expect("it exists");
    assert_eq!((link.file_type, link.size), (filetype::SYMBOLIC_LINK, 4));
    let file = guest.stat(3, FOLLOW, "file-link").expect("it exists");
    assert_eq!(file.file_type, filetype::REGULAR_FILE);
    assert_eq!(guest.open(3, "loop"), Err(errno::LOOP));
    assert_eq!(guest.stat(3, FOLLOW, "loop"), Err(errno::LOOP));
}

#[test]
fn a_path_that_ends_like_a_directorys_names_one() {
    let (mut guest, _dir) = with_files();
    for end in ["/", "//", "/."] {
        for lookup in [0, FOLLOW] {
            let mut kind = |path: &str| {
                let stat = guest.stat(3, lookup, &format!("{path}{end}"));
                stat.map(|stat| stat.file_type)
            };
            assert_eq!(kind("dir"), Ok(filetype::DIRECTORY));
            assert_eq!(kind("dir-link"), Ok(filetype::DIRECTORY));
            assert_eq!(kind("file"), Err(errno::NOTDIR));
            assert_eq!(kind("file-link"), Err(errno::NOTDIR));
            assert_eq!(kind("dangling"), Err(errno::NOENT));
            assert_eq!(kind("loop"), Err(errno::LOOP));
        }
    }
}

#[test]
fn a_link_tells_what_it_contains() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.readlink(3, "file-link", 100), Ok(b"file".to_vec()));
    assert_eq!(guest.readlink(3, "file-link", 2), Ok(b"fi".to_vec()));
    assert_eq!(guest.readlink(3, "file-link", 0), Ok(Vec::new()));
    assert_eq!(guest.readlink(3, "file", 9), Err(errno::INVAL));
    assert_eq!(guest.readlink(3, "dir", 9), Err(errno::INVAL));
}

#[test]
fn the_times_of_a_link_and_of_its_file_are_two_things() {
    const MODIFIED: u32 = 4;
    let (mut guest, _dir) = with_files();
    let mut set = |lookup: u32, time: u64| {
        let (path, length) = guest.put_path(at::PATH, "file-link");
        let parameters = args![3, lookup, path, length, 0u64, time, MODIFIED];
        guest.call("path_filestat_set_times", &parameters)
    };
    assert_eq!(set(0, 1_000_000_001), Ok(()));
    assert_eq!(set(FOLLOW, 2_000_000_002), Ok(()));
    let link = guest.stat(3, 0, "file-link").expect("it exists");
    assert_eq!(link.modified, 1_000_000_001);
    let file = guest.stat(3, 0, "file").expect("it exists");
    assert_eq!(file.modified, 2_000_000_002);
    let (path, length) = guest.put_path(at::PATH, "file");
    for flags in [0b0011, 0b1100, 0b10000] {
        let parameters = args![3, 0, path, length, 0u64, 0u64, flags];
        let set = guest.call("path_filestat_set_times", &parameters);
        assert_eq!(set, Err(errno::INVAL));
    }
}

#[test]
fn a_file_can_have_two_names() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.link(3, "file", 3, "dir/other"), Ok(()));
    let (a, b) = (guest.stat(3, 0, "file"), guest.stat(3, 0, "dir/other"));
    assert_eq!(a, b);
    assert_eq!(a.map(|stat| stat.links), Ok(2));
    assert_eq!(guest.link(3, "dir", 3, "new"), Err(errno::PERM));
    assert_eq!(guest.link(3, "file", 3, "new/"), Err(errno::NOENT));
    assert_eq!(guest.link(3, "dangling", 3, "link-to-link"), Ok(()));
    let link = guest.stat(3, 0, "link-to-link").expect("it exists");
    assert_eq!(link.file_type, filetype::SYMBOLIC_LINK);
    let (old, new) = (
        guest.put_path(at::PATH, "file-link"),
        guest.put_path(at::PATH_2, "n"),
    );
    let parameters = args![3, FOLLOW, old.0, old.1, 3, new.0, new.1];
    assert_eq!(guest.call("path_link", &parameters), Err(errno::INVAL));
}

#[test]
fn a_link_needs_a_name_of_its_own() {
    let (mut guest, _dir) = with_files();
    assert_eq!(guest.symlink("x", 3, "new/"), Err(errno::NOENT));
    assert_eq!(guest.symlink("x", 3, "dir/"), Err(errno::EXIST));
    assert_eq!(guest.symlink("", 3, "new"), Err(errno::NOENT));
    assert_eq!(guest.symlink("../x", 3, "dir/up"), Ok(()));
    assert_eq!(guest.create(3, "x"), Ok(4));
    assert!(guest.open(3, "dir/up").is_ok());
}

#[test]
fn renaming_replaces_what_may_be_replaced() {
    let (mut guest, dir) = with_files();
    fs::write(dir.path().join("file"), b"content").expect("a file");
    assert_eq!(guest.rename(3, "file", 3, "dir/new"), Ok(()));
    assert_eq!(guest.open(3, "file"), Err(errno::NOENT));
    guest.create(3, "target").expect("a file");
    assert_eq!(guest.rename(3, "dir/new", 3, "target"), Ok(()));
    let host = fs::read(dir.path().join("target")).expect("the host sees it");
    assert_eq!(host, b"content");
    assert_eq!(guest.rename(3, "target", 3, "target"), Ok(()));
    assert_eq!(guest.rename(3, "target", 3, "dir"), Err(errno::ISDIR));
    assert_eq!(guest.rename(3, "dir", 3, "target"), Err(errno::NOTDIR));
    guest.mkdir(3, "empty").expect("a directory");
    assert_eq!(guest.rename(3, "dir/", 3, "empty/"), Ok(()));
    assert_eq!(
        guest.rename(3, "empty", 3, "empty/below"),
        Err(errno::INVAL)
    );
    assert_eq!(guest.rename(3, "target/", 3, "new"), Err(errno::NOTDIR));
    assert_eq!(guest.rename(3, "target", 3, "new/"), Err(errno::NOTDIR));
    assert_eq!(guest.rename(3, "target/", 3, "new/"), Err(errno::NOTDIR));
    assert_eq!(guest.rename(3, "nothing", 3, "new/"), Err(errno::NOENT));
    assert_eq!(guest.rename(3, "empty", 3, "new/"), Ok(()));
}

#[test]
fn a_directory_opened_without_asking_for_rights_can_be_used() {
    let (mut guest, _dir) = with_files();
    let sub = guest
        .open_with(3, "dir", oflags::DIRECTORY, 0, 0)
        .expect("it exists");
    assert_eq!(guest.link(3, "file", sub, "second"), Ok(()));
    assert_eq!(guest.stat(sub, 0, "second").map(|stat| stat.links), Ok(2));
    assert!(guest.readdir(sub, 0, 100).is_ok());
    let file = guest.create(sub, "new").expect("a file");
    assert_eq!(guest.write(file, b"x"), Ok(1));
    assert_eq!(guest.unlink(sub, "new"), Ok(()));
}

#[test]
fn a_file_moves_between_two_open_directories() {
    let (mut guest, dir) = with_files();
    let sub = guest.open_to_read(3, "dir").expect("it exists");
    assert_eq!(guest.rename(3, "file", sub, "moved"), Ok(()));
    assert!(dir.path().join("dir/moved").exists());
    assert_eq!(guest.link(sub, "moved", 3, "again"), Ok(()));
    assert!(dir.path().join("again").exists());
}

#[test]
fn a_directory_is_listed_completely() {
    let (mut guest, _dir) = with_files();
    let (entries, used) = guest.readdir(3, 0, 10_000).expect("it is a directory");
    assert!(used < 10_000);
    let mut names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        ".",
        "..",
        "dangling",
        "dir",
        "dir-link",
        "file",
        "file-link",
        "loop",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_entry_tells_number_and_type() {
    let (mut guest, dir) = in_new_dir();
    fs::write(dir.path().join("file"), b"").expect("a file");
    let stat = guest.stat(3, 0, "file").expect("it exists");
    let (entries, _) = guest.readdir(3, 0, 10_000).expect("it is a directory");
    let mut address = at::DATA;
    for (name, _) in entries {
        if name == "file" {
            assert_eq!(guest.take_u64(address + 8), stat.inode);
            assert_eq!(guest.take(address + 20, 1), [filetype::REGULAR_FILE]);
            return;
        }
        address += 24 + name.len() as u32;
    }
    panic!("the file was not listed");
}

#[test]
fn cookies_go_on_where_the_last_call_stopped() {
    let (mut guest, dir) = in_new_dir();
    for i in 0..300 {
        fs::write(dir.path().join(format!("file.{i}")), b"").expect("a file");
    }
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        let (entries, used) = guest.readdir(3, cookie, 256).expect("it is a directory");
        cookie = entries.last().map_or(cookie, |(_, next)| *next);
        names.extend(entries.into_iter().map(|(name, _)| name));
        if used < 256 {
            break;
        }
    }
    assert_eq!(names.len(), 302);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 302);
    let (none, used) = guest.readdir(3, cookie, 256).expect("it is a directory");
    assert_eq!((none.len(), used), (0, 0));
}

#[test]
fn a_buffer_that_is_too_small_is_filled_to_its_end() {
    let (mut guest, _dir) = with_files();
    for room in [0, 1, 24, 25, 60] {
        let (_, used) = guest.readdir(3, 0, room).expect("it is a directory");
        assert_eq!(used, room);
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_not_listed() {
    let (mut guest, dir) = in_new_dir();
    let name = std::ffi::OsStr::from_bytes(b"a\xff");
    fs::write(dir.path().join(name), b"").expect("a file");
    let (entries, _) = guest.readdir(3, 0, 10_000).expect("it is a directory");
    assert_eq!(entries.len(), 2);
}
