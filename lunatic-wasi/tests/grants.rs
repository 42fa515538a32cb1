//! What a process grants to those that it will spawn (`lunatic::wasi`).

mod guest;

use std::fs;
use std::sync::Arc;

use futures_lite::future::block_on;
use guest::{Guest, args, errno, instantiate};
use lunatic_account::{Account, AccountLimits};
use lunatic_wasi::{Access, Stdio, WasiConfig};

/// A module that passes its parameters on to the three functions.
const GRANTING: &str = r#"
    (module
      (import "lunatic::wasi" "config_add_environment_variable"
        (func $env (param i64 i32 i32 i32 i32)))
      (import "lunatic::wasi" "config_add_command_line_argument"
        (func $arg (param i64 i32 i32)))
      (import "lunatic::wasi" "config_preopen_dir" (func $dir (param i64 i32 i32)))
      (memory (export "memory") 3)
      (func (export "env") (param i64 i32 i32 i32 i32)
        (call $env (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
      (func (export "arg") (param i64 i32 i32)
        (call $arg (local.get 0) (local.get 1) (local.get 2)))
      (func (export "dir") (param i64 i32 i32)
        (call $dir (local.get 0) (local.get 1) (local.get 2))))"#;

const CONFIG: u64 = 7;

fn granting(own: WasiConfig) -> Guest {
    let mut guest = instantiate(GRANTING, own, Stdio::default());
    let configs = &mut guest.store.data_mut().configs;
    configs.insert(CONFIG, WasiConfig::default());
    guest
}

fn granted(guest: &mut Guest) -> WasiConfig {
    guest.store.data_mut().configs[&CONFIG].clone()
}

fn grant_dir(guest: &mut Guest, dir: &str) -> wasmtime::Result<i32> {
    guest.put(0, dir.as_bytes());
    guest.try_call("dir", &args![CONFIG, 0, dir.len() as u32])
}

#[test]
fn arguments_and_variables_are_appended() {
    let mut guest = granting(WasiConfig::default());
    guest.put(0, b"keyvalue");
    for _ in 0..2 {
        let env = guest.try_call("env", &args![CONFIG, 0, 3, 3, 5]);
        env.expect("no trap");
    }
    let arg = guest.try_call("arg", &args![CONFIG, 3, 5]);
    arg.expect("no trap");
    let config = granted(&mut guest);
    assert_eq!(
        config.env().collect::<Vec<_>>(),
        [("key", "value"), ("key", "value")]
    );
    assert_eq!(config.args().collect::<Vec<_>>(), ["value"]);
}

#[test]
fn wrong_parameters_are_traps() {
    let mut guest = granting(WasiConfig::default());
    guest.put(0, b"\xffa\0b");
    let unknown = 99u64;
    assert!(guest.try_call("arg", &args![unknown, 1, 1]).is_err());
    assert!(guest.try_call("arg", &args![CONFIG, 0, 1]).is_err());
    assert!(guest.try_call("arg", &args![CONFIG, 1, 3]).is_err());
    assert!(guest.try_call("arg", &args![CONFIG, 65_535, 2]).is_err());
    assert!(guest.try_call("arg", &args![CONFIG, 0, -1]).is_err());
    assert!(guest.try_call("env", &args![unknown, 1, 1, 1, 1]).is_err());
    assert!(guest.try_call("env", &args![CONFIG, 1, 1, 0, 1]).is_err());
    assert!(guest.try_call("dir", &args![unknown, 1, 1]).is_err());
    assert!(guest.try_call("dir", &args![CONFIG, 0, 1]).is_err());
}

#[test]
fn what_is_refused_is_not_in_the_config() {
    let mut guest = granting(WasiConfig::default());
    guest.put(0, &[b'x'; 40_000]);
    let limits = AccountLimits {
        memory: 50_000,
        ..AccountLimits::UNLIMITED
    };
    guest.store.data_mut().account = Account::root(limits);
    let long = guest.try_call("arg", &args![CONFIG, 0, 40_000]);
    assert!(format!("{long:?}").contains("memory"), "{long:?}");
    assert!(
        guest
            .try_call("env", &args![CONFIG, 0, 1, 0, 40_000])
            .is_err()
    );
    let short = guest.try_call("arg", &args![CONFIG, 0, 20_000]);
    short.expect("no trap");
    let config = granted(&mut guest);
    assert_eq!(config.args().map(str::len).collect::<Vec<_>>(), [20_000]);
    assert_eq!(config.env().count(), 0);
}

#[test]
fn a_message_has_only_the_beginning_of_a_text_that_is_refused() {
    let mut guest = granting(WasiConfig::default());
    guest.put(0, &[b'x'; 100_000]);
    guest.put(90_000, b"\0");
    let trap = guest.try_call("arg", &args![CONFIG, 0, 100_000]);
    let trap = trap
        .expect_err("there is a byte 0")
        .root_cause()
        .to_string();
    assert!(trap.contains("contains a byte 0"), "{trap}");
    assert!(trap.len() < 200, "{trap}");
}

#[test]
fn what_is_too_long_traps_and_is_not_looked_at() {
    const STRING: u32 = 128 << 10;
    const PATH: u32 = 4095;
    let mut guest = granting(WasiConfig::default());
    // Behind the limits is a byte that is not UTF-8.
    guest.put(STRING, b"\xff");
    guest.put(STRING + PATH, b"\xff");
    guest.put(0, &vec![b'x'; STRING as usize]);
    for (function, params) in [
        ("env", &args![CONFIG, 0, STRING + 1, 0, 1][..]),
        ("env", &args![CONFIG, 0, 1, 0, STRING + 1]),
        ("arg", &args![CONFIG, 0, STRING + 1]),
        ("dir", &args![CONFIG, STRING, PATH + 1]),
    ] {
        let trap = guest.try_call(function, params).expect_err(function);
        let cause = format!("{trap:?}");
        assert!(cause.contains("is longer than the"), "{function}: {cause}");
    }
    let longest = guest.try_call("arg", &args![CONFIG, 0, STRING]);
    longest.expect("no trap");
}

#[test]
fn a_directory_below_an_own_one_can_be_granted() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("sub")).expect("a directory");
    let mut own = WasiConfig::default();
    own.add_dir(dir.path(), "/", Access::ReadWrite)
        .expect("there is room");
    let mut guest = granting(own);
    let sub = dir.path().join("sub");
    let name = sub.to_str().expect("UTF-8");
    grant_dir(&mut guest, name).expect("it is below");
    grant_dir(&mut guest, dir.path().to_str().expect("UTF-8")).expect("it is the same");
    let config = granted(&mut guest);
    assert_eq!(config.preopens()[0].guest(), name);
    let mut child = Guest::new(config, Stdio::default());
    child.create(3, "file").expect("a file");
    assert!(sub.join("file").exists());
}

#[test]
fn a_directory_elsewhere_cannot_be_granted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut own = WasiConfig::default();
    own.add_dir(dir.path(), "/", Access::ReadWrite)
        .expect("there is room");
    let mut guest = granting(own);
    for elsewhere in ["/", "/etc", "~", "..", "."] {
        let error = grant_dir(&mut guest, elsewhere).expect_err(elsewhere);
        let root = error.root_cause().to_string();
        assert!(root.contains("permission denied"), "{root}");
    }
    assert!(granted(&mut guest).preopens().is_empty());
    assert!(grant_dir(&mut granting(WasiConfig::default()), "/tmp").is_err());
}

#[test]
fn no_path_and_no_link_grants_what_lies_outside() {
    let dir = tempfile::tempdir().expect("a directory");
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).expect("a directory");
    std::os::unix::fs::symlink("..", inside.join("link")).expect("a link");
    std::os::unix::fs::symlink("/etc", inside.join("absolute")).expect("a link");
    for path in ["..", "a/../..", "link", "absolute", "link/inside/.."] {
        let mut own = WasiConfig::default();
        own.add_dir(&inside, "/", Access::ReadWrite)
            .expect("there is room");
        let mut guest = granting(own);
        let path = inside.join(path);
        let grant = grant_dir(&mut guest, path.to_str().expect("UTF-8"));
        // It may be refused at once, or when a process is to have it.
        if grant.is_ok() {
            let opened = block_on(Arc::new(granted(&mut guest)).open());
            assert!(opened.is_err(), "{path:?}");
        }
    }
}

#[test]
fn what_is_read_only_is_granted_read_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut own = WasiConfig::default();
    own.add_dir(dir.path(), "/", Access::ReadOnly)
        .expect("there is room");
    let mut guest = granting(own);
    let name = dir.path().to_str().expect("UTF-8");
    grant_dir(&mut guest, name).expect("it is its own");
    let mut child = Guest::new(granted(&mut guest), Stdio::default());
    assert_eq!(child.create(3, "file"), Err(errno::PERM));
}

#[test]
fn a_directory_that_does_not_exist_is_found_out_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut own = WasiConfig::default();
    own.add_dir(dir.path(), "/", Access::ReadWrite)
        .expect("there is room");
    let mut guest = granting(own);
    let missing = dir.path().join("missing");
    grant_dir(&mut guest, missing.to_str().expect("UTF-8")).expect("it may come");
    assert!(block_on(Arc::new(granted(&mut guest)).open()).is_err());
    fs::create_dir(&missing).expect("a directory");
    assert!(block_on(Arc::new(granted(&mut guest)).open()).is_ok());
}
