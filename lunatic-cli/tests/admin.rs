//! What a runtime tells at its admin socket, and does there.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::time::Duration;

use async_io::Timer;
use harness::{World, assert_failed, assert_killed, send};
use lunatic_admin::{
    Answer, Answering, Exit, ProcessEntry, ProcessId, ProcessOrder, ProcessPage, ProcessQuery,
    Refusal, RefusalKind, Request, Response, Target,
};
use lunatic_cli::{Admin, Root};
use lunatic_process::{ExitReason, Process, SpawnOptions};
use lunatic_testkit::{end_of, wait};

#[track_caller]
fn ask(admin: &Admin, request: Request) -> Result<Response, Refusal> {
    match wait("an answer", admin.answer(request, Vec::new())) {
        Answer::One(Response::Error(refusal)) => Err(refusal),
        Answer::One(response) => Ok(response),
        Answer::Many(_) => panic!("one response was expected"),
    }
}

#[track_caller]
fn list(admin: &Admin, query: ProcessQuery) -> ProcessPage {
    match ask(admin, Request::Processes(query)).unwrap() {
        Response::Processes(page) => page,
        other => panic!("{other:?}"),
    }
}

fn pid(process: &Process) -> ProcessId {
    ProcessId::from_bits(process.id().to_bits())
}

fn target(process: &Process) -> Target {
    Target::new(pid(process))
}

fn pids(page: &ProcessPage) -> Vec<ProcessId> {
    page.processes.iter().map(|entry| entry.pid).collect()
}

#[track_caller]
fn entry_of(page: &ProcessPage, process: &Process) -> ProcessEntry {
    let mut entries = page.processes.iter();
    let found = entries.find(|entry| entry.pid == pid(process));
    found.expect("it is listed").clone()
}

#[test]
fn processes_are_listed_without_being_asked_anything() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let process = world.spawn(&module, "main");
    let observer = world.observer();
    observer.watch(&process, 7);
    process.set_label("kitchen");
    send(&process, 1, b"one");
    send(&process, 2, b"two");

    let page = list(&admin, ProcessQuery::default());
    assert_eq!((page.total, page.more), (2, false));
    let entry = entry_of(&page, &process);
    assert_eq!(entry.label.as_deref(), Some("kitchen"));
    assert_eq!((entry.mailbox, entry.links, entry.monitored_by), (2, 1, 1));
    assert_eq!(
        (entry.parent, entry.cpu_us, entry.described),
        (None, None, None)
    );
    assert!(!entry.supervisor && !entry.exiting);
}

#[test]
fn a_child_names_its_parent_and_measured_cpu_time_is_told() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(
        r#"(func (export "main")
            (call $report (call $spawn_own (i64.const 0) @child)) (call $sleep))
        (func (export "child") (loop $again (br $again)))"#,
    );
    let parent = world.spawn(&module, "main");
    let child = ProcessId::from_bits(world.report() as u64);
    let id = lunatic_mailbox::Pid::from_bits(child.to_bits());
    let process = world.runtime.environment().process(id).unwrap();
    process.measure_cpu_time(true);
    let entry = wait("CPU time", async {
        loop {
            let entry = entry_of(&list(&admin, ProcessQuery::default()), &process);
            if entry.cpu_us.is_some_and(|time| time > 0) {
                return entry;
            }
            Timer::after(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(entry.parent, Some(pid(&parent)));
    process.kill();
}

#[test]
fn who_is_asked_tells_module_memory_and_where_it_waits() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(
        r#"(func (export "waits") (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
        (func (export "computes") (loop $again (br $again)))"#,
    );
    let waiting = world.spawn(&module, "waits");
    let computing = world.spawn(&module, "computes");
    let native = world.observer();
    let query = ProcessQuery {
        describe: true,
        ..ProcessQuery::default()
    };
    let page = list(&admin, query);
    let described = entry_of(&page, &waiting).described.unwrap();
    assert_eq!(
        described.waiting_in.as_deref(),
        Some("lunatic::message::receive")
    );
    assert_eq!(described.memory, Some(64 * 1024));
    assert!(
        module
            .hash()
            .to_string()
            .starts_with(&described.module_hash)
    );
    assert_eq!(described.module_hash.len(), 12);
    assert_eq!(
        entry_of(&page, &computing).described.unwrap().waiting_in,
        None
    );
    // It would not answer, and is not waited for.
    assert_eq!(entry_of(&page, &native.process).described, None);
    computing.kill();
}

#[test]
fn pages_follow_each_other_in_every_order() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let idle = |label: &str| {
        let options = SpawnOptions {
            label: Some(label.into()),
            ..SpawnOptions::default()
        };
        let environment = world.runtime.environment();
        environment
            .spawn(options, |own| async move {
                let _own = own;
                std::future::pending().await
            })
            .unwrap()
    };
    let processes: Vec<_> = ["d", "b", "c", "a", "e"].into_iter().map(idle).collect();
    for (count, process) in (0..3).zip(&processes) {
        (0..count).for_each(|tag| send(process, tag, b""));
    }
    let numbers = |page: ProcessPage| -> Vec<usize> {
        let place = |id: &ProcessId| processes.iter().position(|it| pid(it) == *id).unwrap();
        pids(&page).iter().map(place).collect()
    };
    let first = ProcessQuery {
        limit: 2,
        ..ProcessQuery::default()
    };
    let page = list(&admin, first.clone());
    assert_eq!((page.total, page.more), (5, true));
    let mut after = page.processes.last().map(|entry| entry.pid);
    assert_eq!(numbers(page), [0, 1]);
    // One that ends meanwhile moves nothing.
    processes[0].kill();
    end_of(&processes[0]);
    for (expected, more) in [(vec![2, 3], true), (vec![4], false)] {
        let query = ProcessQuery {
            after,
            ..first.clone()
        };
        let page = list(&admin, query);
        assert_eq!(page.more, more);
        after = page.processes.last().map(|entry| entry.pid);
        assert_eq!(numbers(page), expected);
    }
    let sorted = |sort, offset| {
        let query = ProcessQuery {
            sort,
            offset,
            ..first.clone()
        };
        numbers(list(&admin, query))
    };
    assert_eq!(sorted(ProcessOrder::Label, 0), [3, 1]);
    assert_eq!(sorted(ProcessOrder::Label, 2), [2, 4]);
    assert_eq!(sorted(ProcessOrder::Label, 9), [0; 0]);
    assert_eq!(sorted(ProcessOrder::Mailbox, 0), [2, 1]);
}

#[test]
fn a_filter_finds_labels_ids_and_children() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let spawn = |label: Option<&str>, parent: Option<&Process>| {
        let options = SpawnOptions {
            label: label.map(Into::into),
            parent: parent.map(Process::id),
            ..SpawnOptions::default()
        };
        let environment = world.runtime.environment();
        environment
            .spawn(options, |own| async move {
                let _own = own;
                std::future::pending().await
            })
            .unwrap()
    };
    let kitchen = spawn(Some("Kitchen"), None);
    let cook = spawn(None, Some(&kitchen));
    let _other = spawn(Some("waiter"), None);
    let found = |filter: &str| {
        let query = ProcessQuery {
            filter: Some(filter.to_owned()),
            ..ProcessQuery::default()
        };
        let page = list(&admin, query);
        assert_eq!(page.total, page.processes.len());
        pids(&page)
    };
    assert_eq!(found("KITCH"), [pid(&kitchen)]);
    assert_eq!(
        found(&kitchen.id().to_string()),
        [pid(&kitchen), pid(&cook)]
    );
    assert_eq!(found("nobody"), []);
}

#[test]
fn a_hostile_label_is_cut_and_is_one_line_of_json() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let observer = world.observer();
    let label = format!("\u{1b}[2J\n\"<script>{}", "ä".repeat(1 << 19));
    observer.process.set_label(&label);
    let page = list(&admin, ProcessQuery::default());
    let told = entry_of(&page, &observer.process).label.unwrap();
    assert!(told.len() < 300, "{}", told.len());
    assert!(told.starts_with("\u{1b}[2J\n\"<script>ä"));
    assert!(told.ends_with('…'));
}

#[test]
fn a_process_is_killed_and_one_that_has_ended_is_told_clearly() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(r#"(func (export "main") (loop $again (br $again)))"#);
    let process = world.spawn(&module, "main");
    let kill = || ask(&admin, Request::Kill(target(&process)));
    assert_eq!(kill(), Ok(Response::Done));
    assert_killed(&process);
    let refusal = kill().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoProcess);
    let expected = format!("there is no process {}; it may have ended", process.id());
    assert_eq!(refusal.text, expected);
    let nobody = Target::new(ProcessId::from_bits(u64::MAX));
    let refusal = ask(&admin, Request::Kill(nobody)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoProcess);
}

#[test]
fn an_exit_signal_has_its_reason_and_can_be_trapped() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let exit = |process: &Process, reason: Option<&str>| {
        let exit = Exit {
            process: target(process),
            reason: reason.map(str::to_owned),
        };
        assert_eq!(ask(&admin, Request::Exit(exit)), Ok(Response::Done));
    };
    let process = world.spawn(&module, "main");
    exit(&process, Some("normal"));
    exit(&process, None);
    assert_eq!(end_of(&process), ExitReason::Shutdown);
    let process = world.spawn(&module, "main");
    exit(&process, Some("the shop is closed"));
    assert_failed(&process, "the shop is closed");
    // It traps link deaths.
    let observer = world.observer();
    exit(&observer.process, Some("please"));
    assert_eq!(observer.told(), harness::Told::LinkDied(0));
    assert!(observer.process.is_alive());
}

#[test]
fn other_environments_are_named_by_their_ids() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let other = world.runtime.new_environment(7);
    let root = Root::new("main").environment(other.clone());
    let process = world.root(&module, root).expect("a process");
    assert_eq!(list(&admin, ProcessQuery::default()).total, 0);
    let query = |id| ProcessQuery {
        environment: Some(id),
        ..ProcessQuery::default()
    };
    assert_eq!(pids(&list(&admin, query(7))), [pid(&process)]);
    let refusal = ask(&admin, Request::Processes(query(8))).unwrap_err();
    assert_eq!(refusal.text, "there is no environment 8");
    let elsewhere = Target {
        environment: Some(7),
        ..target(&process)
    };
    assert_eq!(ask(&admin, Request::Kill(elsewhere)), Ok(Response::Done));
    assert_killed(&process);
    wait("the end", other.shut_down());
}

#[test]
fn the_version_is_told() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let Ok(Response::Version(info)) = ask(&admin, Request::Version) else {
        panic!("a version was expected");
    };
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(info.protocol, lunatic_admin::PROTOCOL);
    assert_eq!(info.pid, std::process::id());
}
