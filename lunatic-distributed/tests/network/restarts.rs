//! Nodes that are killed, stopped and started again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, or};
use lunatic_distributed::Expelled;
use lunatic_mailbox::{Pid, Wanted};

use crate::host::{Host, Net, Related, Stream, idle, number_of, trapping};
use crate::{LIMIT, until};

#[test]
fn a_killed_node_is_told_once_and_is_back_at_once_at_the_same_address() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let plug = net.wire.plug();
    let mut child = net.start_child("child", plug, &a);
    let mut related = Related::new(&a, child.process.expect(&child.said));
    std::thread::sleep(Duration::from_millis(200));
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    let again = net.start_child("child", plug, &a);
    related.is_told_once();
    until("it is back", || a.node.nodes().len() == 1);
    let mut related = Related::new(&a, again.process.expect(&again.said));
    related.is_told_nothing(Duration::from_millis(500));
    assert_eq!(a.downs(), 1);
    a.stop();
}

#[test]
fn a_node_that_starts_again_at_once_and_asks_nobody_ends_the_connections_of_before() {
    let net = Net::new();
    let plug = net.wire.plug();
    let mut child = net.start_child_at("child", plug, plug.advertise);
    let a = net.start_with_seeds("a", &[plug.advertise]);
    let mut related = Related::new(&a, child.process.expect(&child.said));
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    let begun = Instant::now();
    let again = net.start_child_at("child", plug, plug.advertise);
    related.is_told_once();
    // It is asked each second. Without its answer, four and a half seconds have to pass.
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(4000), "{took:?}");
    until("it is back", || a.node.nodes().len() == 1);
    assert_eq!(a.node.nodes()[0].id.number(), again.process.unwrap().node());
    a.stop();
}

#[test]
fn a_name_is_taken_while_its_node_lives_and_moves_when_that_is_killed() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let mut child = net.start_child("child", net.wire.plug(), &a);
    child.process.expect(&child.said);
    let other = net.start_child("child", net.wire.plug(), &a);
    let taken = "a node of the same name lives already";
    assert!(other.said.contains(taken), "{}", other.said);
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    // Elsewhere, at once: the one of before does not answer any more.
    let elsewhere = net.start_child("child", net.wire.plug(), &a);
    elsewhere.process.expect(&elsewhere.said);
    until("it is there", || a.node.nodes().len() == 1);
    a.stop();
}

#[test]
fn of_two_nodes_of_one_name_that_did_not_know_of_each_other_the_later_start_ends() {
    let net = Net::new();
    // Each of the two has another node that knows it alone.
    let [a, c, b] = net.hosts(["a", "c", "b"]);
    for other in [&a, &c] {
        net.wire.cut_both(other.plug, b.plug, true);
    }
    until("the other half is alone", || {
        b.node.nodes().is_empty() && a.node.nodes().len() == 1
    });
    let plug = net.wire.plug();
    for other in [&a, &c] {
        net.wire.cut_both(other.plug, plug, true);
    }
    let later = net.start_at("c", plug, &[&b]);
    until("it is let in", || b.is_connected(&later));
    for other in [&a, &c] {
        net.wire.cut_both(other.plug, b.plug, false);
        net.wire.cut_both(other.plug, later.plug, false);
    }
    let expelled = |host: &Host, limit| {
        block_on(or(async { Some(host.node.expelled().await) }, async {
            async_io::Timer::after(limit).await;
            None
        }))
    };
    assert_eq!(expelled(&later, LIMIT), Some(Expelled::NameTaken));
    later.stop();
    until("all are connected", || {
        a.is_connected(&b) && a.is_connected(&c) && b.is_connected(&c)
    });
    assert_eq!(expelled(&c, Duration::ZERO), None);
    [a, b, c].iter().for_each(Host::stop);
}

#[test]
fn a_node_that_was_stopped_for_20_seconds_comes_back_with_its_processes() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let child = net.start_child("child", net.wire.plug(), &a);
    let process = child.process.expect(&child.said);
    let mut related = Related::new(&a, process);
    std::thread::sleep(Duration::from_millis(200));
    child.signal("STOP");
    related.is_told_once();
    std::thread::sleep(Duration::from_secs(20));
    child.signal("CONT");
    until("it is back", || a.node.nodes().len() == 1);
    // The same process: it is the same start of the node.
    let mut related = Related::new(&a, process);
    related.is_told_nothing(Duration::from_secs(1));
    a.stop();
}

#[test]
fn five_nodes_are_started_again_one_by_one_under_load() {
    let net = Net::new();
    let hosts: [Host; 5] = net.hosts(["a", "b", "c", "d", "e"]);
    let mut hosts: Vec<Host> = hosts.into();
    for host in &hosts {
        let process = idle(host);
        host.join("all", process);
        let name = host.node.info().name.to_string();
        block_on(host.node.register_global(&name, process)).unwrap();
    }
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    // A receiver on each node, that looks at the order of each stream.
    let receiver = |host: &Host| {
        let (wrong, received) = (wrong.clone(), received.clone());
        let receiver = host
            .environment
            .spawn(trapping(), move |mut own| async move {
                let mut last = std::collections::HashMap::new();
                loop {
                    let message = own.mailbox.receive(Wanted::Any).await;
                    let (from, number) = number_of(&message);
                    let before = last.insert(from, number).unwrap_or(0);
                    // What was sent over a session that has ended is missing.
                    if number <= before {
                        wrong.lock().unwrap().push((from, before, number));
                    }
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        receiver.unwrap().id()
    };
    let load = |host: &Host, to: Vec<Pid>| {
        let mut streams: Vec<Stream> = to.into_iter().map(|to| Stream::new(host, to)).collect();
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                streams.iter_mut().for_each(|stream| stream.send(50));
                std::thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let receivers: Vec<Pid> = hosts.iter().map(receiver).collect();
    let mut threads: Vec<_> = hosts
        .iter()
        .map(|host| load(host, receivers.clone()))
        .collect();
    for index in 0..hosts.len() {
        let (name, plug) = (hosts[index].node.info().name.to_string(), hosts[index].plug);
        hosts[index].stop();
        let seeds: Vec<&Host> = hosts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, host)| host)
            .collect();
        let again = net.start_at(&name, plug, &seeds);
        let process = idle(&again);
        again.join("all", process);
        until("it is back", || again.node.nodes().len() == 4);
        block_on(again.node.register_global(&name, process)).unwrap();
        let to = hosts
            .iter()
            .map(|host| receiver(if host.plug == plug { &again } else { host }));
        threads.push(load(&again, to.collect()));
        hosts[index] = again;
    }
    until("all are equal", || {
        let names = ["a", "b", "c", "d", "e"];
        hosts.iter().all(|host| {
            host.node.nodes().len() == 4
                && host.groups().len() == 5
                && host.groups() == hosts[0].groups()
                && names
                    .iter()
                    .all(|name| host.node.find_global(name).is_some())
        })
    });
    is_over.store(true, Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(*wrong.lock().unwrap(), []);
    assert!(received.load(Ordering::Relaxed) > 1000);
    hosts.iter().for_each(Host::stop);
}
