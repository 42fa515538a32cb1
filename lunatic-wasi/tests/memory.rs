//! Addresses and lengths that a guest got wrong.

mod guest;

use guest::{Guest, args, at, errno};
use lunatic_wasi::{Access, Capture, Stdio, WasiConfig};
use wasmtime::Val;

const END: u32 = at::MEMORY_PAGES << 16;
const OUTSIDE: u32 = END - 3;

fn traps(guest: &mut Guest, function: &str, parameters: &[Val]) {
    let outcome = guest.try_call(function, parameters);
    assert!(outcome.is_err(), "{function} answered {outcome:?}");
}

#[test]
fn a_result_outside_of_the_memory_is_a_trap() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut guest = Guest::in_dir(dir.path(), Access::ReadWrite);
    let fd = guest.create(3, "file").expect("a file");
    guest.put(at::PATH, b"file");
    let out = OUTSIDE;
    let calls: &[(&str, &[Val])] = &[
        ("args_sizes_get", &args![0, out]),
        ("clock_res_get", &args![0, out]),
        ("clock_time_get", &args![0, 0u64, out]),
        ("environ_sizes_get", &args![out, 0]),
        ("fd_fdstat_get", &args![1, out]),
        ("fd_filestat_get", &args![1, out]),
        ("fd_filestat_get", &args![fd, out]),
        ("fd_prestat_get", &args![3, out]),
        ("fd_prestat_dir_name", &args![3, out, 100]),
        ("fd_pread", &args![fd, 0, 0, 0u64, out]),
        ("fd_pwrite", &args![fd, 0, 0, 0u64, out]),
        ("fd_read", &args![fd, 0, 0, out]),
        ("fd_readdir", &args![3, 0, 100, 0u64, out]),
        ("fd_readdir", &args![3, out, 100, 0u64, 0]),
        ("fd_seek", &args![fd, 0i64, 0, out]),
        ("fd_tell", &args![fd, out]),
        ("fd_write", &args![1, 0, 0, out]),
        ("path_filestat_get", &args![3, 0, at::PATH, 4, out]),
        (
            "path_open",
            &args![3, 0, at::PATH, 4, 0, 0u64, 0u64, 0, out],
        ),
        ("path_readlink", &args![3, at::PATH, 4, out, 100, 0]),
        ("path_readlink", &args![3, at::PATH, 4, 0, 100, out]),
        ("poll_oneoff", &args![0, out, 1, 0]),
        ("poll_oneoff", &args![0, 0, 1, out]),
        ("random_get", &args![out, 4]),
    ];
    for (function, parameters) in calls {
        traps(&mut guest, function, parameters);
    }
}

#[test]
fn a_path_outside_of_the_memory_is_a_trap() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut guest = Guest::in_dir(dir.path(), Access::ReadWrite);
    guest.put(at::PATH, b"path");
    let (bad, good) = (OUTSIDE, at::PATH);
    let calls: &[(&str, &[Val])] = &[
        ("path_create_directory", &args![3, bad, 4]),
        ("path_filestat_get", &args![3, 0, bad, 4, 0]),
        (
            "path_filestat_set_times",
            &args![3, 0, bad, 4, 0u64, 0u64, 0],
        ),
        ("path_link", &args![3, 0, bad, 4, 3, good, 4]),
        ("path_link", &args![3, 0, good, 4, 3, bad, 4]),
        ("path_open", &args![3, 0, bad, 4, 0, 0u64, 0u64, 0, 0]),
        ("path_readlink", &args![3, bad, 4, 0, 0, 0]),
        ("path_remove_directory", &args![3, bad, 4]),
        ("path_rename", &args![3, bad, 4, 3, good, 4]),
        ("path_rename", &args![3, good, 4, 3, bad, 4]),
        ("path_symlink", &args![bad, 4, 3, good, 4]),
        ("path_symlink", &args![good, 4, 3, bad, 4]),
        ("path_unlink_file", &args![3, bad, 4]),
        ("path_unlink_file", &args![3, good, -1]),
    ];
    for (function, parameters) in calls {
        traps(&mut guest, function, parameters);
    }
}

#[test]
fn a_vector_whose_size_overflows_32_bits_is_a_trap() {
    let capture = Capture::root();
    let mut guest = Guest::new(WasiConfig::default(), Stdio::captured(capture.clone()));
    // 0x2000_0000 records of 8 bytes are 0 bytes in 32 bits.
    for count in [0x2000_0000, 0x2000_0001, -1] {
        let parameters = args![1, at::IOVS, count, at::RESULT];
        traps(&mut guest, "fd_write", &parameters);
        let parameters = args![0, at::IOVS, count, at::RESULT];
        traps(&mut guest, "fd_read", &parameters);
        let parameters = args![0, at::RECORDS, count, at::RESULT];
        traps(&mut guest, "poll_oneoff", &parameters);
    }
    assert_eq!(capture.text(), "");
}

#[test]
fn a_vector_that_is_too_long_is_refused() {
    let mut guest = Guest::bare();
    let parameters = args![1, 0, 65_537, at::RESULT];
    assert_eq!(guest.call("fd_write", &parameters), Err(errno::INVAL));
}

#[test]
fn a_buffer_outside_of_the_memory_is_a_trap_and_nothing_is_printed() {
    let capture = Capture::root();
    let mut guest = Guest::new(WasiConfig::default(), Stdio::captured(capture.clone()));
    guest.put(at::IOVS, &at::DATA.to_le_bytes());
    guest.put(at::IOVS + 4, &5u32.to_le_bytes());
    for (address, length) in [(OUTSIDE, 4), (u32::MAX, 1), (1, u32::MAX), (END + 1, 0)] {
        guest.put(at::IOVS + 8, &address.to_le_bytes());
        guest.put(at::IOVS + 12, &length.to_le_bytes());
        let parameters = args![1, at::IOVS, 2, at::RESULT];
        traps(&mut guest, "fd_write", &parameters);
    }
    assert_eq!(capture.text(), "");
}

#[test]
fn a_trap_takes_nothing_from_the_input() {
    let input = lunatic_wasi::Input::from_reader(&b"kept"[..]);
    let stdio = Stdio::default().with_input(input);
    let mut guest = Guest::new(WasiConfig::default(), stdio);
    let iovs = guest.put_iovec(at::DATA, 4);
    traps(&mut guest, "fd_read", &args![0, iovs, 1, OUTSIDE]);
    assert_eq!(guest.read(0, 4), Ok(b"kept".to_vec()));
}

#[test]
fn address_0_and_odd_addresses_are_ordinary() {
    let mut guest = Guest::bare();
    assert_eq!(guest.call("clock_time_get", &args![0, 0u64, 0]), Ok(()));
    assert_eq!(guest.call("clock_time_get", &args![0, 0u64, 13]), Ok(()));
    assert_eq!(guest.call("fd_fdstat_get", &args![1, 3]), Ok(()));
    let last_byte = args![END - 8, END - 4];
    assert_eq!(guest.call("args_sizes_get", &last_byte), Ok(()));
    assert_eq!(guest.call("random_get", &args![END, 0]), Ok(()));
}
