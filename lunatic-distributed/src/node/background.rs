//! What a node does beside its thread, as it waits for files.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use lunatic_error::with_causes;
use lunatic_quic::EndpointWaker;
use lunatic_trust::Credentials;
use rustls::pki_types::CertificateDer;

use crate::cluster::Connection;
use crate::local::Answer;
use crate::node::driver::Command;
use crate::node::late::Late;

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// How long nodes may take to answer a request for another certificate.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// So many that want to join are kept until they have their turn: anybody can be one.
const MAX_JOINS: usize = 16;

/// So many nodes that want another certificate are.
const MAX_RENEWALS: usize = 64;

/// Something that waits for files.
pub(super) enum Task {
    /// Somebody wants to join.
    Join(Connection, Vec<u8>),
    /// A node that shows this chain wants another certificate.
    Renew(Vec<u8>, Vec<CertificateDer<'static>>, Answer),
}

/// Makes an answer, and the chain of the certificate that was issued, what the thread of the node is
/// told.
type ToCommand = dyn FnOnce(Vec<u8>, Vec<CertificateDer<'static>>) -> Command;

/// The thread that does it. It ends when this is dropped.
pub(super) struct Background {
    joins: Sender<Task>,
    renewals: Sender<Task>,
}

/// What is to be done.
struct Tasks {
    joins: Receiver<Task>,
    renewals: Receiver<Task>,
}

struct Worker {
    credentials: Credentials,
    late: Arc<Late>,
    commands: Sender<Command>,
    waker: EndpointWaker,
    next_renewal: Instant,
}

/// Starts the thread.
pub(super) fn start(
    credentials: Credentials,
    late: Arc<Late>,
    commands: Sender<Command>,
    waker: EndpointWaker,
) -> io::Result<Background> {
    let (joins, joining) = async_channel::bounded(MAX_JOINS);
    let (renewals, renewing) = async_channel::bounded(MAX_RENEWALS);
    let tasks = Tasks {
        joins: joining,
        renewals: renewing,
    };
    let mut worker = Worker {
        credentials,
        late,
        commands,
        waker,
        // By then there are sessions, if there are other nodes.
        next_renewal: Instant::now() + RENEWAL_LIMIT,
    };
    std::thread::Builder::new()
        .name("node-files".into())
        .spawn(move || worker.run(&tasks))?;
    Ok(Background { joins, renewals })
}

impl Background {
    /// Does something later. If much is to be done already, it is not done: who wants it asks
    /// again.
    pub(super) fn give(&self, task: Task) {
        let tasks = match &task {
            Task::Join(..) => &self.joins,
            Task::Renew(..) => &self.renewals,
        };
        tasks.try_send(task).ok();
    }
}

impl Worker {
    fn run(&mut self, tasks: &Tasks) {
        loop {
            self.refresh();
            let end = Instant::now() + PERIOD;
            loop {
                let next = futures_lite::future::block_on(futures_lite::future::or(
                    // Strangers do not hold up who is known.
                    async {
                        let joins = tasks.joins.recv();
                        Some(futures_lite::future::or(tasks.renewals.recv(), joins).await)
                    },
                    async {
                        async_io::Timer::at(end).await;
                        None
                    },
                ));
                match next {
                    Some(Ok(task)) => self.task(task),
                    // The node has ended.
                    Some(Err(_)) => return,
                    None => break,
                }
            }
        }
    }

    fn task(&self, task: Task) {
        let Some(authority) = self.credentials.authority() else {
            return;
        };
        let now = SystemTime::now();
        let (answer, command): (_, Box<ToCommand>) = match task {
            Task::Join(connection, request) => (
                authority.answer(&request, None, now),
                Box::new(move |bytes, _| Command::Joined(connection, bytes)),
            ),
            Task::Renew(request, chain, answer) => (
                authority.answer(&request, Some(&chain), now),
                Box::new(move |bytes, chain| Command::Renewed(answer, bytes, chain)),
            ),
        };
        match &answer.outcome {
            Ok(issued) => tracing::info!("issued a certificate: {issued:?}"),
            // Who asks may be anybody.
            Err(error) if self.late.admits_log_line() => {
                tracing::warn!("issued no certificate: {}", with_causes(error));
            }
            Err(_) => {}
        }
        self.tell(command(answer.bytes, answer.chain));
    }

    fn refresh(&mut self) {
        let now = SystemTime::now();
        let refreshed = self.credentials.refresh(now);
        for warning in &refreshed.warnings {
            tracing::warn!("{}", with_causes(warning));
        }
        if refreshed.has_changed() {
            let revocations = refreshed.revocations;
            self.tell(Command::Credentials { revocations });
        }
        let is_due = self.credentials.renews_by_request() && self.credentials.needs_renewal(now);
        if is_due && Instant::now() >= self.next_renewal {
            self.next_renewal = Instant::now() + RENEWAL_LIMIT * 6;
            self.renew();
        }
    }

    /// Asks the others for another certificate.
    fn renew(&self) {
        let Ok(renewal) = self.credentials.begin_renewal() else {
            return;
        };
        // Each node answers once.
        let (sender, answers) = async_channel::unbounded();
        self.tell(Command::Renew(renewal.request().to_vec(), sender));
        let end = Instant::now() + RENEWAL_LIMIT;
        let next = || {
            futures_lite::future::block_on(futures_lite::future::or(
                async { answers.recv().await.ok() },
                async {
                    async_io::Timer::at(end).await;
                    None
                },
            ))
        };
        // One that answers with something else does not stand in the way of the others.
        while let Some(answer) = next() {
            let now = SystemTime::now();
            match self.credentials.finish_renewal(&renewal, &answer, now) {
                Ok(()) => tracing::info!("the certificate was renewed"),
                Err(error) if error.is_in_use() => {
                    let why = with_causes(&error);
                    tracing::warn!("the certificate was renewed, and not kept: {why}");
                }
                Err(error) => {
                    let why = with_causes(&error);
                    tracing::warn!("an answer of no use to a renewal: {why}");
                    continue;
                }
            }
            // A list of revoked certificates comes with it, which may be newer.
            return self.tell(Command::Credentials { revocations: true });
        }
        tracing::warn!("no node has renewed the certificate of this one; it is tried again");
    }

    fn tell(&self, command: Command) {
        self.commands.try_send(command).ok();
        self.waker.wake();
    }
}
