//! Listens for clients on a thread of its own.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_executor::Executor;
use async_io::{Async, Timer};
use futures_lite::future;

use crate::answering::Answering;
use crate::connection::Connection;
use crate::directory::{Directory, DirectoryError};
use crate::limits::Limits;
use crate::name::RuntimeName;
use crate::permit::Permit;
use crate::response::{Refusal, RefusalKind};
use crate::socket::{self, BindError, BoundPath};

/// Listens for clients until it is dropped. Then its socket is removed, and its clients are
/// disconnected. Requests that are being answered are finished first, if that takes no longer than
/// a quarter of a second: one of them may be the request that ends the runtime.
#[derive(Debug)]
pub struct Server {
    name: RuntimeName,
    socket: BoundPath,
    /// The thread ends when this is closed.
    running: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// The error of a server that could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is no private directory.
    Directory(DirectoryError),
    /// The name has no socket.
    Bind(BindError),
    /// The system gives no thread, or no descriptor.
    Io(io::Error),
}

/// The state that the tasks of a server share.
struct Shared<A> {
    name: RuntimeName,
    answering: A,
    limits: Limits,
    clients: Arc<AtomicUsize>,
    uploads: Arc<AtomicUsize>,
    unanswered: Arc<AtomicUsize>,
}

impl Server {
    /// Begins to listen, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(
        directory: &Directory,
        name: &RuntimeName,
        limits: Limits,
        answering: impl Answering,
    ) -> Result<Server, StartError> {
        let (listener, socket) = socket::bind(directory, name).map_err(StartError::Bind)?;
        let listener = Async::new(listener).map_err(StartError::Io)?;
        let shared = Arc::new(Shared {
            name: name.clone(),
            answering,
            limits,
            clients: Arc::default(),
            uploads: Arc::default(),
            unanswered: Arc::default(),
        });
        let (running, ended) = async_channel::bounded::<()>(1);
        let run = move || {
            let executor = Arc::new(Executor::new());
            let accepting = accept(&executor, &listener, &shared);
            let ended = async {
                ended.recv().await.ok();
                all_answered(&shared.unanswered).await;
            };
            // This thread only runs the tasks: another one waits for the sockets.
            future::block_on(executor.run(future::or(ended, accepting)));
        };
        let thread = thread::Builder::new()
            .name("admin".into())
            .spawn(run)
            .map_err(StartError::Io)?;
        Ok(Server {
            name: name.clone(),
            socket,
            running,
            thread: Some(thread),
        })
    }

    /// Returns the name of the runtime.
    pub fn name(&self) -> &RuntimeName {
        &self.name
    }

    /// Returns the path of its socket.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of that thread was reported already.
            thread.join().ok();
        }
    }
}

/// Waits until no request is unanswered, or it takes too long.
async fn all_answered(unanswered: &AtomicUsize) {
    const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);
    const PAUSE: Duration = Duration::from_millis(2);
    let begun = Instant::now();
    while unanswered.load(Ordering::Relaxed) > 0 && begun.elapsed() < DRAIN_TIMEOUT {
        Timer::after(PAUSE).await;
    }
}

async fn accept<A: Answering>(
    executor: &Executor<'static>,
    listener: &Async<UnixListener>,
    shared: &Arc<Shared<A>>,
) {
    /// There may be descriptors again then.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => receive(executor, stream, shared),
            Err(error) => {
                tracing::debug!("cannot accept a client: {error}");
                Timer::after(PAUSE).await;
            }
        }
    }
}

/// Serves a client, or sends it the reason of the refusal.
fn receive<A: Answering>(
    executor: &Executor<'static>,
    stream: Async<UnixStream>,
    shared: &Arc<Shared<A>>,
) {
    let shared = shared.clone();
    let Some(place) = Permit::take(&shared.clients, shared.limits.clients) else {
        let text = format!("there are {} clients already", shared.limits.clients);
        return refuse(&stream, Refusal::new(RefusalKind::Busy, text));
    };
    let serve = async move {
        let _place = place;
        let Shared {
            name,
            answering,
            limits,
            uploads,
            unanswered,
            ..
        } = &*shared;
        let mut connection = Connection::new(&stream, limits, uploads, unanswered);
        if let Err(error) = connection.serve(name, answering).await {
            tracing::debug!("a client is disconnected: {error}");
        }
    };
    executor.spawn(serve).detach();
}

/// Tells a client that has no place why, if its socket takes that at once.
fn refuse(stream: &Async<UnixStream>, refusal: Refusal) {
    use std::io::Write as _;
    if let Ok(line) = crate::connection::line(0, &refusal.into()) {
        stream.get_ref().write_all(&line).ok();
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Directory(error) => error.fmt(f),
            StartError::Bind(error) => error.fmt(f),
            StartError::Io(error) => write!(f, "cannot listen for clients: {error}"),
        }
    }
}

impl Error for StartError {}
