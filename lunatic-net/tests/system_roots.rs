//! The certificates that the system trusts, which are found by an environment
//! variable. The test runs itself again with that variable set.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::Command;

use certificates::Authority;
use futures_lite::future::{block_on, zip};
use lunatic_blocking::Queue;
use lunatic_net::{TlsConnector, TlsIdentity, TlsListener};

const SERVER: &str = "LUNATIC_NET_TEST_SERVER";

#[test]
fn what_the_system_trusts_is_trusted() {
    if let Ok(server) = env::var(SERVER) {
        return connect(server.parse().unwrap());
    }
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root.pem");
    fs::write(&root, authority.root()).unwrap();
    block_on(async {
        let identity = authority.vouch_for("localhost");
        let identity =
            TlsIdentity::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes());
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = TlsListener::bind(address, identity.unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let queue = Queue::new(NonZeroUsize::MIN);
        let client = queue.run(move || {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "what_the_system_trusts_is_trusted"])
                .env(SERVER, address.to_string())
                .env("SSL_CERT_FILE", root)
                .status()
        });
        let serving = async { listener.accept().await.unwrap().0.handshake().await };
        let (client, served) = zip(client, serving).await;
        assert!(client.unwrap().success());
        served.unwrap();
    });
}

fn connect(server: SocketAddr) {
    block_on(async {
        let connector = TlsConnector::with_system_roots().await.unwrap();
        connector.connect("localhost", server).await.unwrap();
    });
}
