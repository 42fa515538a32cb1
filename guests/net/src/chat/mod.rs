//! A room where users talk, line by line.

mod lines;
mod room;
mod user;

use lunatic::net::TcpListener;
use lunatic::Process;

/// Accepts users for ever, and gives each a process of its own.
pub fn serve(listener: &TcpListener) -> ! {
    let room = Process::spawn_link((), room::open);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                Process::spawn((stream, room), user::welcome);
            }
            // The others go on; the runtime sees to it that this is no spin.
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}
