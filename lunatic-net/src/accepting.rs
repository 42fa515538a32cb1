//! Listening for TCP connections and accepting them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use lunatic_reactor::{Source, Timer};
use parking_lot::Mutex;
use rustix::io::Errno;

use crate::connecting::do_not_delay;
use crate::errors::{AcceptError, BindError};
use crate::listeners::{Bound, Kind, Lineage, Standing, Table};
use crate::open_streams::OpenStream;

/// The first and the last time to wait for a file descriptor. Each wait is twice as
/// long as the one before, so that a loop which accepts whatever the error calls the
/// system only a few times in a second.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(320);

/// A connection that was accepted.
pub(crate) struct Accepted {
    pub(crate) socket: Source<TcpStream>,
    pub(crate) peer: SocketAddr,
    /// What counts as a stream of the root that has accepted it.
    pub(crate) open: Option<OpenStream>,
}

impl Kind for TcpListener {
    const GIVES_STREAMS: bool = true;

    /// Listens at an address.
    fn bind(address: SocketAddr, standing: Standing) -> Result<Source<TcpListener>, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        rustix::net::listen(&listener, standing.backlog()).map_err(|errno| failed(errno.into()))?;
        Source::new(listener).map_err(failed)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    fn table(lineage: &Lineage) -> &Mutex<Table<TcpListener>> {
        &lineage.tcp
    }
}

/// Waits for a connection.
pub(crate) async fn accept(listener: &Bound<TcpListener>) -> Result<Accepted, AcceptError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match accept_one(listener).await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        if is_the_peers(&error) {
            continue;
        }
        if !is_lack_of_descriptors(&error) {
            return Err(AcceptError::Io(error));
        }
        if pause > LAST_PAUSE {
            return Err(AcceptError::NoDescriptors(error));
        }
        Timer::after(pause).await;
        pause *= 2;
    }
}

async fn accept_one(listener: &Bound<TcpListener>) -> io::Result<Accepted> {
    let take = |listener: &TcpListener, open| Ok((listener.accept()?, open));
    let ((socket, peer), open) = listener.take_with(take).await?;
    let socket = Source::new(socket)?;
    do_not_delay(&socket);
    Ok(Accepted { socket, peer, open })
}

/// Returns whether the error is that of a connection that broke before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    const BROKEN: [Errno; 9] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::INTR,
    ];
    Errno::from_io_error(error).is_some_and(|errno| BROKEN.contains(&errno))
}

fn is_lack_of_descriptors(error: &io::Error) -> bool {
    const FULL: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| FULL.contains(&errno))
}
