//! Guests on several nodes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod cluster;

use std::future;

use cluster::{Cluster, until, within};
use futures_lite::future::block_on;
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, Others, Reloading, RemoteRights, ReplaceLimits, Root, Runtime};
use lunatic_distributed::guest::{MAX_CONFIG_BYTES, NodeRequest, NodeResponse, SpawnRequest};
use lunatic_distributed::{MAX_MESSAGE_BYTES, RequestError};
use lunatic_mailbox::{DataMessage, Wanted};
use lunatic_process::{Context, ExitReason, SpawnOptions};
use lunatic_reload::Outcome;

/// Starts `child` on the other node, with its own id, and waits for the message that it sends
/// back; then calls $after.
fn guest(after: &str) -> Vec<u8> {
    guest_of(2, after)
}

/// The same for a cluster of so many nodes.
fn guest_of(nodes: u32, after: &str) -> Vec<u8> {
    format!(
        r#"(module
        (import "lunatic::distributed" "get_nodes"
            (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
        (import "lunatic::distributed" "node_id" (func $node_id (result i64)))
        (import "lunatic::distributed" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::distributed" "send" (func $send_to (param i64 i64) (result i32)))
        (import "lunatic::distributed" "send_receive_skip_search"
            (func $ask (param i64 i64 i64 i64) (result i32)))
        (import "lunatic::distributed" "exec_lookup_nodes"
            (func $look_up (param i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::distributed" "copy_lookup_nodes_results"
            (func $found (param i64 i32 i32 i32) (result i32)))
        (import "lunatic::process" "process_id" (func $process_id (result i64)))
        (import "lunatic::process" "link" (func $link (param i64 i64)))
        (import "lunatic::process" "kill" (func $kill (param i64)))
        (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
        (import "lunatic::message" "send" (func $send (param i64) (result i32)))
        (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "child")
        (func (export "child") (param $parent i64)
            (call $create_data (i64.const 5) (i64.const 0))
            (drop (call $send (local.get $parent)))
            ;; It lives until it is told to end.
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))
        (func $check (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
        (func (export "main") (local $child i64)
            (call $check (i32.eq (call $get_nodes (i32.const 64) (i32.const 8))
                (i32.const {nodes})))
            (call $check (i64.eq (i64.load (i32.const 64)) (call $node_id)))
            ;; One argument: an i64.
            (i32.store8 (i32.const 128) (i32.const 0x7e))
            (i64.store (i32.const 129) (call $process_id))
            (i64.store (i32.const 137) (i64.const 0))
            (call $check (i32.eqz (call $spawn
                (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
                (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 17) (i32.const 256))))
            (local.set $child (i64.load (i32.const 256)))
            (call $check (i32.eqz
                (call $receive (i32.const 0) (i32.const 0) (i64.const 30000))))
            {after}))"#
    )
    .into_bytes()
}

/// A guest with so many bytes of data that starts a process of its module on the other node
/// and expects this result.
fn spawns_with_data(length: usize, expected: u32) -> Vec<u8> {
    let data = "x".repeat(length);
    format!(
        r#"(module
        (import "lunatic::distributed" "get_nodes"
            (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
        (import "lunatic::distributed" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "child")
        (data (i32.const 1024) "{data}")
        (func (export "child"))
        (func (export "main")
            (drop (call $get_nodes (i32.const 64) (i32.const 8)))
            (if (i32.ne (i32.const {expected}) (call $spawn
                (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
                (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 0) (i32.const 256)))
                (then unreachable))))"#
    )
    .into_bytes()
}

/// Runs a guest of [`guest`] on the second node and returns how it ended.
fn run(cluster: &Cluster, after: &str) -> ExitReason {
    cluster.run_guest(guest(after), Config::trusted())
}

#[test]
fn a_guest_starts_a_process_on_another_node_and_hears_from_it() {
    let cluster = Cluster::of_two();
    let ended = run(
        &cluster,
        "(call $create_data (i64.const 1) (i64.const 0))
         (call $check (i32.eqz (call $send_to (i64.load (i32.const 72)) (local.get $child))))",
    );
    assert!(ended.is_normal(), "{ended}");
    let (other, _) = &cluster.runtimes[0];
    until(|| other.environment().process_count() == 0);
    cluster.stop();
}

#[test]
fn the_death_of_a_linked_process_of_another_node_ends_a_guest() {
    let cluster = Cluster::of_two();
    let ended = run(
        &cluster,
        "(call $link (i64.const 0) (local.get $child))
         (call $kill (local.get $child))
         (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 30000)))",
    );
    assert!(ended.to_string().contains("died"), "{ended}");
    cluster.stop();
}

#[test]
fn a_message_to_an_unknown_node_is_refused_and_stays() {
    let cluster = Cluster::of_two();
    let ended = run(
        &cluster,
        "(call $create_data (i64.const 1) (i64.const 0))
         (call $check (i32.eq (call $send_to (i64.const 77) (i64.const 1)) (i32.const 1)))
         (call $check (i32.eqz (call $send_to (i64.load (i32.const 72)) (local.get $child))))",
    );
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}

#[test]
fn who_waits_for_a_reply_traps_when_the_session_is_lost() {
    let cluster = Cluster::of_two();
    // The child takes the message, and ends without a reply.
    let after = "(call $create_data (i64.const 1) (i64.const 0))
         (drop (call $ask (i64.load (i32.const 72)) (local.get $child)
            (i64.const 9) (i64.const -1)))";
    let main = cluster.begin(1, guest(after), Config::trusted());
    let one = cluster.runtimes[0].0.environment();
    until(|| one.spawned_count() == 1 && one.process_count() == 0);
    assert!(main.is_alive());
    block_on(cluster.runtimes[0].1.stop());
    let ended = within(main.wait());
    assert!(
        ended.to_string().contains("was lost before the reply"),
        "{ended}"
    );
    cluster.stop();
}

#[test]
fn a_message_to_a_node_that_lives_and_is_cut_off_is_not_sent_within_its_time() {
    let cluster = Cluster::on_a_wire(&["one", "two", "three"]);
    // It waits until the nodes are cut off from each other.
    let after = "(call $kill (local.get $child))
         (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
         (call $create_data (i64.const 1) (i64.const 0))
         (call $check (i32.eq (i32.const 9027)
            (call $send_to (i64.load (i32.const 72)) (local.get $child))))";
    // Of the two others, it is the one from which it will be cut off.
    let id = cluster.runtimes[0].1.info().id.to_bits() as i64;
    let guest = String::from_utf8(guest_of(3, after)).unwrap();
    let guest = guest.replace("(i64.load (i32.const 72))", &format!("(i64.const {id})"));
    let main = cluster.begin(1, guest.into_bytes(), Config::trusted());
    let one = cluster.runtimes[0].0.environment();
    until(|| one.spawned_count() == 1 && one.process_count() == 0);
    let (runtime, node) = &cluster.runtimes[1];
    cluster.cut(true);
    until(|| node.nodes().len() == 1);
    let message = DataMessage::new(None, Vec::new());
    let environment = runtime.environment();
    environment.send(None, main.id(), message.into()).unwrap();
    let ended = within(main.wait());
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}

#[test]
fn nodes_are_found_by_their_tags() {
    let cluster = Cluster::of_two();
    let tags = [("zone", "north"), ("disk", "ssd")];
    let three = cluster.join_with_tags("three", &tags);
    let node = &cluster.runtimes[1].1;
    until(|| node.nodes().len() == 2);
    // At 600 the query, at 700 the lookup, at 712 how many, at 720 which.
    let of = |query: &str, count: usize| {
        let bytes = query.bytes().enumerate().map(|(at, byte)| {
            let at = 600 + at;
            format!("(i32.store8 (i32.const {at}) (i32.const {byte}))")
        });
        let write: String = bytes.collect();
        let length = query.len();
        format!(
            "{write}
             (call $check (i32.eqz (call $look_up (i32.const 600) (i32.const {length})
                (i32.const 700) (i32.const 712) (i32.const 704))))
             (call $check (i32.eq (i32.load (i32.const 712)) (i32.const {count})))
             (i64.store (i32.const 720) (i64.const 0))
             (call $check (i32.eq (call $found (i64.load (i32.const 700)) (i32.const 720)
                (i32.const 3) (i32.const 704)) (i32.const {count})))"
        )
    };
    let is_three = format!(
        "(call $check (i64.eq (i64.load (i32.const 720)) (i64.const {})))",
        three.1.info().id.to_bits() as i64
    );
    let after = [
        of("zone=north", 1),
        is_three.clone(),
        of("disk=ssd&zone=north", 1),
        is_three,
        of("zone=south", 0),
        of("", 3),
        // What is no query is told with an error.
        "(call $check (i32.eq (i32.const 1) (call $look_up (i32.const 600) (i32.const 2)
            (i32.const 700) (i32.const 712) (i32.const 704))))
         (call $kill (local.get $child))"
            .to_owned(),
    ];
    let guest = guest_of(3, &after.join("\n"));
    let ended = cluster.run_guest(guest, Config::trusted());
    assert!(ended.is_normal(), "{ended}");
    block_on(three.1.stop());
    block_on(three.0.shut_down());
    cluster.stop();
}

#[test]
fn a_module_that_does_not_compile_on_the_other_node_or_is_too_long_is_refused() {
    let cluster = Cluster::of_two();
    let one = cluster.runtimes[0].1.info().id;
    let (runtime, two) = &cluster.runtimes[1];
    let asks = runtime
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    let asks = asks.unwrap();
    let send = |bytes: &[u8]| {
        let request = NodeRequest::Module { bytes }.to_bytes();
        let answer = within(two.request(one, asks.id(), None, &request));
        answer.map(|answer| postcard::from_bytes::<NodeResponse>(&answer).unwrap())
    };
    for garbage in [&b"no module"[..], b"\0asm\x01\0\0\0\x7f\x01"] {
        let Ok(NodeResponse::Refused(reason)) = send(garbage) else {
            panic!("it is no module");
        };
        assert!(reason.starts_with("the module: "), "{reason}");
    }
    let length = MAX_MESSAGE_BYTES + 1;
    assert!(matches!(
        send(&vec![0; length]),
        Err(RequestError::TooLong { .. })
    ));
    // The session goes on.
    let empty = b"\0asm\x01\0\0\0";
    assert!(matches!(send(empty), Ok(NodeResponse::HasModule)));
    asks.kill();
    cluster.stop();
}

/// Asks the first node for something in the name of a process of the second.
fn ask(cluster: &Cluster, request: &NodeRequest<'_>) -> NodeResponse {
    let one = cluster.runtimes[0].1.info().id;
    let (runtime, two) = &cluster.runtimes[1];
    let asks = runtime
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    let asks = asks.unwrap();
    let answer = within(two.request(one, asks.id(), None, &request.to_bytes()));
    asks.kill();
    postcard::from_bytes(&answer.unwrap()).unwrap()
}

/// A request to start a process of a module that no node has.
fn spawn_request(config: &[u8]) -> NodeRequest<'_> {
    NodeRequest::Spawn(SpawnRequest {
        module: [7; 32],
        export: "child",
        params: &[],
        config,
        inherits: true,
        link: None,
    })
}

#[test]
fn a_config_that_is_too_long_or_no_config_is_refused_before_the_module_is_asked_for() {
    let cluster = Cluster::of_two();
    let ask = |config: &[u8]| ask(&cluster, &spawn_request(config));
    let refused = |reason: &str| NodeResponse::Refused(reason.into());
    let long = vec![0; MAX_CONFIG_BYTES + 1];
    assert_eq!(ask(&long), refused("the config is too long"));
    assert_eq!(ask(b"no config"), refused("the config cannot be read"));
    let config = postcard::to_allocvec(&Config::default().to_wire()).unwrap();
    assert_eq!(ask(&config), NodeResponse::NeedsModule);
    cluster.stop();
}

#[test]
fn a_node_that_may_start_nothing_is_asked_for_no_module_and_none_of_it_is_compiled() {
    let rights = RemoteRights { rules: Vec::new() };
    let cluster = Cluster::of(&["one", "two"], &rights);
    let refused = NodeResponse::Refused("nothing is allowed to the node two".into());
    let config = postcard::to_allocvec(&Config::default().to_wire()).unwrap();
    assert_eq!(ask(&cluster, &spawn_request(&config)), refused);
    let bytes = b"\0asm\x01\0\0\0";
    assert_eq!(ask(&cluster, &NodeRequest::Module { bytes }), refused);
    cluster.stop();
}

#[test]
fn modules_of_other_nodes_have_the_limits_of_those_that_guests_compile() {
    let cluster = Cluster::of_two();
    // 1000 functions with 19 000 locals: less than functions may have, and more than the modules of
    // guests have all together.
    let functions = 1000_u16;
    let count = [functions as u8 | 0x80, (functions >> 7) as u8];
    let body = [6, 1, 0xb8, 0x94, 0x01, 0x7e, 0x0b];
    let section = |id: u8, items: Vec<u8>| {
        let length = items.len() + 2;
        let length = [length as u8 | 0x80, (length >> 7) as u8];
        [&[id][..], &length, &count, &items].concat()
    };
    let bytes = [
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0",
        &section(3, vec![0; functions.into()])[..],
        &section(10, body.repeat(functions.into())),
    ]
    .concat();
    let module = NodeRequest::Module { bytes: &bytes };
    let NodeResponse::Refused(reason) = ask(&cluster, &module) else {
        panic!("it is compiled");
    };
    assert!(reason.contains("locals"), "{reason}");
    cluster.stop();
}

#[test]
fn a_module_is_sent_once_to_a_node_however_many_processes_need_it_there() {
    const CALLERS: usize = 30;
    const BYTES: usize = 60 << 10;
    let cluster = Cluster::of_two();
    let (runtime, _) = &cluster.runtimes[1];
    let guest = spawns_with_data(BYTES, 0);
    let module = within(runtime.load(guest)).unwrap();
    let callers = (0..CALLERS).map(|_| {
        let root = Root::new("main").config(Config::trusted());
        within(runtime.spawn(&module, root)).unwrap()
    });
    for caller in callers.collect::<Vec<_>>() {
        let ended = within(caller.wait());
        assert!(ended.is_normal(), "{ended}");
    }
    let peers = within(cluster.runtimes[0].1.peers());
    let received = peers[0].received_bytes as usize;
    assert!(received > BYTES, "{received}");
    // Who has asked before it was there, and is answered after that, may send it again.
    assert!(received < 10 * BYTES, "{received}");
    cluster.stop();
}

#[test]
fn a_module_that_a_guest_has_compiled_is_started_on_another_node() {
    let cluster = Cluster::of_two();
    let text = r#"(module (func (export \"child\")))"#;
    let length = text.replace('\\', "").len();
    let guest = format!(
        r#"(module
        (import "lunatic::distributed" "get_nodes"
            (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "compile_module"
            (func $compile (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "child")
        (data (i32.const 1024) "{text}")
        (func $spawns (param $module i64) (result i32)
            (call $spawn (i64.load (i32.const 72)) (i64.const -1) (local.get $module)
                (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 0) (i32.const 256)))
        (func (export "main")
            (drop (call $get_nodes (i32.const 64) (i32.const 8)))
            (if (call $compile (i32.const 1024) (i32.const {length}) (i32.const 512))
                (then unreachable))
            (if (call $spawns (i64.load (i32.const 512))) (then unreachable))
            ;; There is no other.
            (if (i32.ne (i32.const 2) (call $spawns (i64.const 7777))) (then unreachable))))"#
    );
    let ended = cluster.run_guest(guest.into_bytes(), Config::trusted());
    assert!(ended.is_normal(), "{ended}");
    until(|| cluster.runtimes[0].0.environment().spawned_count() == 1);
    cluster.stop();
}

#[test]
fn a_guest_with_an_account_of_its_own_starts_none_on_other_nodes_without_the_right() {
    let cluster = Cluster::of_two();
    let mut config = Config::trusted();
    config.process.account = Some(AccountLimits::default());
    config.process.can_signal_outside = false;
    let ended = cluster.run_guest(guest(""), config.clone());
    assert!(
        ended.to_string().contains("spawn processes on other nodes"),
        "{ended}"
    );
    assert_eq!(cluster.runtimes[0].0.environment().process_count(), 0);
    config.process.can_signal_outside = true;
    let ended = cluster.run_guest(guest("(call $kill (local.get $child))"), config);
    assert!(ended.is_normal(), "{ended}");
    cluster.stop();
}

#[test]
fn members_of_a_group_are_known_on_all_nodes_while_they_live() {
    let cluster = Cluster::of_two();
    let [one, two] = [&cluster.runtimes[0].0, &cluster.runtimes[1].0];
    let process = one
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    let process = process.unwrap();
    let scope = |runtime: &Runtime| runtime.new_names().groups.scope("shop").unwrap();
    scope(one).join("workers", &process).unwrap();
    until(|| scope(two).members("workers") == [process.id()]);
    assert!(scope(two).local_members("workers").is_empty());
    process.kill();
    until(|| scope(two).members("workers").is_empty());
    let again = two
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    scope(two).join("workers", &again.unwrap()).unwrap();
    until(|| scope(one).members("workers").len() == 1);
    // A node that joins later knows them from the start.
    let late = cluster.join("three");
    until(|| scope(&late.0).members("workers").len() == 1);
    block_on(late.1.stop());
    block_on(late.0.shut_down());
    // The members of a node that has left are gone.
    block_on(cluster.runtimes[1].1.stop());
    until(|| scope(one).members("workers").is_empty());
    cluster.stop();
}

#[test]
fn memberships_for_which_there_was_no_room_are_taken_in_when_there_is() {
    let cluster = Cluster::of_two_with_limits(AccountLimits {
        memory: 4 << 10,
        ..AccountLimits::UNLIMITED
    });
    let [one, two] = [&cluster.runtimes[0].0, &cluster.runtimes[1].0];
    let zoo = |runtime: &Runtime| runtime.new_names().groups.scope("zoo").unwrap();
    zoo(one);
    let (read, reads) = async_channel::bounded::<()>(1);
    let receiver = one.environment().spawn(
        SpawnOptions::default(),
        move |mut own: Context| async move {
            reads.recv().await.ok();
            own.mailbox.receive(Wanted::Any).await;
            std::future::pending().await
        },
    );
    let receiver = receiver.unwrap();
    let to = receiver.id();
    let member = two
        .environment()
        .spawn(SpawnOptions::default(), move |own: Context| async move {
            let message = DataMessage::new(None, vec![7; 3 << 10]);
            let environment = own.process.environment();
            environment
                .send(Some(&own.process), to, message.into())
                .unwrap();
            std::future::pending().await
        });
    let member = member.unwrap();
    until(|| receiver.queued_messages() == 1);
    // A scope takes more than the message has left.
    let shop = "shop".repeat(60);
    let scope = |runtime: &Runtime| runtime.new_names().groups.scope(&shop).unwrap();
    let known = || {
        let groups = one.new_names().groups;
        groups
            .existing_scope(&shop)
            .map(|scope| scope.members("workers"))
    };
    for _ in 0..3 {
        scope(two).join("workers", &member).unwrap();
    }
    scope(two).leave("workers", &member).unwrap();
    // What is told later is known later, and this scope has been there before.
    let last = two
        .environment()
        .spawn(SpawnOptions::default(), |_| future::pending());
    let last = last.unwrap();
    zoo(two).join("seen", &last).unwrap();
    until(|| zoo(one).members("seen") == [last.id()]);
    assert_eq!(known(), None);
    block_on(read.send(())).unwrap();
    until(|| known() == Some(vec![member.id(); 2]));
    scope(two).leave("workers", &member).unwrap();
    until(|| known() == Some(vec![member.id()]));
    member.kill();
    until(|| known() == Some(Vec::new()));
    cluster.stop();
}

#[test]
fn messages_of_another_node_are_charged_to_it_until_they_are_received() {
    let cluster = Cluster::of_two_with_limits(AccountLimits {
        memory: 1 << 20,
        ..AccountLimits::UNLIMITED
    });
    let [one, two] = [&cluster.runtimes[0].0, &cluster.runtimes[1].0];
    let (read, reads) = async_channel::bounded::<()>(1);
    let receiver = one.environment().spawn(
        SpawnOptions::default(),
        move |mut own: Context| async move {
            while reads.recv().await.is_ok() {
                for _ in 0..4 {
                    own.mailbox.receive(Wanted::Any).await;
                }
            }
            Ok(())
        },
    );
    let receiver = receiver.unwrap();
    let to = receiver.id();
    let send = move |own: &Context| {
        let message = DataMessage::new(None, vec![7; 200 << 10]);
        own.process
            .environment()
            .send(Some(&own.process), to, message.into())
            .unwrap();
    };
    let (go_on, goes_on) = async_channel::bounded::<()>(1);
    let sender = two
        .environment()
        .spawn(SpawnOptions::default(), move |own: Context| async move {
            (0..4).for_each(|_| send(&own));
            goes_on.recv().await.ok();
            (0..4).for_each(|_| send(&own));
            goes_on.recv().await.ok();
            (0..2).for_each(|_| send(&own));
            std::future::pending::<()>().await;
            Ok(())
        });
    let sender = sender.unwrap();
    until(|| receiver.queued_messages() == 4);
    assert!(cluster.used(Kind::Memory) > 800 << 10);
    block_on(read.send(())).unwrap();
    until(|| cluster.used(Kind::Memory) < 10 << 10);
    // There is room again.
    block_on(go_on.send(())).unwrap();
    until(|| receiver.queued_messages() == 4);
    assert!(sender.is_alive());
    // The sender of what is too much is told so, as if it had no memory left itself.
    block_on(go_on.send(())).unwrap();
    let ended = within(sender.wait());
    assert!(
        ended
            .to_string()
            .contains("its node keeps no more for this one"),
        "{ended}"
    );
    // A process of the node itself is not concerned.
    let message = DataMessage::new(None, vec![7; 1 << 20]);
    one.environment().send(None, to, message.into()).unwrap();
    receiver.kill();
    until(|| cluster.used(Kind::Memory) < 10 << 10);
    cluster.stop();
}

#[test]
fn modules_of_another_node_are_charged_to_it() {
    let cluster = Cluster::of_two_with_limits(AccountLimits {
        memory: 6 << 10,
        ..AccountLimits::UNLIMITED
    });
    // The first request is small, the module is not.
    let ended = cluster.run_guest(spawns_with_data(8 << 10, 1), Config::trusted());
    assert!(ended.is_normal(), "{ended}");
    assert_eq!(cluster.runtimes[0].0.environment().spawned_count(), 0);
    until(|| cluster.used(Kind::Memory) < 2 << 10);
    cluster.stop();
}

#[test]
fn processes_that_another_node_starts_are_charged_to_it() {
    let cluster = Cluster::of_two_with_limits(AccountLimits {
        processes: 1,
        ..AccountLimits::UNLIMITED
    });
    // While the first child lives, there is no second one.
    let ended = run(
        &cluster,
        "(call $check (i32.eq (i32.const 1) (call $spawn
            (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
            (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 17) (i32.const 256))))
         (call $kill (local.get $child))",
    );
    assert!(ended.is_normal(), "{ended}");
    let one = cluster.runtimes[0].0.environment();
    until(|| one.process_count() == 0);
    assert_eq!(one.spawned_count(), 1);
    let ended = run(&cluster, "(call $kill (local.get $child))");
    assert!(ended.is_normal(), "{ended}");
    until(|| one.process_count() == 0);
    assert_eq!(cluster.used(Kind::Processes), 0);
    cluster.stop();
}

#[test]
fn a_process_that_another_node_starts_of_a_module_with_a_name_is_one_of_its_versions() {
    let cluster = Cluster::of_two();
    let waits = "(drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))";
    let (runtime, _) = &cluster.runtimes[0];
    within(runtime.load_version("app", guest(waits))).unwrap();
    let main = cluster.begin(1, guest(waits), Config::trusted());
    until(|| runtime.environment().process_count() == 1);
    let how = Reloading {
        others: Others::Kill,
        ..Reloading::default()
    };
    let report = within(runtime.reload("app", guest(""), how)).unwrap();
    assert_eq!(report.processes.len(), 1);
    assert_eq!(report.processes[0].outcome, Outcome::Killed);
    until(|| runtime.environment().process_count() == 0);
    main.kill();
    cluster.stop();
}

#[test]
fn a_program_on_a_node_is_not_replaced_as_others_live_beside_it() {
    let cluster = Cluster::of_two();
    let (runtime, _) = &cluster.runtimes[0];
    let idle = |version: u32| {
        format!(
            r#"(module
            (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
            (func (export "main") (call $sleep_ms (i64.const -1)))
            (func (export "version") (result i32) (i32.const {version})))"#
        )
    };
    let module = within(runtime.load_version("app", idle(1))).unwrap();
    let program = within(runtime.start_program(&module, Root::new("main"))).unwrap();
    let how = Reloading {
        others: Others::Replace(ReplaceLimits::default()),
        ..Reloading::default()
    };
    let refused = within(runtime.reload("app", idle(2).into(), how)).unwrap_err();
    let refused = lunatic_error::with_causes(&refused).to_string();
    assert!(refused.contains("on a node of a cluster"), "{refused}");
    assert!(program.process().is_alive());
    // The version is the current one still.
    assert_eq!(
        runtime.versions()[0].current.hash,
        *module.hash().as_bytes()
    );
    cluster.stop();
}
