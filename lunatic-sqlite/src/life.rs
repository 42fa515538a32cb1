//! The life of a connection on its thread: it is opened, asked, and closed.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use lunatic_fs::HeldFile;
use parking_lot::Mutex;
use rusqlite::hooks::{Action, AuthContext, Authorization};
use rusqlite::{Connection, Error};

use crate::changes::{Pending, Subscription, Topic};
use crate::cpu_time::CpuTime;
use crate::error::SqliteError;
use crate::job::Queued;
use crate::limits::SqliteLimits;
use crate::opening;
use crate::quota::{Charges, Quota};
use crate::worker::Worker;

/// A connection of which no hook is called any more while it is being closed.
struct Closing(Connection);

impl Drop for Closing {
    fn drop(&mut self) {
        // What the hooks need is gone before SQLite rolls a transaction back by itself.
        if !self.0.is_autocommit() {
            self.0.execute_batch("ROLLBACK").ok();
        }
        self.0.rollback_hook(None::<fn()>).ok();
        let no_hook = None::<fn(Action, &str, &str, i64)>;
        self.0.update_hook(no_hook).ok();
        self.0.progress_handler(0, None::<fn() -> bool>).ok();
        let no_authorizer = None::<fn(AuthContext<'_>) -> Authorization>;
        self.0.authorizer(no_authorizer).ok();
    }
}

/// What a connection has to do next.
enum Next {
    /// What somebody has asked for.
    Asked(Queued),
    /// To tell its watches of what others have changed.
    Tell,
}

/// Waits for something to do; `None` if nobody can ask any more.
async fn next(jobs: &Receiver<Queued>, subscription: &Subscription) -> Option<Next> {
    let asked = async { jobs.recv().await.ok().map(Next::Asked) };
    let Some(woken) = subscription.woken() else {
        return asked.await;
    };
    let told = async { woken.recv().await.ok().map(|()| Next::Tell) };
    future::or(asked, told).await
}

/// Opens a database, and does what it is asked for until nobody can ask any more.
///
/// - `charges`: released when it is closed.
/// - `cpu_time`: counts what it takes; `None` if nobody does.
pub(crate) async fn run(
    file: Option<HeldFile>,
    charges: Option<Charges>,
    limits: SqliteLimits,
    quota: Arc<Quota>,
    cpu_time: Option<Arc<CpuTime>>,
    opened: Sender<Result<(), SqliteError>>,
    jobs: Receiver<Queued>,
) {
    yield_to_processes();
    let mut connection =
        match opening::open(file.as_ref(), &limits, quota.control(), cpu_time.as_ref()) {
            Ok(connection) => Closing(connection),
            Err(error) => {
                release(file);
                drop(charges);
                opened.send(Err(quota.explain(error))).await.ok();
                return;
            }
        };
    let topic = match &file {
        Some(file) => Topic::of_file(file.id()),
        None => Arc::new(Topic::new()),
    };
    let pending = Arc::new(Mutex::new(Pending::default()));
    if let Err(error) = note_changes(&mut connection.0, &topic, &pending) {
        opened.send(Err(error.into())).await.ok();
        return;
    }
    opened.send(Ok(())).await.ok();
    let mut worker = Worker::new(
        &connection.0,
        &quota,
        limits,
        Subscription::new(topic),
        pending,
        file.as_ref(),
    );
    let mut close = None;
    while let Some(next) = next(&jobs, worker.subscription()).await {
        if let Some(cpu_time) = &cpu_time {
            cpu_time.wait(|| jobs.is_closed()).await;
        }
        let queued = match next {
            Next::Asked(queued) => queued,
            Next::Tell => {
                worker.subscription().tell_waiting();
                continue;
            }
        };
        let Some(job) = queued.take() else {
            continue;
        };
        if let ControlFlow::Break(answer) = worker.handle(job).await {
            close = Some(answer);
            break;
        }
    }
    drop(worker);
    // To close a database can be to write all of it back.
    quota.control().begin();
    drop(connection);
    quota.end();
    // The names of the files are used until then.
    release(file);
    drop(charges);
    // Whoever has asked for something since is told.
    jobs.close();
    while jobs.try_recv().is_ok() {}
    if let Some(close) = close {
        close.send(()).await.ok();
    }
}

/// Lets others have the file of a database, once it is closed.
fn release(file: Option<HeldFile>) {
    if let Some(file) = file {
        file.release();
    }
}

/// Lets the threads that run processes run first: databases may keep them waiting no more
/// than a disk does.
fn yield_to_processes() {
    /// On Linux this is a matter of the thread alone.
    const NICE: i32 = 5;
    rustix::process::setpriority_process(None, NICE).ok();
}

fn note_changes(
    connection: &mut Connection,
    topic: &Arc<Topic>,
    pending: &Arc<Mutex<Pending>>,
) -> Result<(), Error> {
    let (topic, noted, forgotten) = (topic.clone(), pending.clone(), pending.clone());
    connection.update_hook(Some(
        move |action, _database: &str, table: &str, rowid: i64| {
            if topic.is_watched() {
                noted.lock().add(action, table, rowid);
            }
        },
    ))?;
    connection.rollback_hook(Some(move || forgotten.lock().clear()))
}
