//! Sends back what it is sent over TLS: `tls_echo ADDRESS CERTIFICATE KEY`.
//!
//! Certificate and key are files with PEM text. The handshake is done by the
//! first read, in the process of the connection: a client that is slow, or speaks
//! no TLS, keeps nobody else waiting.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};

use lunatic::net::{TlsListener, TlsStream};
use lunatic::{Mailbox, Process};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, certificate, key] = &arguments[..] else {
        return Err("usage: tls_echo ADDRESS CERTIFICATE KEY".into());
    };
    let listener = TlsListener::bind(address.as_str(), fs::read(certificate)?, fs::read(key)?)?;
    net::announce(listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                Process::spawn(stream, echo);
            }
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}

fn echo(mut stream: TlsStream, _: Mailbox<()>) {
    if let Err(error) = try_echo(&mut stream) {
        eprintln!("a connection ended: {error}");
    }
}

fn try_echo(stream: &mut TlsStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}
