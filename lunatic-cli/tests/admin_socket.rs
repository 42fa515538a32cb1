//! The admin socket of the program `lunatic`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::path::{Path, PathBuf};

use harness::program::Guests;
use harness::runtimes::Runtimes;
use lunatic_admin::{Describe, ProcessQuery, Request, Response, Target};
use lunatic_testkit::program::{Ran, exit_code, ran};
use lunatic_testkit::{wait, wait_until};

#[test]
fn a_program_with_a_name_is_asked_and_steered_by_it() {
    let runtimes = Runtimes::new();
    let mut shop = runtimes.start_named("shop");
    let mut client = runtimes.connect("shop").unwrap();
    let listing = Request::Processes(ProcessQuery {
        describe: Describe::Yes,
        ..ProcessQuery::default()
    });
    // The socket is there before the first process is.
    let mut page = None;
    wait_until("the first process", || {
        let listed = wait("an answer", client.request(&listing)).unwrap();
        let Response::Processes(listed) = listed else {
            panic!("{listed:?}");
        };
        let is_there = listed.processes.iter().any(|entry| {
            let described = entry.described.as_ref();
            described
                .is_some_and(|it| it.waiting_in.as_deref() == Some("lunatic::process::sleep_ms"))
        });
        page = Some(listed);
        is_there
    });
    let pid = page.unwrap().processes[0].pid;
    let kill = Request::Kill(Target::new(pid));
    let killed = wait("an answer", client.request(&kill));
    assert_eq!(killed.unwrap(), Response::Done);
    assert_eq!(exit_code(&mut shop.0), Some(1));
    assert_eq!(runtimes.sockets(), [] as [PathBuf; 0]);
}

#[test]
fn a_program_without_a_name_has_that_of_its_process_and_without_admin_none() {
    let runtimes = Runtimes::new();
    let running = runtimes.start(&["run", "sleeps.wat"]);
    let expected = format!("lunatic-{}", running.0.id());
    wait_until("the runtime", || runtimes.names() == [expected.clone()]);
    let _hidden = runtimes.start(&["run", "--no-admin", "sleeps.wat"]);
    let _named = runtimes.start_named("shop");
    assert_eq!(runtimes.names(), [expected, "shop".to_owned()]);
}

#[test]
fn a_name_in_use_is_an_error_until_its_runtime_is_gone_even_by_a_crash() {
    let runtimes = Runtimes::new();
    let first = runtimes.start_named("shop");
    runtimes
        .run(&["run", "--name", "shop", "sleeps.wat"])
        .code(1)
        .says(&["another runtime has the name `shop`", "--name"]);
    assert_eq!(runtimes.names(), ["shop"]);
    // It is killed, and its socket stays.
    drop(first);
    assert_eq!(runtimes.sockets().len(), 1);
    let _second = runtimes.start_named("shop");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let runtimes = Runtimes::new();
    let long = "x".repeat(65);
    for name in ["", "../shop", "-x", "a b", &long] {
        let name = format!("--name={name}");
        let ran = runtimes.run(&["run", &name, "sleeps.wat"]);
        ran.code(2).says(&["64 letters, digits"]);
    }
    let ran = runtimes.run(&["run", "--name", "shop", "--no-admin", "sleeps.wat"]);
    ran.code(2).says(&["cannot be used with"]);
}

fn without_directory(guests: &Guests, at: &Path, args: &[&str]) -> Ran {
    let mut command = guests.lunatic();
    command.args(args).env("XDG_RUNTIME_DIR", at);
    ran(&mut command)
}

#[test]
fn without_a_private_directory_a_program_runs_unless_it_has_a_name() {
    let guests = Guests::new();
    guests.file(
        "returns.wat",
        harness::module(r#"(func (export "_start"))"#),
    );
    let missing = guests.path().join("missing");
    // What is at the place of the directory is a file.
    let in_the_way = guests.path().join("run");
    std::fs::create_dir(&in_the_way).unwrap();
    std::fs::write(in_the_way.join("lunatic"), "").unwrap();
    for (at, what) in [(missing, "No such file"), (in_the_way, "is no directory")] {
        without_directory(&guests, &at, &["run", "returns.wat"])
            .code(0)
            .is_silent();
        without_directory(&guests, &at, &["run", "--name", "shop", "returns.wat"])
            .code(1)
            .says(&[what]);
    }
}

#[test]
fn an_application_has_a_name_too() {
    let runtimes = Runtimes::new();
    runtimes.guests.file(
        "app.toml",
        "[[children]]\nname = \"sleeper\"\nmodule = \"sleeps.wat\"\n",
    );
    let _running = runtimes.start(&["start", "--name", "app-1", "app.toml"]);
    wait_until("the runtime", || runtimes.names() == ["app-1"]);
    let mut client = runtimes.connect("app-1").unwrap();
    let listing = Request::Processes(ProcessQuery::default());
    wait_until("the tree", || {
        let listed = wait("an answer", client.request(&listing)).unwrap();
        let Response::Processes(page) = listed else {
            panic!("{listed:?}");
        };
        let labels: Vec<_> = page
            .processes
            .iter()
            .map(|it| it.label.as_deref())
            .collect();
        let tree = page.processes.first().map(|it| it.pid);
        labels == [Some("app"), Some("sleeper")]
            && page.processes[0].supervisor
            && page.processes[1].parent == tree
    });
}
