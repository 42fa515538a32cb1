//! `lunatic describe` and `lunatic doctor`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use harness::program::Guests;
use lunatic_testkit::program::ran;
use serde_json::Value;

const MODULE: &str = r##"(module $shop
    (import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "lunatic::networking" "resolve"
        (func (param i32 i32 i64 i32) (result i32)))
    (import "lunatic::networking" "resolve"
        (func (param i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start"))
    (func (export "#lunatic_test_sells"))
    (func (export "_lunatic_reload_3_counter")))"##;

#[test]
fn a_module_is_described_by_what_it_needs_offers_and_takes() {
    let guests = Guests::new();
    guests.file("shop.wat", MODULE);
    guests
        .run(&["describe", "shop.wat"])
        .code(0)
        .prints("shop.wat (")
        .prints("shop\n")
        .prints("tests: `lunatic test` runs 1")
        .prints("128.0 KiB of memory")
        .prints("files in directories (--dir), the network (--allow-net)")
        .prints("lunatic::networking: resolve\n")
        .prints("_start, _lunatic_reload_3_counter\n")
        .prints("takes over processes of the kind counter with a state of version 3\n")
        .prints("at once")
        .prints("accepted");
    let json = guests.run(&["describe", "--json", "shop.wat"]);
    let json: Value = serde_json::from_str(&json.code(0).out).unwrap();
    assert_eq!(json["name"], "shop");
    assert_eq!(json["tests"], 1);
    assert_eq!(json["is_program"], true);
    assert_eq!(json["memory_bytes"], 131_072);
    assert_eq!(json["needs"][0]["flag"], "--dir");
    assert_eq!(json["refused"], Value::Null);
}

#[test]
fn why_a_module_would_be_refused_is_told_with_the_rest() {
    let guests = Guests::new();
    guests.file(
        "wants.wat",
        r#"(module (import "wbg" "f" (func)) (func (export "go")))"#,
    );
    guests
        .run(&["describe", "wants.wat"])
        .code(1)
        .prints("wbg: f\n")
        .prints("a library")
        .prints("refused")
        .says(&["wbg::f (func)", "wasm-bindgen"]);
    let json = guests.run(&["describe", "--json", "wants.wat"]);
    let json: Value = serde_json::from_str(&json.code(1).out).unwrap();
    assert!(json["refused"].as_str().unwrap().contains("wbg::f"));
    guests
        .run(&["describe", "gone.wasm"])
        .code(1)
        .says(&["gone.wasm"]);
    // It is a file that is named here, and no command.
    let gone = guests.run(&["describe", "nofile"]);
    gone.code(1)
        .says(&["cannot read `nofile`", "check the path"]);
}

#[test]
fn of_what_is_no_module_nothing_is_said_that_could_not_be_read() {
    let guests = Guests::new();
    guests.file("hi.txt", "hi");
    guests.file("component.wat", "(component)");
    guests.file("cut.wasm", b"\0asm\x01\0\0\0\x01\x04\x01");
    for file in ["hi.txt", "component.wat", "cut.wasm"] {
        let ran = guests.run(&["describe", file]);
        ran.code(1)
            .prints("no module that can be read")
            .prints_not("a library")
            .prints_not("can always be made")
            .prints_not("(0 B)");
        let json = guests.run(&["describe", "--json", file]);
        let json: Value = serde_json::from_str(&json.code(1).out).unwrap();
        assert_eq!(json["is_module"], false, "{file}");
    }
}

#[test]
fn what_the_lunatic_crate_imports_into_each_program_needs_no_other_nodes() {
    let guests = Guests::new();
    let imports = |names: &[&str]| {
        let imports = names.iter().map(|name| {
            format!("(import \"lunatic::distributed\" \"{name}\" (func (result i64)))")
        });
        format!("(module {})", imports.collect::<String>())
    };
    // What the `lunatic` crate imports into each program.
    guests.file("alone.wat", imports(&["node_id", "module_id"]));
    let alone = guests.run(&["describe", "alone.wat"]);
    alone.code(0).prints_not("other nodes");
    guests.file("asks.wat", imports(&["node_id", "get_nodes"]));
    let asks = guests.run(&["describe", "asks.wat"]);
    asks.prints("other nodes");
}

#[test]
fn the_doctor_tells_versions_limits_and_toolchains() {
    let guests = Guests::new();
    let mut command = guests.lunatic();
    command
        .arg("doctor")
        .env("XDG_CACHE_HOME", guests.path().join("caches"));
    ran(&mut command)
        .code(0)
        .prints("lunatic ")
        .prints(env!("CARGO_PKG_VERSION"))
        .prints("processors")
        .prints("ok compiled modules")
        .prints("Rust")
        .prints("AssemblyScript");
}

#[test]
fn the_doctor_says_what_is_missing_and_what_to_do() {
    let guests = Guests::new();
    let file = guests.file("no directory", "");
    let mut command = guests.lunatic();
    command
        .args(["doctor", "--json"])
        .env("XDG_CACHE_HOME", &file)
        .env("PATH", guests.path());
    let doctor = ran(&mut command);
    let json: Value = serde_json::from_str(&doctor.code(0).out).unwrap();
    let found = |part: &str, what: &str| {
        let mut findings = json[part].as_array().unwrap().iter();
        findings.find(|it| it["what"] == what).unwrap().clone()
    };
    let cache = found("machine", "compiled modules");
    assert_eq!(cache["is_well"], false);
    assert!(cache["means"].as_str().unwrap().contains("XDG_CACHE_HOME"));
    for (language, remedy) in [
        ("Rust", "rustup"),
        ("Go", "GOOS=wasip1"),
        ("C", "lld"),
        ("C++", "libc++-dev-wasm32"),
    ] {
        let toolchain = found("toolchains", language);
        assert_eq!(toolchain["is_well"], false);
        assert!(toolchain["means"].as_str().unwrap().contains(remedy));
    }
    assert_eq!(found("versions", "host interface")["found"], "0.13");
}

#[test]
fn a_compiler_for_c_without_linker_and_libraries_is_not_enough() {
    let guests = Guests::new();
    let directory = guests.path().join("programs");
    fs::create_dir(&directory).unwrap();
    let clang = directory.join("clang");
    let found = |language: &str, script: &str| {
        for clang in [&clang, &directory.join("clang++")] {
            fs::write(clang, script).unwrap();
            fs::set_permissions(clang, Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = guests.lunatic();
        command
            .args(["doctor", "--json"])
            .env("XDG_CACHE_HOME", guests.path().join("caches"))
            .env("PATH", &directory);
        let doctor = ran(&mut command);
        let json: Value = serde_json::from_str(&doctor.code(0).out).unwrap();
        let mut toolchains = json["toolchains"].as_array().unwrap().iter();
        let c = toolchains.find(|it| it["what"] == language).unwrap();
        (
            c["is_well"] == true,
            c["found"].as_str().unwrap().to_owned(),
        )
    };
    let alone = "#!/bin/sh\n[ $1 = --version ] && echo clang 1 && exit\necho ${2##*=}\n";
    let (is_well, what) = found("C", alone);
    assert!(!is_well);
    assert_eq!(what, "clang 1, without `wasm-ld` and a C library");
    let whole = alone.replace("echo ${2", "echo /usr/lib/${2");
    assert_eq!(found("C", &whole), (true, "clang 1".to_owned()));
    assert_eq!(found("C++", &whole), (true, "clang 1".to_owned()));
    let of_c = whole.replace(
        "echo /usr",
        "[ $2 = -print-file-name=libc++.a ] && echo libc++.a && exit\necho /usr",
    );
    assert_eq!(found("C", &of_c), (true, "clang 1".to_owned()));
    assert_eq!(
        found("C++", &of_c),
        (false, "clang 1, without a C++ library".to_owned())
    );
}
