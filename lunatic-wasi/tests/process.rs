//! What a process is given, and how it ends.

mod guest;

use std::sync::Arc;

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, args, at, errno, instantiate, preview1};
use lunatic_wasi::{Access, Capture, ConfigError, ProcExit, Stdio, WasiConfig, add_to_linker};
use wasmtime::{Engine, Linker};

/// The strings that `args_get` or `environ_get` hands over.
fn strings(guest: &mut Guest, sizes: &str, get: &str) -> Vec<String> {
    let parameters = args![at::RESULT, at::RESULT_2];
    guest.call(sizes, &parameters).expect("the sizes");
    let (count, size) = (guest.take_u32(at::RESULT), guest.take_u32(at::RESULT_2));
    let parameters = args![at::RECORDS, at::DATA];
    guest.call(get, &parameters).expect("the strings");
    let end = at::DATA + size;
    (0..count)
        .map(|i| {
            let start = guest.take_u32(at::RECORDS + i * 4);
            let bytes = guest.take(start, end - start);
            let length = bytes.iter().position(|byte| *byte == 0).expect("an end");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        })
        .collect()
}

#[test]
fn all_46_functions_can_be_linked_with_exactly_their_types() {
    // Making the guest links 45 functions that return an error number, and the
    // one that does not.
    assert_eq!(preview1().count(), 46);
    Guest::bare();
}

#[test]
fn registering_twice_is_an_error() {
    let mut linker = Linker::<guest::Host>::new(&Engine::default());
    add_to_linker(&mut linker).expect("the first time");
    assert!(add_to_linker(&mut linker).is_err());
}

#[test]
fn arguments_and_environment_arrive_in_their_order() {
    let mut config = WasiConfig::default();
    for arg in ["program", "", "größe"] {
        config.add_arg(arg).expect("there is room");
    }
    config.add_env("A", "1").expect("there is room");
    config.add_env("A", "2=3").expect("there is room");
    assert_eq!(config.args().collect::<Vec<_>>(), ["program", "", "größe"]);
    assert_eq!(config.env().collect::<Vec<_>>(), [("A", "1"), ("A", "2=3")]);
    let mut guest = Guest::new(config, Stdio::default());
    let args = strings(&mut guest, "args_sizes_get", "args_get");
    assert_eq!(args, ["program", "", "größe"]);
    let env = strings(&mut guest, "environ_sizes_get", "environ_get");
    assert_eq!(env, ["A=1", "A=2=3"]);
}

#[test]
fn a_process_is_given_nothing_by_default() {
    let mut guest = Guest::bare();
    assert!(strings(&mut guest, "args_sizes_get", "args_get").is_empty());
    assert!(strings(&mut guest, "environ_sizes_get", "environ_get").is_empty());
    let prestat = guest.call("fd_prestat_get", &args![3, at::RESULT]);
    assert_eq!(prestat, Err(errno::BADF));
}

#[test]
fn an_argument_with_a_zero_byte_is_refused() {
    let mut config = WasiConfig::default();
    let refused = Err(ConfigError::ZeroByte("a\0b".to_owned()));
    assert_eq!(config.add_arg("a\0b"), refused);
    assert!(config.add_env("A", "\0").is_err());
}

#[test]
fn arguments_without_end_are_refused() {
    let mut config = WasiConfig::default();
    let long = "x".repeat(1 << 20);
    config.add_arg(&long).expect("one megabyte is fine");
    assert!(matches!(
        config.add_arg(&long),
        Err(ConfigError::TooLong { .. })
    ));
}

#[test]
fn a_directory_that_cannot_be_opened_is_named() {
    let mut config = WasiConfig::default();
    config
        .add_dir("/does/not/exist", "x", Access::ReadWrite)
        .expect("there is room");
    let error = block_on(Arc::new(config).open()).expect_err("it does not exist");
    assert_eq!(
        error.to_string(),
        "cannot open the directory `/does/not/exist`"
    );
}

#[test]
fn realtime_is_the_time_of_the_host() {
    let mut guest = Guest::bare();
    guest
        .call("clock_time_get", &args![0, 0u64, at::RESULT])
        .expect("there is such a clock");
    let host = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let seconds = guest.take_u64(at::RESULT) / 1_000_000_000;
    assert!(host.as_secs().abs_diff(seconds) < 3600);
}

#[test]
fn monotonic_time_never_goes_back() {
    let mut guest = Guest::bare();
    let mut last = 0;
    for _ in 0..100 {
        guest
            .call("clock_time_get", &args![1, 0u64, at::RESULT])
            .expect("there is such a clock");
        let now = guest.take_u64(at::RESULT);
        assert!(now >= last && now > 0);
        last = now;
    }
}

#[test]
fn clocks_have_a_resolution() {
    let mut guest = Guest::bare();
    for clock in [0, 1] {
        guest
            .call("clock_res_get", &args![clock, at::RESULT])
            .expect("there is such a clock");
        assert!(guest.take_u64(at::RESULT) > 0);
    }
}

#[test]
fn clocks_of_cpu_time_are_refused_as_the_reference_does() {
    let mut guest = Guest::bare();
    for clock in [2, 3] {
        let time = guest.call("clock_time_get", &args![clock, 0u64, at::RESULT]);
        assert_eq!(time, Err(errno::BADF));
        let resolution = guest.call("clock_res_get", &args![clock, at::RESULT]);
        assert_eq!(resolution, Err(errno::BADF));
    }
    let unknown = guest.call("clock_time_get", &args![4, 0u64, at::RESULT]);
    assert_eq!(unknown, Err(errno::INVAL));
}

#[test]
fn random_bytes_fill_exactly_their_range() {
    let mut guest = Guest::bare();
    let length = 200_000;
    guest
        .call("random_get", &args![at::DATA, length])
        .expect("random bytes");
    let bytes = guest.take(at::DATA, length as u32);
    assert!(
        bytes
            .chunks(1000)
            .all(|chunk| chunk.iter().any(|b| *b != 0))
    );
    assert_eq!(guest.take(at::DATA + length as u32, 1000), [0; 1000]);
    assert_eq!(guest.call("random_get", &args![at::DATA, 0]), Ok(()));
}

#[test]
fn a_huge_range_of_random_bytes_lets_others_run() {
    let mut guest = Guest::bare();
    let parameters = args![0, at::MEMORY_PAGES << 16];
    let mut filling = Box::pin(guest.call_async("random_get", &parameters));
    assert!(block_on(poll_once(&mut filling)).is_none());
    assert_eq!(block_on(filling).expect("no trap"), 0);
}

#[test]
fn yielding_lets_others_run_once() {
    let mut guest = Guest::bare();
    let mut yielding = Box::pin(guest.call_async("sched_yield", &[]));
    assert!(block_on(poll_once(&mut yielding)).is_none());
    let done = block_on(poll_once(&mut yielding)).expect("it runs again");
    assert_eq!(done.expect("no trap"), 0);
}

#[test]
fn proc_exit_ends_the_process_with_its_code() {
    for code in [0, 3, 125, 126, -1] {
        let mut guest = Guest::bare();
        let error = guest.try_call("proc_exit", &args![code]);
        let error = error.expect_err("the process ends");
        assert_eq!(error.downcast_ref(), Some(&ProcExit(code as u32)));
    }
}

#[test]
fn proc_raise_is_a_trap() {
    let mut guest = Guest::bare();
    assert!(guest.try_call("proc_raise", &args![9]).is_err());
}

#[test]
fn there_are_no_sockets() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut guest = Guest::in_dir(dir.path(), Access::ReadWrite);
    let file = guest.create(3, "file").expect("a file");
    let no_socket = [0, 1, file].map(|fd| (fd, errno::NOTSOCK));
    let no_data = [3, 77].map(|fd| (fd, errno::BADF));
    for (fd, expected) in no_socket.into_iter().chain(no_data) {
        let accept = guest.call("sock_accept", &args![fd, 0, at::RESULT]);
        assert_eq!(accept, Err(expected));
        let parameters = args![fd, at::IOVS, 0, 0, at::RESULT, at::RESULT_2];
        assert_eq!(guest.call("sock_recv", &parameters), Err(expected));
        let parameters = args![fd, at::IOVS, 0, 0, at::RESULT];
        assert_eq!(guest.call("sock_send", &parameters), Err(expected));
        assert_eq!(guest.call("sock_shutdown", &args![fd, 3]), Err(expected));
    }
}

#[test]
fn a_whole_program_prints_its_second_argument() {
    let program = r#"
        (module
          (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func (export "_start")
            (drop (call $args (i32.const 0) (i32.const 64)))
            ;; A vector at 32: the address of the second argument, five bytes.
            (i32.store (i32.const 32) (i32.load (i32.const 4)))
            (i32.store (i32.const 36) (i32.const 5))
            (call $exit
              (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))))"#;
    let mut config = WasiConfig::default();
    config.add_arg("program").expect("there is room");
    config.add_arg("hello").expect("there is room");
    let capture = Capture::root();
    let mut guest = instantiate(program, config, Stdio::captured(capture.clone()));
    let exit = guest.try_call("_start", &[]).expect_err("it exits");
    assert_eq!(exit.downcast_ref(), Some(&ProcExit(0)));
    assert_eq!(capture.text(), "hello");
}
