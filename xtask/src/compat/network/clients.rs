//! Clients that know nothing of Lunatic: `nc`, `openssl`, `curl`; where one isn't
//! installed that is said, and the standard library takes its place if it can.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;

/// How long a client waits for anything.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// The lines for a server that sends lines back until one contains `exit`.
const LINES: &str = "hello\nthere\nexit\n";
const ECHOED: &str = "hello\nthere\n";

/// The response of `tls_echo_server`.
const PAGE: &str = "<h1>Hello world!</h1>";

/// Connects without a word.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, OPERATION_TIMEOUT)?;
    stream.set_read_timeout(Some(OPERATION_TIMEOUT))?;
    Ok(stream)
}

/// Sends lines with `nc`; what is wrong with the answer.
pub(super) fn echo(address: SocketAddr) -> Result<Option<String>> {
    if !is_installed("nc") {
        println!("    nc isn't installed; the standard library takes its place");
        return echo_over(connect(address)?);
    }
    let mut nc = command::new("nc");
    nc.args(["-w", "20", &address.ip().to_string()])
        .arg(address.port().to_string());
    let answer = talk(&mut nc, LINES)?;
    Ok((answer != ECHOED).then(|| format!("nc hears {answer:?} instead of {ECHOED:?}")))
}

/// Sends lines over a connection; what is wrong with the answer.
pub(super) fn echo_over(mut stream: TcpStream) -> Result<Option<String>> {
    stream.write_all(LINES.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((answer != ECHOED).then(|| format!("std hears {answer:?} instead of {ECHOED:?}")))
}

/// Asks with `openssl s_client`, if that is installed; what is wrong with the
/// answer. The example's own certificates have expired, so they are not checked.
pub(super) fn openssl(address: SocketAddr) -> Result<Option<Option<String>>> {
    if !is_installed("openssl") {
        println!("    openssl isn't installed");
        return Ok(None);
    }
    let mut openssl = command::new("openssl");
    openssl
        .args(["s_client", "-quiet", "-servername", "localhost", "-connect"])
        .arg(address.to_string());
    let answer = talk(&mut openssl, "hello\n")?;
    Ok(Some(without_page("openssl", &answer)))
}

/// Asks with `curl`, likewise.
pub(super) fn curl(address: SocketAddr) -> Result<Option<Option<String>>> {
    if !is_installed("curl") {
        println!("    curl isn't installed");
        return Ok(None);
    }
    let mut curl = command::new("curl");
    curl.args(["--silent", "--insecure", "--max-time", "20"])
        .arg(format!("https://{address}/"));
    let answer = talk(&mut curl, "")?;
    Ok(Some(without_page("curl", &answer)))
}

fn without_page(client: &str, answer: &str) -> Option<String> {
    (!answer.contains(PAGE)).then(|| format!("{client} hears {answer:?} and no {PAGE:?}"))
}

fn is_installed(program: &str) -> bool {
    // The exit code of `-h` does not matter.
    command::new(program)
        .arg("-h")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Runs a client that is given `text`, and returns what it prints.
fn talk(client: &mut Command, text: &str) -> Result<String> {
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a client")?;
    let mut stdin = child.stdin.take().context("the client has no input")?;
    stdin.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    drop(stdin);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
