//! Accepts clients on a thread of its own.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_channel::Sender;
use async_executor::Executor;
use async_io::{Async, Timer};
use futures_lite::future;

use crate::clients::Clients;
use crate::connection;
use crate::limits::Limits;
use crate::response::Response;
use crate::serve::Serve;

/// Listens until it is dropped; then its clients are disconnected.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// The thread ends when this is closed.
    _running: Sender<()>,
}

/// The error of a server that could not be started.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub error: io::Error,
}

/// The state that the tasks of a server share.
struct Shared<S> {
    limits: Limits,
    serve: S,
    clients: Arc<Clients>,
}

impl Server {
    /// Begins to listen, on a thread of its own.
    ///
    /// - `name`: that of the thread.
    /// - `address`: with port 0, a free one is taken.
    ///
    /// # Errors
    ///
    /// [`BindError`] if somebody else listens there, for example.
    pub fn start(
        name: &str,
        address: SocketAddr,
        limits: Limits,
        serve: impl Serve,
    ) -> Result<Server, BindError> {
        let error = |error| BindError { address, error };
        let listener = TcpListener::bind(address).map_err(error)?;
        let bound = listener.local_addr().map_err(error)?;
        let listener = Async::new(listener).map_err(error)?;
        let shared = Arc::new(Shared {
            limits,
            serve,
            clients: Arc::default(),
        });
        let (running, ended) = async_channel::bounded::<()>(1);
        let run = move || {
            let executor = Arc::new(Executor::new());
            let accepting = accept(&executor, &listener, &shared);
            let ended = async {
                ended.recv().await.ok();
            };
            future::block_on(executor.run(future::or(ended, accepting)));
        };
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(run).map_err(error)?;
        Ok(Server {
            address: bound,
            _running: running,
        })
    }

    /// Returns the address at which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept<S: Serve>(
    executor: &Executor<'static>,
    listener: &Async<TcpListener>,
    shared: &Arc<Shared<S>>,
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
fn receive<S: Serve>(
    executor: &Executor<'static>,
    stream: Async<TcpStream>,
    shared: &Arc<Shared<S>>,
) {
    let shared = shared.clone();
    let Some(place) = shared.clients.take(shared.limits.clients) else {
        return refuse(&stream);
    };
    stream.get_ref().set_nodelay(true).ok();
    let serve = async move {
        connection::serve(&stream, &place, &shared.limits, &shared.serve).await;
    };
    executor.spawn(serve).detach();
}

/// Tells a client that has no place why, if its socket takes that at once.
fn refuse(stream: &Async<TcpStream>) {
    use std::io::Write as _;
    let response = Response::text(503, "there are too many clients");
    let mut bytes = response.head(false);
    bytes.extend(response.bytes().unwrap_or_default());
    stream.get_ref().write_all(&bytes).ok();
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(f, "somebody else listens at {address} already"),
            _ => write!(f, "cannot listen at {address}: {}", self.error),
        }
    }
}

impl Error for BindError {}
