//! Groups of native processes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::{block_on, poll_once};
use lunatic_account::{AccountLimits, Charge, Kind};
use lunatic_groups::{Change, GroupError, GroupEvent, Groups, MAX_SCOPES, NotDispatched, Scope};
use lunatic_mailbox::{DataMessage, Mailbox, Message, NodeNumber, Pid, Tag, Wanted};
use lunatic_process::{Environment, Process, SpawnOptions};
use lunatic_testkit::{environment, idle, open, wait_until};

fn scope(environment: &Environment) -> Scope {
    Groups::new(environment).scope("").unwrap()
}

fn next_event(mailbox: &mut Mailbox) -> (Option<Tag>, GroupEvent) {
    match block_on(mailbox.receive(Wanted::Any)) {
        Message::Data(data) => (data.tag(), GroupEvent::from_bytes(data.bytes()).unwrap()),
        other => panic!("expected an event, got {other:?}"),
    }
}

fn member(process: &Process) -> Pid {
    process.id()
}

#[test]
fn a_process_has_left_all_groups_when_who_waits_for_it_is_told() {
    let environment = environment();
    let scope = scope(&environment);
    for _ in 0..200 {
        let process = idle(&environment);
        scope.join("g", &process).unwrap();
        scope.join("g", &process).unwrap();
        scope.join("h", &process).unwrap();
        assert_eq!(scope.members("g").len(), 2);
        process.kill();
        block_on(process.wait());
        assert_eq!(scope.members("g"), []);
        assert!(scope.groups().is_empty());
    }
}

#[test]
fn the_dead_join_nothing() {
    let environment = environment();
    let scope = scope(&environment);
    let process = idle(&environment);
    process.kill();
    block_on(process.wait());
    assert_eq!(scope.join("g", &process), Err(GroupError::NoProcess));
    // They may be found dead only after the first look.
    block_on(scope.monitor("g", &process, None)).unwrap();
    scope.join("g", &idle(&environment)).unwrap();
    assert_eq!(scope.members("g").len(), 1);
}

#[test]
fn scopes_know_nothing_of_each_other_and_are_limited_in_number() {
    let environment = environment();
    let groups = Groups::new(&environment);
    let process = idle(&environment);
    groups.scope("a").unwrap().join("g", &process).unwrap();
    assert_eq!(groups.scope("a").unwrap().members("g").len(), 1);
    assert_eq!(groups.scope("b").unwrap().members("g").len(), 0);
    assert!(groups.existing_scope("c").is_none());
    // Those that nobody uses make room for others.
    for number in 0..2 * MAX_SCOPES {
        groups.scope(&number.to_string()).unwrap();
    }
    for number in 2..MAX_SCOPES {
        let scope = groups.scope(&number.to_string()).unwrap();
        scope.join("g", &process).unwrap();
    }
    let short_lived = idle(&environment);
    groups.scope("1").unwrap().join("g", &short_lived).unwrap();
    let full = groups.scope("one more").unwrap_err();
    assert_eq!(full, GroupError::TooManyScopes);
    assert_eq!(groups.scope("a").unwrap().members("g").len(), 1);
    short_lived.kill();
    wait_until("a scope is free", || groups.scope("one more").is_ok());
}

#[test]
fn a_monitor_hears_of_joins_leaves_and_deaths_in_order() {
    let environment = environment();
    let scope = scope(&environment);
    let (watcher, mut mailbox) = open(&environment);
    let (one, other) = (idle(&environment), idle(&environment));
    scope.join("g", &one).unwrap();
    let monitor = block_on(scope.monitor("g", &watcher, Tag::new(5))).unwrap();
    scope.join("g", &other).unwrap();
    scope.leave("g", &one).unwrap();
    other.kill();
    let expected = [
        (Change::Present, &one),
        (Change::Joined, &other),
        (Change::Left, &one),
        (Change::Left, &other),
    ];
    for (change, process) in expected {
        let event = GroupEvent {
            monitor,
            change,
            group: "g".into(),
            members: [member(process)].into(),
        };
        assert_eq!(next_event(&mut mailbox), (Tag::new(5), event));
    }
}

/// Each event has to fit to what was there before it: whatever the threads do,
/// the sum of what is told is what is.
#[test]
fn what_a_monitor_is_told_by_many_threads_adds_up() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 500;
    let environment = environment();
    let scope = scope(&environment);
    let (watcher, mut mailbox) = open(&environment);
    block_on(scope.monitor("g", &watcher, None)).unwrap();
    let shared = idle(&environment);
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                for _ in 0..ROUNDS {
                    let process = idle(&environment);
                    scope.join("g", &process).unwrap();
                    scope.join("g", &shared).unwrap();
                    process.kill();
                    scope.leave("g", &shared).unwrap();
                    block_on(process.wait());
                }
            });
        }
    });
    let mut members = Vec::new();
    next_event(&mut mailbox);
    for _ in 0..4 * THREADS * ROUNDS {
        let (_, event) = next_event(&mut mailbox);
        for changed in event.members.iter().copied() {
            match event.change {
                Change::Joined => members.push(changed),
                _ => {
                    let at = members.iter().position(|known| *known == changed);
                    members.swap_remove(at.expect("nobody leaves before joining"));
                }
            }
        }
    }
    assert_eq!(members, scope.members("g"));
    assert_eq!(members, []);
}

#[test]
fn a_broadcast_reaches_each_process_once_however_often_it_joined() {
    let environment = environment();
    let scope = scope(&environment);
    let mut all: Vec<_> = (0..300).map(|_| open(&environment)).collect();
    for (process, _) in &all {
        scope.join("g", process).unwrap();
        scope.join("g", process).unwrap();
    }
    assert_eq!(
        block_on(scope.broadcast(None, "g", Tag::new(3), b"hello")),
        Ok(300)
    );
    assert_eq!(
        block_on(scope.broadcast(None, "nobody", None, b"hello")),
        Ok(0)
    );
    for (process, mailbox) in &mut all {
        match block_on(mailbox.receive(Wanted::Any)) {
            Message::Data(data) => {
                assert_eq!((data.tag(), data.bytes()), (Tag::new(3), &b"hello"[..]))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(process.queued_messages(), 0);
    }
}

#[test]
fn a_message_is_dispatched_to_each_member_in_turn() {
    let environment = environment();
    let scope = scope(&environment);
    let message = || Message::from(DataMessage::new(None, *b"work"));
    assert!(scope.dispatch(None, "g", message()).is_err());
    let workers: Vec<_> = (0..3).map(|_| open(&environment)).collect();
    for (process, _) in &workers {
        scope.join("g", process).unwrap();
    }
    for _ in 0..9 {
        scope.dispatch(None, "g", message()).unwrap();
    }
    for (process, _) in &workers {
        assert_eq!(process.queued_messages(), 3);
    }
}

#[test]
fn a_hundred_thousand_members_join_and_leave() {
    let environment = environment();
    let scope = scope(&environment);
    let processes: Vec<_> = (0..100_000).map(|_| idle(&environment)).collect();
    for process in &processes {
        scope.join("g", process).unwrap();
    }
    assert_eq!(scope.members("g").len(), processes.len());
    for process in processes.iter().step_by(2) {
        scope.leave("g", process).unwrap();
    }
    assert_eq!(scope.local_members("g").len(), processes.len() / 2);
    block_on(environment.shut_down());
    assert_eq!(scope.members("g"), []);
}

/// A process of an account with so many bytes, with its mailbox.
fn of_branch(environment: &Environment, memory: u64) -> (Process, Mailbox) {
    let limits = AccountLimits {
        memory,
        ..AccountLimits::UNLIMITED
    };
    let mut mailbox = None;
    let options = SpawnOptions {
        account: Some(environment.account().branch(limits).unwrap()),
        ..SpawnOptions::default()
    };
    let process = environment
        .spawn(options, |own| {
            mailbox = Some(own.mailbox);
            std::future::pending()
        })
        .unwrap();
    (process, mailbox.unwrap())
}

#[test]
fn what_is_sent_to_groups_is_charged_to_the_sender_until_it_is_received() {
    const BYTES: [u8; 1000] = [1; 1000];
    let environment = environment();
    let scope = scope(&environment);
    let (member, mut mailbox) = open(&environment);
    scope.join("g", &member).unwrap();
    let (sender, _kept) = of_branch(&environment, 100_000);
    let used = || sender.account().used(Kind::Memory);
    let mut sent = 0;
    let refused = loop {
        let message = DataMessage::new(None, BYTES).into();
        match scope.dispatch(Some(&sender), "g", message) {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 1000);
    };
    assert!(matches!(refused, NotDispatched::Exceeded(_)));
    let broadcast = block_on(scope.broadcast(Some(&sender), "g", None, &BYTES));
    assert!(broadcast.is_err());
    assert!(used() > 50_000);
    assert!(member.is_alive() && sender.is_alive());
    for _ in 0..sent {
        assert!(mailbox.try_receive(&Wanted::Any).is_some());
    }
    assert!(mailbox.try_receive(&Wanted::Any).is_none());
    assert_eq!(used(), 0);
}

#[test]
fn notices_to_monitors_are_charged_to_who_joins_until_they_are_received() {
    let environment = environment();
    let scope = scope(&environment);
    let (watcher, mut mailbox) = open(&environment);
    block_on(scope.monitor("g", &watcher, None)).unwrap();
    let (joins, _kept) = of_branch(&environment, 50_000);
    let mut joined = 0;
    let refused = loop {
        match scope.join("g", &joins) {
            Ok(()) => scope.leave("g", &joins).unwrap(),
            Err(refused) => break refused,
        }
        joined += 1;
        assert!(joined < 10_000);
    };
    assert!(matches!(refused, GroupError::Exceeded(_)), "{refused}");
    assert!(watcher.is_alive());
    // It was told all that has happened, and not what was refused.
    assert_eq!(watcher.queued_messages(), 1 + 2 * joined);
    while mailbox.try_receive(&Wanted::Any).is_some() {}
    joins.kill();
    block_on(joins.wait());
    assert_eq!(joins.account().used(Kind::Memory), 0);
}

#[test]
fn who_cannot_pay_for_the_first_notice_monitors_nothing() {
    let environment = environment();
    let scope = scope(&environment);
    let many = idle(&environment);
    for _ in 0..5000 {
        scope.join("g", &many).unwrap();
    }
    let (poor, _kept) = of_branch(&environment, 20_000);
    let refused = block_on(scope.monitor("g", &poor, None)).unwrap_err();
    assert!(matches!(refused, GroupError::Exceeded(_)), "{refused}");
    assert_eq!(poor.queued_messages(), 0);
    assert_eq!(poor.account().used(Kind::Memory), 0);
    assert!(block_on(scope.monitor("other", &poor, None)).is_ok());
}

#[test]
fn a_scope_changes_while_the_first_messages_of_a_monitor_are_made() {
    const GROUPS: usize = 2000;
    let environment = environment();
    let scope = scope(&environment);
    let process = idle(&environment);
    for group in 0..GROUPS {
        scope.join(&format!("{group:04}"), &process).unwrap();
    }
    let (watcher, mut mailbox) = open(&environment);
    let mut beginning = Box::pin(scope.monitor_scope(&watcher, None));
    assert!(block_on(poll_once(&mut beginning)).is_none());
    // It is told of the first ones by now.
    scope.leave("0000", &process).unwrap();
    scope.leave("1999", &process).unwrap();
    scope.join("1998", &process).unwrap();
    let monitor = block_on(beginning).unwrap();
    scope.leave("1997", &process).unwrap();
    let mut told = Vec::new();
    while told.len() < GROUPS + 1 {
        let (_, event) = next_event(&mut mailbox);
        assert_eq!(event.monitor, monitor);
        told.push((event.group, event.change, event.members.len()));
    }
    let of = |group: &str| {
        let of_group = told.iter().filter(|(name, ..)| **name == *group);
        of_group
            .map(|(_, change, count)| (*change, *count))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("0000"), [(Change::Present, 1), (Change::Left, 1)]);
    assert_eq!(of("0001"), [(Change::Present, 1)]);
    assert_eq!(of("1999"), []);
    assert_eq!(of("1998"), [(Change::Present, 2)]);
    assert_eq!(of("1997"), [(Change::Present, 1), (Change::Left, 1)]);
    assert!(mailbox.try_receive(&Wanted::Any).is_none());
}

/// Many processes in a group, in the order in which they have joined.
fn many_members(environment: &Environment, scope: &Scope, group: &str) -> Vec<Process> {
    const MANY: usize = 10_000;
    let members: Vec<_> = (0..MANY).map(|_| idle(environment)).collect();
    for member in &members {
        scope.join(group, member).unwrap();
    }
    members
}

/// Changes a group of which the first members were collected for a monitor, and all were not;
/// returns the changes of the former, which the monitor has to be told of.
fn change_meanwhile(
    environment: &Environment,
    scope: &Scope,
    group: &str,
    members: &[Process],
) -> Vec<(Change, Pid)> {
    let (first, last) = (&members[0], &members[members.len() - 1]);
    let newcomer = idle(environment);
    scope.leave(group, first).unwrap();
    scope.leave(group, last).unwrap();
    scope.join(group, &members[1]).unwrap();
    scope.join(group, &newcomer).unwrap();
    scope.join(group, first).unwrap();
    vec![
        (Change::Left, first.id()),
        (Change::Joined, members[1].id()),
        (Change::Joined, newcomer.id()),
        (Change::Joined, first.id()),
    ]
}

/// The members that a first message has to tell of, after [`change_meanwhile`].
fn present_then(members: &[Process]) -> Vec<Pid> {
    let mut present: Vec<_> = members.iter().map(Process::id).collect();
    present.pop();
    present.sort();
    present
}

/// The next events of a mailbox, and that there are no others.
fn next_changes(mailbox: &mut Mailbox, count: usize) -> Vec<(Change, Pid)> {
    let next = |_| {
        let (_, event) = next_event(mailbox);
        assert_eq!(event.members.len(), 1);
        (event.change, event.members[0])
    };
    let changes = (0..count).map(next).collect();
    assert!(mailbox.try_receive(&Wanted::Any).is_none());
    changes
}

#[test]
fn a_large_group_changes_while_the_first_message_of_a_monitor_is_made() {
    let environment = environment();
    let scope = scope(&environment);
    let members = many_members(&environment, &scope, "g");
    let (watcher, mut mailbox) = open(&environment);
    let mut beginning = Box::pin(scope.monitor("g", &watcher, Tag::new(5)));
    assert!(block_on(poll_once(&mut beginning)).is_none());
    let changes = change_meanwhile(&environment, &scope, "g", &members);
    // They are told after it.
    assert_eq!(watcher.queued_messages(), 0);
    let monitor = block_on(beginning).unwrap();
    let (tag, event) = next_event(&mut mailbox);
    assert_eq!((tag, event.monitor), (Tag::new(5), monitor));
    assert_eq!(event.change, Change::Present);
    let mut present = event.members.to_vec();
    present.sort();
    assert!(present == present_then(&members));
    assert_eq!(next_changes(&mut mailbox, changes.len()), changes);
    scope.leave("g", &members[2]).unwrap();
    let left = vec![(Change::Left, members[2].id())];
    assert_eq!(next_changes(&mut mailbox, 1), left);
}

#[test]
fn a_large_group_of_a_scope_changes_while_the_first_message_about_it_is_made() {
    let environment = environment();
    let scope = scope(&environment);
    let other = idle(&environment);
    scope.join("a", &other).unwrap();
    let members = many_members(&environment, &scope, "b");
    scope.join("c", &other).unwrap();
    let (watcher, mut mailbox) = open(&environment);
    let mut beginning = Box::pin(scope.monitor_scope(&watcher, None));
    // "a", and then some of the members of "b".
    while watcher.queued_messages() == 0 {
        assert!(block_on(poll_once(&mut beginning)).is_none());
    }
    for _ in 0..2 {
        assert!(block_on(poll_once(&mut beginning)).is_none());
    }
    let changes = change_meanwhile(&environment, &scope, "b", &members);
    scope.leave("c", &other).unwrap();
    block_on(beginning).unwrap();
    let (_, event) = next_event(&mut mailbox);
    assert_eq!((&*event.group, event.members.len()), ("a", 1));
    let (_, event) = next_event(&mut mailbox);
    assert_eq!((&*event.group, event.change), ("b", Change::Present));
    let mut present = event.members.to_vec();
    present.sort();
    assert!(present == present_then(&members));
    assert_eq!(next_changes(&mut mailbox, changes.len()), changes);
}

#[test]
fn a_group_that_ends_and_begins_again_meanwhile_is_told_as_a_whole() {
    let environment = environment();
    let scope = scope(&environment);
    let members = many_members(&environment, &scope, "g");
    let (watcher, mut mailbox) = open(&environment);
    let mut beginning = Box::pin(scope.monitor_scope(&watcher, None));
    for _ in 0..2 {
        assert!(block_on(poll_once(&mut beginning)).is_none());
    }
    for member in &members {
        scope.leave("g", member).unwrap();
    }
    scope.join("g", &members[0]).unwrap();
    block_on(beginning).unwrap();
    let (_, event) = next_event(&mut mailbox);
    assert_eq!(event.change, Change::Present);
    let present = event.members.len();
    assert!(0 < present && present < members.len());
    let changes = next_changes(&mut mailbox, present + 1);
    let left: Vec<_> = event
        .members
        .iter()
        .map(|member| (Change::Left, *member))
        .collect();
    assert!(changes[..present] == left);
    assert_eq!(changes[present], (Change::Joined, members[0].id()));
}

#[test]
fn a_monitor_of_a_large_group_that_is_given_up_before_it_is_told_is_none() {
    let environment = environment();
    let scope = scope(&environment);
    let members = many_members(&environment, &scope, "g");
    let (watcher, _mailbox) = of_branch(&environment, 1 << 20);
    let mut beginning = Box::pin(scope.monitor("g", &watcher, None));
    assert!(block_on(poll_once(&mut beginning)).is_none());
    let (joins, _kept) = of_branch(&environment, 1 << 20);
    scope.join("g", &joins).unwrap();
    let joined = joins.account().used(Kind::Memory);
    drop(beginning);
    // What has waited to be told is charged no more.
    assert!(joins.account().used(Kind::Memory) < joined);
    scope.leave("g", &members[0]).unwrap();
    assert_eq!(watcher.queued_messages(), 0);
    assert!(!scope.stop_monitoring(&watcher, 1));
    assert_eq!(watcher.account().used(Kind::Names), 0);
}

#[test]
fn a_monitor_of_a_scope_that_is_given_up_before_it_is_complete_is_none() {
    let environment = environment();
    let scope = scope(&environment);
    let process = idle(&environment);
    for group in 0..1000 {
        scope.join(&group.to_string(), &process).unwrap();
    }
    let (watcher, mut mailbox) = open(&environment);
    let mut beginning = Box::pin(scope.monitor_scope(&watcher, None));
    assert!(block_on(poll_once(&mut beginning)).is_none());
    drop(beginning);
    scope.join("0", &process).unwrap();
    while let Some(Message::Data(data)) = mailbox.try_receive(&Wanted::Any) {
        let event = GroupEvent::from_bytes(data.bytes()).unwrap();
        assert_eq!(event.change, Change::Present);
    }
    assert!(!scope.stop_monitoring(&watcher, 1));
}

#[test]
fn each_notice_to_a_monitor_is_counted_as_one_message_whoever_pays() {
    let environment = environment();
    let scope = scope(&environment);
    let (watcher, mut mailbox) = open(&environment);
    block_on(scope.monitor("g", &watcher, None)).unwrap();
    let counted = || environment.counters().get().messages;
    let before = counted();
    let (pays, _kept) = of_branch(&environment, 50_000);
    scope.join("g", &pays).unwrap();
    scope.leave("g", &pays).unwrap();
    assert_eq!(counted() - before, 2);
    // Of a process of another node.
    let remote = Pid::from_bits(pays.id().to_bits() + 1000);
    scope.join_remote("g", remote).unwrap();
    scope.leave_remote("g", remote);
    assert_eq!(counted() - before, 4);
    // It has nothing left to pay for what its end tells.
    scope.join("g", &pays).unwrap();
    let all = pays.account().limits().memory - pays.account().used(Kind::Memory);
    let _all = Charge::new(pays.account(), Kind::Memory, all).unwrap();
    scope.leave("g", &pays).unwrap();
    assert_eq!(counted() - before, 6);
    assert_eq!(watcher.queued_messages(), 1 + 6);
    while mailbox.try_receive(&Wanted::Any).is_some() {}
}

/// Who has asked to be told, and has no memory for it, ends; nothing is kept for nobody.
#[test]
fn what_nobody_can_pay_for_ends_who_has_asked_for_it() {
    const MONITORS: usize = 64;
    let environment = environment();
    let scope = scope(&environment);
    let (leaves, _kept) = of_branch(&environment, 100_000);
    let (told, _mailbox) = of_branch(&environment, 1_000_000);
    for _ in 0..MONITORS {
        block_on(scope.monitor("g", &told, None)).unwrap();
    }
    scope.join("g", &leaves).unwrap();
    let take_all = |process: &Process| {
        let account = process.account();
        let left = account.limits().memory - account.used(Kind::Memory);
        Charge::new(account, Kind::Memory, left).unwrap()
    };
    let kept = [take_all(&leaves), take_all(&told)];
    let before = told.queued_messages();
    scope.leave("g", &leaves).unwrap();
    // None, if it has ended already.
    assert!(told.queued_messages() <= before);
    wait_until("who was to be told has ended", || !told.is_alive());
    assert!(leaves.is_alive());
    drop(kept);
}

/// A large change is sent by a task of its own, and all of it arrives in order.
#[test]
fn many_messages_to_monitors_arrive_completely() {
    const MONITORS: usize = 1000;
    let environment = environment();
    let scope = scope(&environment);
    let member = idle(&environment);
    let (told, mut mailbox) = open(&environment);
    for _ in 0..MONITORS {
        block_on(scope.monitor("g", &told, None)).unwrap();
    }
    for _ in 0..10 {
        scope.join("g", &member).unwrap();
    }
    member.kill();
    let mut seen = [0; 3];
    for _ in 0..MONITORS * 12 {
        let (_, event) = next_event(&mut mailbox);
        seen[event.change as usize] += 1;
        if event.change == Change::Left {
            assert_eq!(event.members.len(), 10);
        }
    }
    assert_eq!(seen, [MONITORS, 10 * MONITORS, MONITORS]);
}

#[test]
fn a_scope_is_charged_to_who_makes_it() {
    let environment = environment();
    let groups = Groups::new(&environment);
    let (makes, _kept) = of_branch(&environment, 20_000);
    let mut made = 0;
    let refused = loop {
        match groups.scope_paid_by(&made.to_string(), makes.account()) {
            Ok(_) => made += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, GroupError::Exceeded(_)), "{refused}");
    assert!((1..20).contains(&made));
    // What is there can be used by who has no memory left.
    assert!(groups.scope_paid_by("0", makes.account()).is_ok());
    drop(groups);
    assert_eq!(makes.account().used(Kind::Memory), 0);
}

#[test]
fn more_groups_and_members_than_are_looked_at_at_once_are_listed() {
    let environment = environment();
    let scope = Groups::new(&environment).scope("s").unwrap();
    let process = idle(&environment);
    let mut names: Vec<String> = (0..1000).map(|number| format!("g{number}")).collect();
    for name in &names {
        scope.join(name, &process).unwrap();
    }
    names.sort();
    let listed = scope.groups();
    assert!(
        listed
            .iter()
            .map(|name| &**name)
            .eq(names.iter().map(String::as_str))
    );
    for number in 2..1002 {
        let remote = Pid::new(NodeNumber::new(7).unwrap(), number).unwrap();
        scope.join_remote("g0", remote).unwrap();
    }
    scope.join("g0", &process).unwrap();
    assert_eq!(scope.members("g0").len(), 1002);
    assert_eq!(scope.local_members("g0"), [process.id(); 2]);
}
