//! HTTP/1.1 with a process for each connection.

mod connection;
mod request;
mod response;
mod site;

use std::time::Duration;

use lunatic::net::TcpListener;
use lunatic::Process;

/// How long a client may take to send a request, or to read an answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Accepts connections for ever, and gives each to a process of its own.
pub fn serve(listener: &TcpListener, patience: Duration) -> ! {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                Process::spawn((stream, patience), connection::serve);
            }
            // The others go on; the runtime sees to it that this is no spin.
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}
