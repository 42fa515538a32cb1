//! Links and monitors as a pure state machine.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use lunatic_mailbox::{Message, Pid, Tag};
use lunatic_process::{ExitReason, Failure, FailureKind, LinkNotice, Reaction, Relations, Signal};

const PEER: Pid = Pid::from_bits(7);
const OTHER: Pid = Pid::from_bits(8);

fn link(peer: Pid, tag: i64) -> Signal {
    let tag = Tag::new(tag);
    Signal::Link { peer, tag }
}

fn link_died(peer: Pid, tag: i64, reason: ExitReason) -> Signal {
    let tag = Tag::new(tag);
    Signal::LinkDied { peer, tag, reason }
}

fn failed() -> ExitReason {
    ExitReason::Failed(Failure::new("it broke"))
}

/// Relations that are linked to `PEER` with tag 5.
fn linked() -> Relations {
    let mut relations = Relations::default();
    assert!(matches!(relations.apply(link(PEER, 5)), Reaction::None));
    relations
}

#[test]
fn a_kill_is_death_whatever_the_flag_says() {
    for die_when_link_dies in [true, false] {
        let mut relations = Relations::default();
        relations.apply(Signal::DieWhenLinkDies(die_when_link_dies));
        let reaction = relations.apply(Signal::Kill);
        assert!(matches!(reaction, Reaction::Die(ExitReason::Killed)));
    }
}

#[test]
fn at_first_the_death_of_a_link_is_death() {
    for reason in [failed(), ExitReason::Killed, ExitReason::NoProcess] {
        let reaction = linked().apply(link_died(PEER, 5, reason));
        let Reaction::Die(ExitReason::Failed(failure)) = reaction else {
            panic!("{reaction:?}");
        };
        assert_eq!(failure.kind(), &FailureKind::LinkDied { peer: PEER });
    }
}

#[test]
fn the_death_of_a_link_is_a_message_to_who_traps_it() {
    for reason in [failed(), ExitReason::Killed, ExitReason::NoProcess] {
        let mut relations = linked();
        relations.apply(Signal::DieWhenLinkDies(false));
        let reaction = relations.apply(link_died(PEER, 6, reason));
        let Reaction::Deliver(Message::LinkDied { tag }) = reaction else {
            panic!("{reaction:?}");
        };
        // The tag of the dying end counts.
        assert_eq!(tag, Tag::new(6));
        assert_eq!(relations.link_count(), 0);
    }
}

#[test]
fn the_normal_end_of_a_link_is_nothing_and_ends_the_link() {
    for die_when_link_dies in [true, false] {
        let mut relations = linked();
        relations.apply(Signal::DieWhenLinkDies(die_when_link_dies));
        let reaction = relations.apply(link_died(PEER, 5, ExitReason::Normal));
        assert!(matches!(reaction, Reaction::None));
        assert_eq!(relations.link_count(), 0);
    }
}

#[test]
fn the_death_of_who_is_not_linked_is_nothing() {
    let mut relations = linked();
    let reaction = relations.apply(link_died(OTHER, 5, failed()));
    assert!(matches!(reaction, Reaction::None));
    relations.apply(Signal::Unlink { peer: PEER });
    let reaction = relations.apply(link_died(PEER, 5, failed()));
    assert!(matches!(reaction, Reaction::None));
}

#[test]
fn a_link_dies_once() {
    let mut relations = linked();
    relations.apply(Signal::DieWhenLinkDies(false));
    let first = relations.apply(link_died(PEER, 5, failed()));
    let second = relations.apply(link_died(PEER, 5, failed()));
    assert!(matches!(first, Reaction::Deliver(_)));
    assert!(matches!(second, Reaction::None));
}

#[test]
fn the_flag_can_be_set_both_ways() {
    let mut relations = linked();
    relations.apply(Signal::DieWhenLinkDies(false));
    relations.apply(Signal::DieWhenLinkDies(true));
    let reaction = relations.apply(link_died(PEER, 5, failed()));
    assert!(matches!(reaction, Reaction::Die(_)));
}

#[test]
fn there_is_one_link_for_each_pair_and_the_last_tag_counts() {
    let mut relations = linked();
    relations.apply(link(PEER, 6));
    relations.apply(link(OTHER, 0));
    let mut links: Vec<_> = relations.links().collect();
    links.sort();
    assert_eq!(links, [(PEER, Tag::new(6)), (OTHER, None)]);
}

#[test]
fn there_is_one_monitor_for_each_watcher() {
    let mut relations = Relations::default();
    for watcher in [PEER, PEER, OTHER] {
        relations.apply(Signal::Monitor { watcher });
    }
    relations.apply(Signal::StopMonitoring { watcher: OTHER });
    relations.apply(Signal::StopMonitoring {
        watcher: Pid::from_bits(9),
    });
    assert_eq!(relations.watchers().collect::<Vec<_>>(), [PEER]);
}

#[test]
fn the_end_of_who_is_monitored_is_a_message_whatever_the_flag_says() {
    let mut relations = Relations::default();
    for die_when_link_dies in [true, false] {
        relations.apply(Signal::DieWhenLinkDies(die_when_link_dies));
        let reaction = relations.apply(died(ExitReason::Killed));
        assert!(matches!(
            reaction,
            Reaction::Deliver(Message::ProcessDied { process: PEER })
        ));
    }
}

fn died(reason: ExitReason) -> Signal {
    Signal::ProcessDied {
        process: PEER,
        reason,
    }
}

#[test]
fn who_has_asked_why_is_told_it_once_and_by_the_tag() {
    let mut relations = Relations::default();
    relations.tell_why(PEER, Tag::new(7));
    let Reaction::MustDeliver(Message::Data(told)) = relations.apply(died(ExitReason::Killed))
    else {
        panic!("it is told otherwise");
    };
    assert_eq!(told.tag(), Tag::new(7));
    let expected = [&PEER.to_bits().to_le_bytes()[..], &2_u32.to_le_bytes()].concat();
    assert_eq!(told.bytes(), expected);
    let again = relations.apply(died(ExitReason::Killed));
    assert!(matches!(
        again,
        Reaction::Deliver(Message::ProcessDied { .. })
    ));
}

#[test]
fn of_a_process_that_never_was_only_those_are_told_who_have_asked_why() {
    let mut relations = Relations::default();
    let plain = relations.apply(died(ExitReason::NoProcess));
    assert!(matches!(plain, Reaction::None));
    relations.tell_why(PEER, None);
    let told = relations.apply(died(ExitReason::NoProcess));
    assert!(matches!(told, Reaction::MustDeliver(_)));
    relations.tell_why(PEER, None);
    relations.do_not_tell_why(PEER);
    let plain = relations.apply(died(ExitReason::NoProcess));
    assert!(matches!(plain, Reaction::None));
}

fn exit(reason: ExitReason) -> Signal {
    Signal::Exit {
        from: PEER,
        tag: Tag::new(5),
        reason,
    }
}

#[test]
fn who_is_asked_to_end_ends_for_that_reason_unless_it_is_normal() {
    let reaction = linked().apply(exit(ExitReason::Shutdown));
    assert!(matches!(reaction, Reaction::Die(ExitReason::Shutdown)));
    let reaction = linked().apply(exit(ExitReason::Normal));
    assert!(matches!(reaction, Reaction::None));
}

#[test]
fn who_is_asked_to_end_and_traps_is_told_of_a_link_death_and_stays_linked() {
    let mut relations = linked();
    relations.apply(Signal::DieWhenLinkDies(false));
    let reaction = relations.apply(exit(ExitReason::Shutdown));
    let Reaction::Deliver(Message::LinkDied { tag }) = reaction else {
        panic!("{reaction:?}");
    };
    assert_eq!(tag, Tag::new(5));
    assert_eq!(relations.link_count(), 1);
}

#[test]
fn shutdown_is_passed_on_along_links_as_what_it_is() {
    let reaction = linked().apply(link_died(PEER, 5, ExitReason::Shutdown));
    assert!(matches!(reaction, Reaction::Die(ExitReason::Shutdown)));
}

fn notice(reaction: Reaction) -> Option<LinkNotice> {
    match reaction {
        Reaction::Deliver(mut message) => LinkNotice::take(&mut message),
        _ => None,
    }
}

#[test]
fn who_traps_exits_is_told_of_every_end_with_its_reason_and_of_lost_links() {
    for reason in [ExitReason::Normal, ExitReason::Killed, ExitReason::Shutdown] {
        let expected = reason.to_string();
        for signal in [link_died(PEER, 5, reason.clone()), exit(reason)] {
            let mut relations = linked();
            relations.apply(Signal::TrapExits);
            let notice = notice(relations.apply(signal));
            let Some(LinkNotice::Exit { from, reason }) = notice else {
                panic!("{notice:?}");
            };
            assert_eq!((from, reason.to_string()), (PEER, expected.clone()));
        }
    }
    let mut relations = linked();
    relations.apply(Signal::TrapExits);
    let notice = notice(relations.apply(Signal::Unlink { peer: PEER }));
    assert!(matches!(notice, Some(LinkNotice::Unlinked { peer }) if peer == PEER));
}
