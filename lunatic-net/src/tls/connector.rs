//! The client side of TLS.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use lunatic_account::Account;
use lunatic_blocking::{Class, SingleFlight};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::connecting;
use crate::errors::{ConnectError, StreamError};
use crate::tls::handshake::HandshakeError;
use crate::tls::roots::{self, RootsError};
use crate::tls::verifier::BoundedVerifier;
use crate::tls::{TlsStream, provider};

/// Makes TLS connections to servers whose certificates it trusts.
///
/// # Examples
///
/// ```
/// use futures_lite::future;
/// use lunatic_net::{TlsConnector, TlsIdentity, TlsListener};
/// use rcgen::{CertificateParams, KeyPair};
///
/// # future::block_on(async {
/// let key = KeyPair::generate()?;
/// let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?.pem();
/// let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes())?;
///
/// let listener = TlsListener::bind("127.0.0.1:0".parse()?, identity).await?;
/// let connector = TlsConnector::with_roots(&[certificate])?;
/// let server = async {
///     let (stream, _) = listener.accept().await?;
///     stream.write_all(b"hello").await?;
///     Ok::<_, Box<dyn std::error::Error>>(stream)
/// };
/// let client = async {
///     let stream = connector.connect("localhost", listener.local_addr()?).await?;
///     let mut buffer = [0; 16];
///     let count = stream.read(&mut buffer).await?;
///     Ok(buffer[..count].to_vec())
/// };
/// let (_stream, received) = future::try_zip(server, client).await?;
/// assert_eq!(received, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    /// At least what the root certificates take, in bytes, unless all share them.
    roots: u64,
}

impl TlsConnector {
    /// Returns a connector that trusts the root certificates of the system, or those of
    /// Mozilla if the system has none. They are read once.
    ///
    /// # Errors
    ///
    /// [`RootsError::Unusable`] if TLS cannot be set up with them.
    pub async fn with_system_roots() -> Result<TlsConnector, RootsError> {
        static SYSTEM: OnceLock<TlsConnector> = OnceLock::new();
        static READING: SingleFlight = SingleFlight::new();
        let read = || {
            if SYSTEM.get().is_none() {
                let connector = TlsConnector::new(roots::of_system(), 0)?;
                SYSTEM.get_or_init(|| connector);
            }
            Ok(())
        };
        loop {
            if let Some(connector) = SYSTEM.get() {
                return Ok(connector.clone());
            }
            let ended = READING.ended();
            let reading = Class::Cache.queue().run(move || READING.try_run(read));
            match reading.await {
                Some(read) => read?,
                None => ended.await,
            }
        }
    }

    /// Returns a connector that trusts only the root certificates in these PEM texts.
    ///
    /// # Errors
    ///
    /// [`RootsError`] if a text cannot be read or has no certificate, if a certificate has a key of
    /// RSA with more than 4096 bits, or if TLS cannot be set up with them.
    pub fn with_roots(texts: &[impl AsRef<[u8]>]) -> Result<TlsConnector, RootsError> {
        let bytes: usize = texts.iter().map(|text| text.as_ref().len()).sum();
        TlsConnector::new(roots::from_pem(texts)?, bytes as u64)
    }

    fn new(roots: RootCertStore, bytes: u64) -> Result<TlsConnector, RootsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(RootsError::Unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(BoundedVerifier::new(roots)?))
            .with_no_client_auth();
        // What servers give to be resumed is kept for all who use these certificates, and nobody
        // pays for it.
        config.resumption = Resumption::disabled();
        Ok(TlsConnector {
            config: Arc::new(config),
            roots: bytes,
        })
    }

    /// Connects to an address and does the handshake, with the time limit of the system
    /// only.
    ///
    /// - `name`: the host name or address that the certificate of the server must be
    ///   for. A host name is also sent to the server.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the name is not valid, the address cannot be connected to, or
    /// the handshake fails.
    pub async fn connect(
        &self,
        name: &str,
        address: SocketAddr,
    ) -> Result<TlsStream, ConnectError> {
        self.connect_any(name, &[address]).await
    }

    /// Like [`connect`](TlsConnector::connect), to the one of several addresses that
    /// answers first. They are tried one after the other, each after a quarter of a
    /// second or when those before have failed.
    ///
    /// # Errors
    ///
    /// As [`connect`](TlsConnector::connect). If no address can be connected to, it is
    /// the error of the last one.
    pub async fn connect_any(
        &self,
        name: &str,
        addresses: &[SocketAddr],
    ) -> Result<TlsStream, ConnectError> {
        self.connect_any_for(name, addresses, None).await
    }

    /// Like [`connect_any`](TlsConnector::connect_any), for an account: as many addresses are tried
    /// at the same time as it has descriptors for.
    ///
    /// - `payer`: one descriptor is charged to it already.
    ///
    /// # Errors
    ///
    /// As [`connect_any`](TlsConnector::connect_any).
    pub async fn connect_any_charged(
        &self,
        name: &str,
        addresses: &[SocketAddr],
        payer: &Account,
    ) -> Result<TlsStream, ConnectError> {
        self.connect_any_for(name, addresses, Some(payer)).await
    }

    async fn connect_any_for(
        &self,
        name: &str,
        addresses: &[SocketAddr],
        payer: Option<&Account>,
    ) -> Result<TlsStream, ConnectError> {
        let server = ServerName::try_from(name)
            .map_err(|_| ConnectError::BadServerName(name.to_owned()))?
            .to_owned();
        let connected = connecting::connect_any(addresses, payer).await;
        let no_address = || Err(ConnectError::NoAddress(name.to_owned()));
        let (socket, address) = connected.unwrap_or_else(no_address)?;
        let failed = |source| ConnectError::Handshake { address, source };
        let client = ClientConnection::new(self.config.clone(), server)
            .map_err(|error| failed(error.into()))?;
        let stream = TlsStream::new(socket, client.into(), self.roots, None, false, None);
        match stream.handshake().await {
            Ok(()) => Ok(stream),
            Err(StreamError::Handshake(error)) => Err(failed(error)),
            Err(StreamError::Tls(error)) => Err(failed(error.into())),
            Err(StreamError::Io(error)) => Err(failed(error.into())),
            Err(StreamError::TimedOut) => Err(failed(HandshakeError::Closed)),
        }
    }
}
