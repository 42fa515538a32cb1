//! Sends each datagram back to its sender: `udp_echo [ADDRESS]`.

use std::io;

use lunatic::net::UdpSocket;

/// No datagram is longer.
const LONGEST: usize = 65_535;

fn main() -> io::Result<()> {
    let socket = UdpSocket::bind(net::address())?;
    net::announce(socket.local_addr()?);
    let mut buffer = vec![0; LONGEST];
    loop {
        let answered = socket
            .recv_from(&mut buffer)
            .and_then(|(count, sender)| socket.send_to(&buffer[..count], sender));
        if let Err(error) = answered {
            eprintln!("cannot answer: {error}");
        }
    }
}
