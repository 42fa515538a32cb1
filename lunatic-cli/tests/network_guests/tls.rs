//! `tls_echo` and `tls_client`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::server::{Server, echoed, lunatic};

/// A directory with a certificate for `localhost` that vouches for itself.
fn identity() -> TempDir {
    let directory = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(directory.path().join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
    directory
}

fn start(identity: &TempDir) -> Server {
    Server::start_in(identity.path(), "tls_echo", &["certificate.pem", "key.pem"])
}

/// A client that trusts the certificate of a directory.
fn client(server: &Server, identity: &TempDir) -> StreamOwned<ClientConnection, TcpStream> {
    let certificate = CertificateDer::from_pem_file(identity.path().join("certificate.pem"));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, server.connect())
}

#[test]
fn bytes_come_back_encrypted() {
    let identity = identity();
    let server = start(&identity);
    let mut client = client(&server, &identity);
    assert_eq!(echoed(&mut client, b"a secret"), b"a secret");
    let long = vec![7; 100_000];
    for part in long.chunks(1000) {
        assert_eq!(echoed(&mut client, part), part);
    }
}

#[test]
fn clients_that_speak_plain_http_or_say_nothing_hurt_nobody_else() {
    let identity = identity();
    let server = start(&identity);
    let _silent: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    let mut plain = server.connect();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // An alert of TLS, and the end.
    plain.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&21));
    assert_eq!(echoed(&mut client(&server, &identity), b"ping"), b"ping");
}

/// Runs the client with a line on its standard input.
fn run_client(directory: &Path, host: &str, port: u16, more: &[&str]) -> Output {
    let mut child = lunatic(directory, "tls_client")
        .args([host, &port.to_string()])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without looking at it.
    let _ = child.stdin.take().unwrap().write_all(b"one\ntwo\n");
    child.wait_with_output().unwrap()
}

#[test]
fn the_client_trusts_the_root_it_is_given_and_nobody_else() {
    let identity = identity();
    let server = start(&identity);
    let port = server.address.port();
    let output = run_client(identity.path(), "localhost", port, &["certificate.pem"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "one\ntwo\n");
    assert_eq!(output.status.code(), Some(0));

    let output = run_client(identity.path(), "localhost", port, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the TLS handshake failed"), "{said}");
}
