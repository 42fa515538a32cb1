//! `tcp_echo` and `udp_echo`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;

use lunatic_testkit::{TIMEOUT, skipped};

use crate::server::{Server, echoed, lunatic};

#[test]
fn bytes_come_back_to_many_who_are_connected_at_once() {
    let server = Server::start("tcp_echo", &[]);
    let mut clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let text = format!("client {number}");
        assert_eq!(echoed(client, text.as_bytes()), text.as_bytes());
    }
}

#[test]
fn what_is_longer_than_all_buffers_comes_back_whole() {
    const LENGTH: usize = 8 << 20;
    let server = Server::start("tcp_echo", &[]);
    let mut client = server.connect();
    let mut sink = client.try_clone().unwrap();
    let bytes: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    let sent = bytes.clone();
    let writer = thread::spawn(move || {
        sink.write_all(&sent).unwrap();
        sink.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == bytes);
}

#[test]
fn datagrams_come_back_to_their_senders() {
    let server = Server::start("udp_echo", &[]);
    let sockets: Vec<UdpSocket> = (0..10)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for (number, socket) in sockets.iter().enumerate() {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let datagram = vec![number as u8; 1 << number];
        socket.send_to(&datagram, server.address).unwrap();
    }
    for (number, socket) in sockets.iter().enumerate() {
        let mut buffer = [0; 1 << 12];
        let (count, sender) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(sender, server.address);
        assert_eq!(buffer[..count], vec![number as u8; 1 << number]);
    }
}

#[test]
fn a_port_in_use_ends_the_program_with_a_sentence() {
    let server = Server::start("tcp_echo", &[]);
    let output = lunatic(".".as_ref(), "tcp_echo")
        .arg(server.address.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("cannot bind {}: Address already in use", server.address);
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_privileged_port_ends_the_program_with_a_sentence() {
    const ADDRESS: &str = "127.0.0.1:1";
    let lunatic = lunatic(".".as_ref(), "tcp_echo");
    let mut command = Command::new(lunatic.get_program());
    if TcpListener::bind(ADDRESS).is_ok() {
        // Whoever runs this may do it, so the program gets less.
        if Command::new("setpriv").arg("--version").output().is_err() {
            skipped("`setpriv` (util-linux) isn't there to take the privilege away");
            return;
        }
        command = Command::new("setpriv");
        command.arg("--bounding-set=-net_bind_service");
        command.arg(lunatic.get_program());
    }
    command.args(lunatic.get_args()).arg(ADDRESS);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "cannot bind 127.0.0.1:1: Permission denied";
    assert!(said.contains(expected), "{said}");
}
