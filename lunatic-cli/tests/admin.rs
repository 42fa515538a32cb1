//! What a runtime tells at its admin socket, and does there.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_io::Timer;
use harness::{World, assert_failed, assert_killed, send};
use lunatic_admin::{
    Answer, Answering, Describe, Exit, MAX_DESCRIBED, MAX_PAGE, ProcessDetail, ProcessEntry,
    ProcessId, ProcessOrder, ProcessPage, ProcessQuery, Refusal, RefusalKind, Request, Response,
    Target,
};
use lunatic_cli::{Admin, Root};
use lunatic_mailbox::DataMessage;
use lunatic_process::{ExitReason, Process, SpawnOptions};
use lunatic_supervisor::{ChildSpec, Spec, native};
use lunatic_testkit::{end_of, wait, wait_until};

#[track_caller]
fn ask(admin: &Admin, request: Request) -> Result<Response, Refusal> {
    match wait("an answer", admin.answer(request, Vec::new())) {
        Answer::One(Response::Error(refusal)) => Err(refusal),
        Answer::One(response) => Ok(response),
        Answer::Many(_) | Answer::Stream(_) => panic!("one response was expected"),
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
fn a_child_names_its_parent_and_it_is_told_that_it_runs_and_how_long_it_has() {
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
    let entry = wait("CPU time", async {
        loop {
            let entry = entry_of(&list(&admin, ProcessQuery::default()), &process);
            if entry.running && entry.cpu_us.is_some_and(|time| time > 0) {
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
        describe: Describe::Yes,
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
    let reversed = ProcessQuery {
        sort: ProcessOrder::Mailbox,
        reverse: true,
        ..first.clone()
    };
    assert_eq!(numbers(list(&admin, reversed)), [4, 3]);
}

#[test]
fn all_are_asked_by_what_only_they_know_but_a_page_is_told() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(
        r#"(func (export "small") (call $sleep))
        (func (export "large") (drop (memory.grow (i32.const 8)))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))"#,
    );
    let exports = ["small", "large", "small"];
    let processes = exports.map(|export| world.spawn(&module, export));
    let native = world.observer();
    for process in &processes {
        wait("an answer", async { process.describe().await.ok_or(()) }).unwrap();
    }
    let sorted = |sort, offset| {
        let query = ProcessQuery {
            sort,
            offset,
            limit: 2,
            ..ProcessQuery::default()
        };
        let page = list(&admin, query);
        assert_eq!((page.total, page.more), (4, offset + 2 < 4));
        pids(&page)
    };
    let [one, large, two] = processes.each_ref().map(pid);
    let native = pid(&native.process);
    for (order, expected) in [
        (ProcessOrder::Memory, [large, one, two, native]),
        (ProcessOrder::State, [large, one, two, native]),
        (ProcessOrder::Module, [one, large, two, native]),
        (ProcessOrder::Restarts, [one, large, two, native]),
        (ProcessOrder::Parent, [one, large, two, native]),
    ] {
        // Those that were asked run for a moment to answer.
        wait_until(&format!("the order of {order:?}"), || {
            [sorted(order, 0), sorted(order, 2)].concat() == expected
        });
    }
    for process in &processes {
        process.kill();
    }
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

/// Native processes that say that they answer, but never do. What they count is how often they
/// were woken.
fn deaf(world: &World, count: usize) -> (Vec<Process>, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let spawn = |_| {
        let options = SpawnOptions {
            answers_requests: true,
            ..SpawnOptions::default()
        };
        let polls = polls.clone();
        let body = move |_| {
            std::future::poll_fn(move |_| {
                polls.fetch_add(1, Ordering::SeqCst);
                Poll::Pending
            })
        };
        world.runtime.environment().spawn(options, body).unwrap()
    };
    let processes = (0..count).map(spawn).collect();
    wait_until("their first polls", || {
        polls.load(Ordering::SeqCst) == count
    });
    (processes, polls)
}

#[test]
fn a_list_wakes_nobody_unless_that_is_asked_for_and_they_are_few() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let (_processes, polls) = deaf(&world, MAX_DESCRIBED + 1);
    for describe in [Describe::No, Describe::IfFew] {
        let query = ProcessQuery {
            describe,
            ..ProcessQuery::default()
        };
        let page = list(&admin, query);
        assert_eq!(page.processes.len(), MAX_DESCRIBED + 1);
    }
    assert_eq!(polls.load(Ordering::SeqCst), MAX_DESCRIBED + 1);
}

#[test]
fn who_does_not_answer_is_listed_without_an_answer_and_keeps_nobody_waiting_for_ever() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let (processes, _) = deaf(&world, 20);
    let query = ProcessQuery {
        describe: Describe::IfFew,
        ..ProcessQuery::default()
    };
    let page = list(&admin, query);
    assert_eq!(page.processes.len(), 20);
    assert!(page.processes.iter().all(|entry| entry.described.is_none()));
    let detail = inspect(&admin, &processes[0]).unwrap();
    assert_eq!(detail.entry.described, None);
    assert!(!detail.entry.native);
}

#[test]
fn thousands_of_processes_are_listed_page_by_page_each_once() {
    const COUNT: usize = 2 * MAX_PAGE + 10;
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let (processes, _) = deaf(&world, COUNT);
    let mut query = ProcessQuery::default();
    let mut found = Vec::new();
    for size in [MAX_PAGE, MAX_PAGE, 10] {
        let page = list(&admin, query.clone());
        assert_eq!((page.total, page.processes.len()), (COUNT, size));
        assert_eq!(page.more, size == MAX_PAGE);
        found.extend(pids(&page));
        query.after = found.last().copied();
    }
    let spawned: Vec<_> = processes.iter().map(pid).collect();
    assert_eq!(found, spawned);
    // However much is asked for, a page is no larger.
    query.after = None;
    query.limit = usize::MAX;
    assert_eq!(list(&admin, query).processes.len(), MAX_PAGE);
}

fn inspect(admin: &Admin, process: &Process) -> Result<ProcessDetail, Refusal> {
    match ask(admin, Request::Inspect(target(process)))? {
        Response::Process(detail) => Ok(*detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_tells_its_calls_names_groups_and_resources() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(
        r#"(func (export "main")
            (call $registry_put @oven (i64.const 0) (call $process_id))
            (drop (call $group_join (i32.const 0) (i32.const 0) @cooks (call $process_id)
                (i32.const 0x100)))
            (call $outer))
        (func $outer (call $middle))
        (func $middle (call $inner))
        (func $inner (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))"#,
    );
    let process = world.spawn(&module, "main");
    let observer = world.observer();
    observer.watch(&process, 1);
    let detail = inspect(&admin, &process).unwrap();
    assert_eq!(detail.backtrace[..3], ["inner", "middle", "outer"]);
    assert_eq!(detail.names, ["oven"]);
    assert_eq!(detail.groups, ["cooks"]);
    assert_eq!(detail.linked_to, [pid(&observer.process)]);
    assert_eq!(detail.watchers, [pid(&observer.process)]);
    let resource = |what: &str| {
        let mut resources = detail.resources.iter();
        let found = resources
            .find(|usage| usage.what == what)
            .expect("it is told");
        (found.used, found.limit)
    };
    assert_eq!(
        resource("bytes of linear memory"),
        (Some(65_536), Some(u64::from(u32::MAX)))
    );
    assert_eq!(resource("sockets").0, Some(0));
    assert_eq!(resource("queued messages").0, Some(0));
    assert_eq!(resource("file descriptors").0, Some(3));
    let mut account = detail.account.iter();
    let processes = account.find(|usage| usage.what == "processes").unwrap();
    assert_eq!(processes.used, Some(2));
}

#[test]
fn functions_of_rust_are_named_as_they_are_written() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let module = world.load(
        r#"(func $_ZN6waiter4main17h0a671d3bbaf11b07E (call $sleep))
        (func $_RNvNtCset5xJoy1xWQ_3std2rt19lang_start_internal
            (call $_ZN6waiter4main17h0a671d3bbaf11b07E))
        (func $main.void (call $_RNvNtCset5xJoy1xWQ_3std2rt19lang_start_internal))
        (func (export "main") (call $main.void))"#,
    );
    let process = world.spawn(&module, "main");
    let detail = inspect(&admin, &process).unwrap();
    assert_eq!(
        detail.backtrace[1..4],
        ["waiter::main", "std::rt::lang_start_internal", "main.void"]
    );
}

#[test]
fn names_of_functions_of_any_length_are_cut() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let long = "x".repeat(1 << 16);
    let module = world.load(&format!(
        r#"(func ${long} (call $sleep)) (func (export "main") (call ${long}))"#
    ));
    let process = world.spawn(&module, "main");
    let detail = inspect(&admin, &process).unwrap();
    assert!(detail.backtrace.iter().any(|name| name.starts_with("xxx")));
    assert!(detail.backtrace.iter().all(|name| name.len() <= 256));
}

#[test]
fn a_process_that_ends_while_it_is_looked_at_is_told_clearly() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let options = SpawnOptions {
        answers_requests: true,
        ..SpawnOptions::default()
    };
    let (polled, was_polled) = async_channel::bounded(1);
    // It ends when it is woken by the question.
    let body = move |_| {
        std::future::poll_fn(move |_| match polled.try_send(()) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Ok(())),
        })
    };
    let process = world.runtime.environment().spawn(options, body).unwrap();
    wait_until("its first poll", || was_polled.len() == 1);
    let refusal = inspect(&admin, &process).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoProcess);
    let expected = format!(
        "the process {} has ended while it was looked at",
        process.id()
    );
    assert!(refusal.text.starts_with(&expected), "{}", refusal.text);
}

#[test]
fn a_supervisor_tells_its_children_and_how_often_they_were_started_again() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let idle = native(|own| async move {
        let _own = own;
        std::future::pending().await
    });
    let spec = Spec::new("kitchen")
        .intensity(10, Duration::from_secs(60))
        .child(ChildSpec::new("cook", idle));
    let environment = world.runtime.environment();
    let supervisor = wait("the start", spec.start(environment, None)).unwrap();
    let cook = || {
        wait("children", supervisor.which_children())
            .unwrap()
            .remove(0)
    };
    let first = cook().process.unwrap();
    first.kill();
    wait_until("the restart", || {
        let process = cook().process;
        process.is_some_and(|process| process.id() != first.id())
    });
    let detail = inspect(&admin, supervisor.process()).unwrap();
    let [child] = &detail.children[..] else {
        panic!("one child was expected: {:?}", detail.children);
    };
    assert_eq!(
        (child.name.as_str(), child.status.as_str(), child.restarts),
        ("cook", "running", 1)
    );
    let cook = cook().process.unwrap();
    assert_eq!(child.pid, Some(pid(&cook)));
    assert_eq!(inspect(&admin, &cook).unwrap().entry.restarts, Some(1));
    let query = ProcessQuery {
        describe: Describe::IfFew,
        ..ProcessQuery::default()
    };
    let page = list(&admin, query);
    assert_eq!(entry_of(&page, &cook).restarts, Some(1));
    assert_eq!(entry_of(&page, supervisor.process()).restarts, None);
}

#[test]
fn stats_count_processes_and_what_is_charged() {
    let world = World::new();
    let admin = Admin::new(&world.runtime);
    let observer = world.observer();
    let gone = world.observer();
    gone.process.kill();
    end_of(&gone.process);
    world.wait_for_count(1);
    let Ok(Response::Stats(stats)) = ask(&admin, Request::Stats) else {
        panic!("stats were expected");
    };
    let [environment] = &stats.environments[..] else {
        panic!("one environment was expected: {stats:?}");
    };
    assert_eq!((environment.processes, environment.spawned), (1, 2));
    assert_eq!(stats.workers, 2);
    assert_eq!(stats.messages, 0);
    let message = DataMessage::new(None, Vec::new()).into();
    let receiver = observer.process.id();
    let environment = world.runtime.environment();
    environment.send(None, receiver, message).unwrap();
    let Ok(Response::Stats(later)) = ask(&admin, Request::Stats) else {
        panic!("stats were expected");
    };
    assert_eq!(later.messages, 1);
    if cfg!(target_os = "linux") {
        // Those of other runtimes of this program have the same names, and a worker has its
        // name when it has begun.
        wait_until("the CPU time of both workers", || {
            let stats = ask(&admin, Request::Stats);
            matches!(stats, Ok(Response::Stats(stats)) if stats.worker_cpu_us.len() >= 2)
        });
    }
    let mut account = stats.account.iter();
    let processes = account.find(|usage| usage.what == "processes").unwrap();
    assert_eq!((processes.used, processes.limit), (Some(1), None));
    assert!(observer.process.is_alive());
}
