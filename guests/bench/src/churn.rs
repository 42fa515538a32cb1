//! Processes come and go in every way there is, as fast as they can.

use std::hint;
use std::panic;
use std::time::{Duration, Instant};

use lunatic::{sleep, LinkDiedSignal, Mailbox, Process, ProcessDiedSignal, Tag};

use crate::measurement;

/// How many processes spawn others, half of them those they monitor and half of
/// them those they are linked to.
const PARENTS: u64 = 8;

/// How many children a parent has at once.
const CHILDREN: u64 = 60;

/// How many messages are queued for who will never receive them.
const BURDEN: u64 = 100;

/// When a message is due for who will be dead then.
const TOO_LATE: Duration = Duration::from_millis(50);

/// What the growing ones grow to, a different size each.
const GROWTHS: [usize; 4] = [100 << 10, 1 << 20, 3 << 20, 9 << 20];

/// So long they come and go until all are dead once, or a tenth of the whole time.
const PHASE: Duration = Duration::from_secs(60);
const PHASES: u32 = 10;

/// How long nobody but the first process is there then, to be looked at.
const REST: Duration = Duration::from_secs(3);

/// How often it is said how many there were.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What parents say when they have ended.
const ENDED: u64 = 0;

/// A mailbox that is told who died.
type Monitor = Mailbox<u64, lunatic::serializer::Bincode, ProcessDiedSignal>;

/// A mailbox that is told which link broke.
type Trap = Mailbox<u64, lunatic::serializer::Bincode, LinkDiedSignal>;

/// Has processes come and go for so many seconds, and says how many there were
/// until then: now and then while they do, and each time when all have ended.
pub fn churn(seconds: u64, mailbox: Mailbox<u64>) {
    let start = Instant::now();
    let time = Duration::from_secs(seconds);
    let phase = PHASE.min(time / PHASES);
    let mut churned = 0;
    while start.elapsed() < time {
        for number in 0..PARENTS {
            let parent = if number % 2 == 0 { watch } else { link };
            Process::spawn((mailbox.this(), phase), parent);
        }
        hear_of_parents(start, &mut churned, &mailbox);
        measurement::since(start, "rest", churned);
        sleep(REST);
    }
}

/// Adds up what parents tell until all have ended.
fn hear_of_parents(start: Instant, churned: &mut u64, mailbox: &Mailbox<u64>) {
    let mut parents = PARENTS;
    let mut reported = Instant::now();
    while parents > 0 {
        match mailbox.receive() {
            ENDED => parents -= 1,
            number => *churned += number,
        }
        if reported.elapsed() > REPORT_INTERVAL {
            reported = Instant::now();
            measurement::since(start, "churn", *churned);
        }
    }
}

/// Has children that are monitored, or that say something and end.
fn watch((audience, time): (Process<u64>, Duration), mailbox: Mailbox<u64>) {
    let mailbox = mailbox.monitorable();
    again_and_again(audience, time, || {
        for number in 0..CHILDREN {
            spawn_watched(number, &mailbox);
        }
        // Each is heard of once: by its message or by its death.
        for _ in 0..CHILDREN {
            mailbox.receive();
        }
        CHILDREN
    });
}

fn spawn_watched(number: u64, mailbox: &Monitor) {
    let this = mailbox.this();
    match number % 6 {
        0 => {
            Process::spawn(this, greeter);
        }
        1 => {
            let growth = GROWTHS[(number / 6) as usize % GROWTHS.len()];
            Process::spawn((this, growth), growing);
        }
        2 => {
            let obedient = Process::spawn((), obedient);
            mailbox.monitor(obedient);
            obedient.send(number);
        }
        3 => {
            let fragile = Process::spawn((), fragile);
            mailbox.monitor(fragile);
            fragile.send(number);
        }
        4 => {
            let burdened = Process::spawn((), deaf);
            mailbox.monitor(burdened);
            for number in 0..BURDEN {
                burdened.send(number);
            }
            burdened.kill();
        }
        _ => {
            let awaited = Process::spawn((), deaf);
            mailbox.monitor(awaited);
            awaited.send_after(number, TOO_LATE);
            awaited.kill();
        }
    }
}

/// Has children that it is linked to, and outlives.
fn link((audience, time): (Process<u64>, Duration), mailbox: Mailbox<u64>) {
    let mailbox = mailbox.catch_link_failure();
    again_and_again(audience, time, || {
        let spawned = (0..CHILDREN).map(spawn_linked).sum();
        hear_of_links(&mailbox);
        spawned
    });
}

/// How many processes were spawned, of which one is a child.
fn spawn_linked(number: u64) -> u64 {
    match number % 3 {
        0 => {
            Process::spawn_link_tag((), Tag::new(), deaf).kill();
            1
        }
        1 => {
            let fragile = Process::spawn_link_tag((), Tag::new(), fragile);
            fragile.send(number);
            1
        }
        _ => {
            Process::<u64>::spawn_link_tag((), Tag::new(), bereaved);
            2
        }
    }
}

fn hear_of_links(mailbox: &Trap) {
    for _ in 0..CHILDREN {
        mailbox.receive();
    }
}

/// Lets rounds of children live until the time is over, and tells each time how
/// many there were.
fn again_and_again(audience: Process<u64>, time: Duration, mut round: impl FnMut() -> u64) {
    let start = Instant::now();
    while start.elapsed() < time {
        audience.send(round());
    }
    audience.send(ENDED);
}

fn greeter(parent: Process<u64>, _: Mailbox<u64>) {
    parent.send(0);
}

/// Fills so many bytes.
fn growing((parent, growth): (Process<u64>, usize), _: Mailbox<u64>) {
    hint::black_box(vec![1_u8; growth]);
    parent.send(0);
}

/// Ends when it is told to.
fn obedient(_: (), mailbox: Mailbox<u64>) {
    mailbox.receive();
}

/// Panics when it hears something.
fn fragile(_: (), mailbox: Mailbox<u64>) {
    mailbox.receive();
    panic_silently();
}

/// Waits for what nobody sends.
fn deaf(_: (), mailbox: Mailbox<u64>) {
    mailbox.tag_receive(&[Tag::new()]);
}

/// Dies with a child of its own.
fn bereaved(_: (), mailbox: Mailbox<u64>) {
    let child = Process::<u64>::spawn_link((), fragile);
    child.send(0);
    mailbox.receive();
}

fn panic_silently() -> ! {
    panic::set_hook(Box::new(|_| {}));
    panic!("as it was told to");
}
