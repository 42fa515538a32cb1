//! The same interface where there is no epoll, on `async-io` with its thread.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Async;

/// A socket, or another descriptor that can be waited for, without blocking a thread.
#[derive(Debug)]
pub struct Source<S: AsFd>(Async<S>);

/// What was known of a [`Source`] at a moment; see [`Source::known`].
#[derive(Debug, Clone, Copy)]
pub struct Known(());

impl<S: AsFd> Source<S> {
    /// Makes a descriptor one that does not block.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub fn new(io: S) -> io::Result<Source<S>> {
        Async::new(io).map(Source)
    }

    /// Returns the descriptor. No operation on it blocks.
    pub fn get_ref(&self) -> &S {
        self.0.get_ref()
    }

    /// Calls `read` until it returns something else than
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), each time when there may be something to read.
    ///
    /// # Errors
    ///
    /// Fails if `read` does.
    pub async fn read_with<R>(&self, read: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.0.read_with(read).await
    }

    /// Calls `write` until it returns something else than
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock), each time when there may be room.
    ///
    /// # Errors
    ///
    /// Fails if `write` does.
    pub async fn write_with<R>(&self, write: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.0.write_with(write).await
    }

    /// Returns what is known now, which is nothing.
    pub fn known(&self) -> Known {
        Known(())
    }

    /// Waits until there may be something to read.
    pub async fn readable(&self, _known: Known) {
        // An error is found by the operation.
        let _ = self.0.readable().await;
    }

    /// Waits until there may be room to write.
    pub async fn writable(&self, _known: Known) {
        // As above.
        let _ = self.0.writable().await;
    }
}

impl Source<TcpStream> {
    /// Connects to an address, with the time limit of the system only.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does.
    pub async fn connect(address: SocketAddr) -> io::Result<Source<TcpStream>> {
        Async::<TcpStream>::connect(address).await.map(Source)
    }
}

/// Is ready when a time is over.
#[derive(Debug)]
#[must_use = "it does nothing unless it is polled"]
pub struct Timer(async_io::Timer);

impl Timer {
    /// Waits until a time.
    pub fn at(due: Instant) -> Timer {
        Timer(async_io::Timer::at(due))
    }

    /// Waits for so long, from now on. A time that the clock cannot represent never comes.
    pub fn after(delay: Duration) -> Timer {
        Timer(async_io::Timer::after(delay))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

/// Lets threads of the program wait; there is none here.
#[derive(Debug)]
pub struct Driver(Infallible);

impl Driver {
    /// Returns `None`.
    ///
    /// # Errors
    ///
    /// Never fails.
    pub fn attach() -> io::Result<Option<Driver>> {
        Ok(None)
    }

    /// Waits for all tasks.
    pub fn wait(&self, _awake: &mut dyn FnMut()) {
        match self.0 {}
    }

    /// Wakes tasks without blocking.
    pub fn poll(&self) {
        match self.0 {}
    }

    /// Makes the thread that waits return.
    pub fn wake(&self) {
        match self.0 {}
    }

    /// Waits no more.
    pub fn detach(&self) {
        match self.0 {}
    }
}

/// Makes sure that there is what the reactor needs.
///
/// # Errors
///
/// Fails if the system gives no thread.
pub fn start() -> io::Result<()> {
    let probe = std::thread::Builder::new().spawn(|| ())?;
    // It does nothing that could panic.
    probe.join().ok();
    async_io::block_on(std::future::ready(()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn sockets_and_times_are_waited_for_without_a_driver() -> io::Result<()> {
        start()?;
        assert!(Driver::attach()?.is_none());
        block_on(async {
            let listener = Source::new(TcpListener::bind("127.0.0.1:0")?)?;
            let client = Source::connect(listener.get_ref().local_addr()?).await?;
            let (server, _) = listener.read_with(|listener| listener.accept()).await?;
            let server = Source::new(server)?;
            Timer::after(Duration::from_millis(1)).await;
            Timer::at(Instant::now()).await;
            client.writable(client.known()).await;
            client
                .write_with(|mut client| client.write(b"hello"))
                .await?;
            server.readable(server.known()).await;
            let mut buffer = [0; 16];
            let read = |mut server: &TcpStream| server.read(&mut buffer);
            assert_eq!(server.read_with(read).await?, 5);
            Ok(())
        })
    }
}
