//! Making a TCP connection.

use std::future::{self, Future};
use std::net::{SocketAddr, TcpStream};
use std::task::Poll;
use std::time::Duration;

use lunatic_account::{Account, Charge, Kind};
use lunatic_reactor::Source;

use crate::errors::ConnectError;
use crate::time_limit::within;

/// How long one address is tried before the next one is tried at the same time
/// (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// No more addresses are tried at the same time; who has been tried for longest is given up.
const MOST_ATTEMPTS: usize = 8;

/// Connects, with the time limit of the system only.
pub(crate) async fn connect(address: SocketAddr) -> Result<Source<TcpStream>, ConnectError> {
    let socket = Source::<TcpStream>::connect(address)
        .await
        .map_err(|source| ConnectError::Unreachable { address, source })?;
    do_not_delay(&socket);
    Ok(socket)
}

/// Connects to the one of several addresses that answers first. They are tried one
/// after the other, each after a short time or when those before have failed, and no more than
/// [`MOST_ATTEMPTS`] at once, or as many as there are descriptors for. Returns `None` if there is no
/// address, and the last error if all fail.
///
/// - `payer`: one descriptor is charged to it already; `None` if nobody pays.
#[cfg_attr(
    not(feature = "tls"),
    allow(dead_code, reason = "only TLS has several")
)]
pub(crate) async fn connect_any(
    addresses: &[SocketAddr],
    payer: Option<&Account>,
) -> Option<Result<(Source<TcpStream>, SocketAddr), ConnectError>> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = Vec::new();
    let mut failure = None;
    let mut descriptors = Descriptors { payer, more: None };
    loop {
        if attempts.len() == MOST_ATTEMPTS && waiting.len() > 0 {
            drop(attempts.remove(0));
        }
        // Without a descriptor for another one, those that are tried go on until one has failed.
        let is_next = attempts.is_empty() || descriptors.may_be(attempts.len() + 1);
        if is_next && let Some(address) = waiting.next() {
            let attempt = async move { Ok((connect(address).await?, address)) };
            attempts.push(Box::pin(attempt));
        } else if attempts.is_empty() {
            return failure.map(Err);
        }
        let limit = (is_next && waiting.len() > 0).then_some(HEAD_START);
        let first = future::poll_fn(|context| {
            let mut attempts = attempts.iter_mut().enumerate();
            let done = attempts.find_map(|(index, attempt)| match attempt.as_mut().poll(context) {
                Poll::Ready(outcome) => Some((index, outcome)),
                Poll::Pending => None,
            });
            done.map_or(Poll::Pending, Poll::Ready)
        });
        match within(limit, first).await {
            Some((_, Ok(connected))) => return Some(Ok(connected)),
            Some((index, Err(error))) => {
                drop(attempts.remove(index));
                failure = Some(error);
            }
            None => {}
        }
    }
}

/// What is charged for those that are tried at the same time.
struct Descriptors<'a> {
    payer: Option<&'a Account>,
    /// For those beyond the first one.
    more: Option<Charge>,
}

impl Descriptors<'_> {
    /// Charges for so many attempts. Returns whether there may be that many; one may always be.
    fn may_be(&mut self, attempts: usize) -> bool {
        let more = attempts.saturating_sub(1) as u64;
        match (&mut self.more, self.payer) {
            (_, None) => true,
            (Some(charge), _) => charge.set(more).is_ok(),
            (None, Some(payer)) => {
                self.more = Charge::new(payer, Kind::Descriptors, more).ok();
                self.more.is_some() || more == 0
            }
        }
    }
}

/// Sets `TCP_NODELAY`, so that a small answer does not wait for a delayed
/// acknowledgement of the other side. Guests have no function for that.
pub(crate) fn do_not_delay(socket: &Source<TcpStream>) {
    if let Err(error) = socket.get_ref().set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
