//! The client side of TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use async_lock::OnceCell;
use lunatic_blocking::Class;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::connecting;
use crate::errors::{ConnectError, StreamError};
use crate::tls::handshake::HandshakeError;
use crate::tls::roots::{self, RootsError};
use crate::tls::{TlsStream, provider};

/// Makes TLS connections to servers whose certificates it trusts.
#[derive(Debug, Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Trusts what the system trusts; if the system has no certificates, what
    /// Mozilla trusts. They are read once.
    ///
    /// # Errors
    ///
    /// [`RootsError::Unusable`].
    pub async fn with_system_roots() -> Result<TlsConnector, RootsError> {
        static SYSTEM: OnceCell<TlsConnector> = OnceCell::new();
        let read = || async {
            let roots = Class::Cache.queue().run(roots::of_system).await;
            TlsConnector::new(roots)
        };
        SYSTEM.get_or_try_init(read).await.cloned()
    }

    /// Trusts the certificates in some PEM texts, and none else.
    ///
    /// # Errors
    ///
    /// [`RootsError`], also if one of the texts has no certificate.
    pub fn with_roots(texts: &[impl AsRef<[u8]>]) -> Result<TlsConnector, RootsError> {
        TlsConnector::new(roots::from_pem(texts)?)
    }

    fn new(roots: RootCertStore) -> Result<TlsConnector, RootsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(RootsError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector {
            config: Arc::new(config),
        })
    }

    /// Connects and does the handshake; there is no time limit but the system's.
    ///
    /// - `name`: what the certificate of the server must be for, a host name or
    ///   an address; the server is told a host name.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(
        &self,
        name: &str,
        address: SocketAddr,
    ) -> Result<TlsStream, ConnectError> {
        self.connect_any(name, &[address]).await
    }

    /// As [`connect`](TlsConnector::connect), to the one of a server's addresses
    /// that answers first. They are tried one after the other, a quarter of a second apart or
    /// as soon as one has failed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; if no address can be connected to, the last failure.
    pub async fn connect_any(
        &self,
        name: &str,
        addresses: &[SocketAddr],
    ) -> Result<TlsStream, ConnectError> {
        let server = ServerName::try_from(name)
            .map_err(|_| ConnectError::BadServerName(name.to_owned()))?
            .to_owned();
        let connected = connecting::connect_any(addresses).await;
        let no_address = || Err(ConnectError::NoAddress(name.to_owned()));
        let (socket, address) = connected.unwrap_or_else(no_address)?;
        let failed = |source| ConnectError::Handshake { address, source };
        let client = ClientConnection::new(self.config.clone(), server)
            .map_err(|error| failed(error.into()))?;
        let stream = TlsStream::new(socket, client.into(), None);
        match stream.handshake().await {
            Ok(()) => Ok(stream),
            Err(StreamError::Handshake(error)) => Err(failed(error)),
            Err(StreamError::Tls(error)) => Err(failed(error.into())),
            Err(StreamError::Io(error)) => Err(failed(error.into())),
            Err(StreamError::TimedOut) => Err(failed(HandshakeError::Closed)),
        }
    }
}
