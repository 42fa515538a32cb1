//! What a wasm process tells of itself when it is asked.

mod harness;

use std::time::Duration;

use harness::{World, send};
use lunatic_cli::Root;
use lunatic_process::Inspection;
use lunatic_testkit::wait;

fn inspect(process: &lunatic_process::Process) -> Inspection {
    wait("an answer", async {
        process.inspect().await.ok_or("it has ended")
    })
    .expect("it lives")
}

#[test]
fn a_process_that_waits_tells_where_and_its_calls_by_name() {
    let world = World::new();
    let module = world.load(
        r#"(func $innermost (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
        (func $between (call $innermost))
        (func (export "main") (call $between))"#,
    );
    let process = world.spawn(&module, "main");
    let inspection = inspect(&process);
    assert_eq!(inspection.waiting_in, Some("lunatic::message::receive"));
    assert_eq!(inspection.memory, 64 * 1024);
    assert_eq!(inspection.backtrace[..2], ["innermost", "between"]);
    // It waits on as if nothing had happened.
    send(&process, 0, b"");
    harness::assert_normal(&process);
}

#[test]
fn a_process_that_sleeps_or_computes_tells_so() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "sleeps") (call $sleep_ms (i64.const -1)))
        (func $busy (loop $again (br $again)))
        (func (export "computes") (call $busy))"#,
    );
    let sleeping = world.spawn(&module, "sleeps");
    assert_eq!(
        inspect(&sleeping).waiting_in,
        Some("lunatic::process::sleep_ms")
    );
    let computing = world.spawn(&module, "computes");
    let inspection = inspect(&computing);
    assert_eq!(inspection.waiting_in, None);
    assert_eq!(inspection.backtrace[0], "busy");
    computing.kill();
    sleeping.kill();
}

#[test]
fn a_wait_for_a_reply_survives_the_question() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (param $to i64)
            (call $create_data (i64.const 0) (i64.const 0))
            (call $report (i64.extend_i32_u (call $send_receive_skip_search
                (local.get $to) (i64.const 7) (i64.const -1)))))"#,
    );
    let observer = world.observer();
    let to = lunatic_cli::Value::I64(observer.process.id().to_bits() as i64);
    let process = world
        .root(&module, Root::new("main").params([to]))
        .expect("a process");
    for _ in 0..3 {
        assert_eq!(
            inspect(&process).waiting_in,
            Some("lunatic::message::send_receive_skip_search")
        );
    }
    send(&process, 7, b"");
    assert_eq!(world.report(), 0);
}

#[test]
fn a_runtime_lists_its_environments_and_their_processes() {
    let world = World::new();
    let module = world.load(r#"(func (export "main") (call $sleep))"#);
    let process = world.spawn(&module, "main");
    let other = world.runtime.new_environment(7);
    let root = Root::new("main").environment(other.clone());
    let elsewhere = world.root(&module, root).expect("a process");

    let environments = world.runtime.environments();
    let ids: Vec<_> = environments
        .iter()
        .map(|environment| environment.id())
        .collect();
    assert_eq!(ids, [world.runtime.environment().id(), 7]);
    let listed = |number: usize| {
        let processes = environments[number].processes();
        processes
            .iter()
            .map(|process| process.info().id)
            .collect::<Vec<_>>()
    };
    assert!(listed(0).contains(&process.id()));
    assert_eq!(listed(1), [elsewhere.id()]);

    wait("the end", other.shut_down());
    drop((elsewhere, environments, other));
    // The task of the last process goes a moment after its end was told.
    lunatic_testkit::wait("the environment to go", async {
        while world.runtime.environments().len() > 1 {
            async_io::Timer::after(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_process_can_name_itself_for_people() {
    let world = World::new();
    let module = world.load(
        r#"(func (export "main") (call $set_label @kitchen) (call $sleep))
        (func (export "too long") (call $set_label (i32.const 0) (i32.const 256)))
        (func (export "not text")
            (i32.store (i32.const 0) (i32.const 0xff))
            (call $set_label (i32.const 0) (i32.const 1)))
        (func (export "outside") (call $set_label (i32.const -1) (i32.const 2)))"#,
    );
    let process = world.spawn(&module, "main");
    assert_eq!(
        inspect(&process).waiting_in,
        Some("lunatic::process::sleep_ms")
    );
    assert_eq!(process.info().label.as_deref(), Some("kitchen"));
    process.kill();
    for (export, cause) in [
        ("too long", "a label of 256 bytes is longer"),
        ("not text", "not UTF-8"),
        ("outside", "outside of the memory"),
    ] {
        let process = world.spawn(&module, export);
        harness::assert_failed(&process, cause);
    }
}
