//! An environment for native processes.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses another part of it"
)]

use std::future::Future;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use lunatic_mailbox::{DataMessage, Tag, Wanted};
use lunatic_process::{Context, Environment, ExitReason, Failure, Process, SpawnOptions};
use lunatic_scheduler::Scheduler;

/// So long everything may take; nothing takes long, but a hang must end.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn environment() -> Environment {
    Environment::new(1, scheduler())
}

pub fn scheduler() -> Scheduler {
    let workers = NonZeroUsize::MIN.saturating_add(2);
    Scheduler::builder()
        .workers(workers)
        .start()
        .expect("threads")
}

/// Starts a process.
pub fn spawn<F>(environment: &Environment, body: impl FnOnce(Context) -> F) -> Process
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    environment
        .spawn(SpawnOptions::default(), body)
        .expect("an environment with room")
}

/// A process that does nothing, and traps link deaths.
pub fn idle(environment: &Environment) -> Process {
    let process = spawn(environment, |own| async move {
        let _kept = own;
        future::pending().await
    });
    process.die_when_link_dies(false);
    process
}

/// A process that ends, in this way, at the first message.
pub fn ends(environment: &Environment, outcome: Result<(), &'static str>) -> Process {
    spawn(environment, move |mut own| async move {
        own.mailbox.receive(Wanted::Any).await;
        outcome.map_err(Failure::new)
    })
}

/// Sends a message without anything in it.
pub fn wake(process: &Process) {
    process.send(DataMessage::default().into()).expect("alive");
}

pub fn tag(value: i64) -> Option<Tag> {
    Tag::new(value)
}

#[track_caller]
pub fn end_of(process: &Process) -> ExitReason {
    wait(
        &format!("the end of process {}", process.id()),
        process.wait(),
    )
}

/// Waits, but not for ever.
#[track_caller]
pub fn wait<T>(what: &str, event: impl Future<Output = T>) -> T {
    let event = async { Some(event.await) };
    let end_of_patience = async {
        Timer::after(PATIENCE).await;
        None
    };
    future::block_on(future::or(event, end_of_patience))
        .unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Waits until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait(what, async {
        while !is_so() {
            Timer::after(Duration::from_millis(1)).await;
        }
    });
}

/// What happens in a supervised tree, to be waited for.
#[derive(Clone)]
pub struct Tale {
    sender: async_channel::Sender<String>,
    told: async_channel::Receiver<String>,
}

impl Tale {
    pub fn new() -> Tale {
        let (sender, told) = async_channel::unbounded();
        Tale { sender, told }
    }

    pub fn say(&self, what: impl Into<String>) {
        self.sender.try_send(what.into()).ok();
    }

    /// The next thing that was said.
    #[track_caller]
    pub fn next(&self) -> String {
        wait("something to be said", self.told.recv()).expect("a sender is kept")
    }

    /// The next things that were said.
    #[track_caller]
    pub fn next_are(&self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next(), *expected);
        }
    }

    #[track_caller]
    pub fn is_over(&self) {
        assert_eq!(self.told.try_recv().ok(), None, "something more was said");
    }
}

/// A child that says when it starts and when it ends, and fails at the first
/// message, or ends normally if that message has the tag 1.
pub fn worker(name: &'static str, tale: &Tale) -> lunatic_supervisor::ChildStart {
    let tale = tale.clone();
    lunatic_supervisor::native(move |mut own| {
        tale.say(format!("{name} starts"));
        let end = Says {
            what: format!("{name} ends"),
            tale: tale.clone(),
        };
        async move {
            let _end = end;
            let message = own.mailbox.receive(Wanted::Any).await;
            match message.tag() == Tag::new(1) {
                true => Ok(()),
                false => Err(Failure::new("as it was told")),
            }
        }
    })
}

struct Says {
    what: String,
    tale: Tale,
}

impl Drop for Says {
    fn drop(&mut self) {
        self.tale.say(&*self.what);
    }
}
