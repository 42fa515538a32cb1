//! Listening for TCP connections and accepting them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use rustix::io::Errno;

use crate::connecting::do_not_delay;
use crate::errors::{AcceptError, BindError};

/// The first and the last time to wait for a file descriptor. Each wait is twice as
/// long as the one before, so that a loop which accepts whatever the error calls the
/// system only a few times in a second.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(320);

/// How many connections may wait to be accepted, if the system allows that many. With
/// the 128 of the standard library the queue is full sooner, and a client that finds it
/// full tries again only after a second.
const BACKLOG: i32 = 4096;

/// Listens at an address.
pub(crate) fn listen(address: SocketAddr) -> Result<Async<TcpListener>, BindError> {
    let failed = |source| BindError { address, source };
    let listener = Async::<TcpListener>::bind(address).map_err(failed)?;
    rustix::net::listen(&listener, BACKLOG).map_err(|errno| failed(errno.into()))?;
    Ok(listener)
}

/// Waits for a connection.
pub(crate) async fn accept(
    listener: &Async<TcpListener>,
) -> Result<(Async<TcpStream>, SocketAddr), AcceptError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match listener.accept().await {
            Ok((socket, peer)) => {
                do_not_delay(&socket);
                return Ok((socket, peer));
            }
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
