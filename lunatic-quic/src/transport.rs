//! What the owner configures, in the words of quinn-proto.

use std::io;
use std::sync::Arc;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{HashedConnectionIdGenerator, MtuDiscoveryConfig, TransportConfig, VarInt};
use ring::{hkdf, hmac};

use crate::config::{EndpointConfig, Tls, UnusableTls};
use crate::low_delay::LowDelayConfig;

/// Bytes of one lane that a peer may send before they are read.
const LANE_WINDOW: u32 = 4 << 20;
/// Bytes of all lanes of a connection that a peer may send before they are read.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Bytes of datagrams that wait, in each direction of a connection.
const DATAGRAM_BUFFER: usize = 256 << 10;
/// The round trip that is assumed before one is measured, in milliseconds.
const INITIAL_RTT: u64 = 100;
/// Between two packets that tell a peer its connection is unknown. The ids of connections can be
/// recognised, so that only packets of former connections are answered at all.
const RESET_INTERVAL: std::time::Duration = std::time::Duration::from_millis(1);

/// The settings of connections in both roles.
pub(crate) struct Transport {
    shared: Arc<TransportConfig>,
    token_key: Arc<hkdf::Prk>,
}

impl Transport {
    pub(crate) fn new(config: &EndpointConfig) -> io::Result<Self> {
        let mut shared = TransportConfig::default();
        let idle = config.idle_timeout.try_into().map_err(invalid)?;
        let mut mtu = MtuDiscoveryConfig::default();
        mtu.upper_bound(config.max_packet.max(1200));
        shared
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(u32::from(config.lanes)))
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(Some(config.keep_alive))
            .stream_receive_window(VarInt::from_u32(LANE_WINDOW))
            .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
            .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
            .datagram_send_buffer_size(DATAGRAM_BUFFER)
            .initial_rtt(std::time::Duration::from_millis(INITIAL_RTT))
            .congestion_controller_factory(Arc::new(LowDelayConfig::default()))
            .mtu_discovery_config(Some(mtu));
        Ok(Self {
            shared: Arc::new(shared),
            token_key: Arc::new(derive(&config.key, b"address tokens")),
        })
    }

    /// The settings of connections that others dial.
    pub(crate) fn server(&self, tls: &Tls) -> Result<Arc<quinn_proto::ServerConfig>, UnusableTls> {
        let crypto = QuicServerConfig::try_from(tls.server.clone()).map_err(|_| UnusableTls)?;
        let mut server = quinn_proto::ServerConfig::new(Arc::new(crypto), self.token_key.clone());
        server.transport_config(self.shared.clone());
        Ok(Arc::new(server))
    }

    /// The settings of connections that this endpoint dials.
    pub(crate) fn client(&self, tls: &Tls) -> Result<quinn_proto::ClientConfig, UnusableTls> {
        let crypto = QuicClientConfig::try_from(tls.client.clone()).map_err(|_| UnusableTls)?;
        let mut client = quinn_proto::ClientConfig::new(Arc::new(crypto));
        client.transport_config(self.shared.clone());
        Ok(client)
    }
}

/// The settings of the endpoint itself.
///
/// # Errors
///
/// If the largest packet is below 1200 bytes.
pub(crate) fn endpoint(config: &EndpointConfig) -> io::Result<Arc<quinn_proto::EndpointConfig>> {
    let mut reset_key = [0; 32];
    let filled = derive(&config.key, b"stateless resets")
        .expand(&[b"key"], hkdf::HKDF_SHA256)
        .and_then(|key| key.fill(&mut reset_key));
    let mut id_key = [0; 32];
    let filled = filled.and_then(|()| {
        derive(&config.key, b"connection ids")
            .expand(&[b"key"], hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(&mut id_key))
    });
    filled.map_err(|_| io::Error::other("the key of the endpoint can't be used"))?;
    let id_key = id_key
        .first_chunk()
        .map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes));
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &reset_key);
    let mut endpoint = quinn_proto::EndpointConfig::new(Arc::new(reset_key));
    endpoint
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)))
        .min_reset_interval(RESET_INTERVAL);
    endpoint
        .max_udp_payload_size(config.max_packet)
        .map_err(invalid)?;
    Ok(Arc::new(endpoint))
}

fn derive(key: &[u8; 32], purpose: &[u8]) -> hkdf::Prk {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lunatic-quic");
    salt.extract(&[key, purpose].concat())
}

pub(crate) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
