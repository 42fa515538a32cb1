//! Serves a small site: `http_server [ADDRESS [MILLISECONDS]]`.
//!
//! Each connection has a process of its own, which may crash (`/crash`) without
//! anybody else noticing. The second argument says how long a client may take to
//! send a request or to read an answer.

use std::env;
use std::error::Error;
use std::time::Duration;

use lunatic::net::TcpListener;
use net::http;

fn main() -> Result<(), Box<dyn Error>> {
    let patience = match env::args().nth(2) {
        Some(millis) => Duration::from_millis(millis.parse()?),
        None => http::PATIENCE,
    };
    let listener = TcpListener::bind(net::address())?;
    net::announce(listener.local_addr()?);
    http::serve(&listener, patience)
}
