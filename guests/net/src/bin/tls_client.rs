//! Sends lines over TLS and prints those that come back:
//! `tls_client HOST PORT [ROOT]`.
//!
//! The lines are those of its standard input. `ROOT` is a file with PEM text;
//! without it, whoever the system trusts is trusted.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{stdin, BufRead, BufReader, Write};
use std::time::Duration;

use lunatic::net::TlsStream;

/// How long to wait for the server, and for each of its answers.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (host, port, roots) = match &arguments[..] {
        [host, port] => (host, port, Vec::new()),
        [host, port, root] => (host, port, vec![fs::read(root)?]),
        _ => return Err("usage: tls_client HOST PORT [ROOT]".into()),
    };
    let mut stream = TlsStream::connect_timeout(host, PATIENCE, port.parse()?, roots)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.clone());
    for line in stdin().lock().lines() {
        writeln!(stream, "{}", line?)?;
        let mut answer = String::new();
        if answers.read_line(&mut answer)? == 0 {
            return Err("the server closed the connection".into());
        }
        print!("{answer}");
    }
    Ok(())
}
