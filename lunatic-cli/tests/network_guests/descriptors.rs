//! What the limit of file descriptors does to a server. It is set by the shell,
//! so this needs one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::server::{Server, echoed};

#[test]
fn the_limit_that_shells_set_is_raised_as_far_as_it_can_be() {
    let (server, _stderr) = Server::start_limited("ulimit -Sn 64", "tcp_echo");
    let mut clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(echoed(client, b"ping"), b"ping");
    }
}

#[test]
fn at_the_limit_the_server_says_so_now_and_then_and_later_goes_on() {
    let (server, stderr) = Server::start_limited("ulimit -n 64", "tcp_echo");
    let mut clients: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"ping").unwrap();
    }
    let mut lines = BufReader::new(stderr).lines();
    let error = lines.next().unwrap().unwrap();
    assert!(error.contains("cannot accept a connection"), "{error}");
    assert!(error.contains("ulimit -n"), "{error}");
    // Those who wait are served when others are gone.
    let waiting = clients.split_off(60);
    drop(clients);
    for mut client in waiting {
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping");
    }
}
