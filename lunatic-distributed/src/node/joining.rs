//! Joining a cluster with a token.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lunatic_quic::{CloseReason, Endpoint, EndpointConfig, Event, Tls};
use lunatic_trust::{Credentials, TokenJoin};

use crate::frame::{LANES, MAX_UNIT_BYTES};

/// How long one node is asked.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a node has not joined.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinFailed {
    /// None of the seeds has an address.
    NoSeed(String),
    /// The system refuses.
    System(io::Error),
    /// A node that was asked could not be reached.
    Unreached {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// A node that was asked refused.
    Seed {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

impl JoinFailed {
    /// Whether it may go better later: nobody was there to ask.
    pub fn may_pass(&self) -> bool {
        match self {
            JoinFailed::NoSeed(seeds) => !seeds.is_empty(),
            JoinFailed::Unreached { .. } => true,
            JoinFailed::System(_) | JoinFailed::Seed { .. } => false,
        }
    }
}

/// Asks seeds, one after the other, for the credentials that a token stands for. It blocks.
///
/// - `seeds`: as `host:port`; nodes that have the directory of the cluster.
///
/// # Errors
///
/// [`JoinFailed`], of the last one that has refused; else of the last one that was asked.
pub fn join(token: &TokenJoin, seeds: &[String]) -> Result<Credentials, JoinFailed> {
    let mut refused = None;
    let mut unreached = JoinFailed::NoSeed(seeds.join(", "));
    let mut note = |failed: JoinFailed| match failed.may_pass() {
        true => unreached = failed,
        false => refused = Some(failed),
    };
    for seed in seeds {
        let addresses = match seed.to_socket_addrs() {
            Ok(addresses) => addresses,
            Err(error) => {
                note(JoinFailed::NoSeed(format!("{seed}: {error}")));
                continue;
            }
        };
        for address in addresses {
            match ask(token, address) {
                Ok(credentials) => return Ok(credentials),
                Err(error) => note(error),
            }
        }
    }
    Err(refused.unwrap_or(unreached))
}

fn ask(token: &TokenJoin, address: SocketAddr) -> Result<Credentials, JoinFailed> {
    let failed = |reason: String| JoinFailed::Seed { address, reason };
    let unreached = |reason: String| JoinFailed::Unreached { address, reason };
    let tls = |error: rustls::Error| failed(error.to_string());
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| JoinFailed::System(io::Error::other(error)))?;
    let client = token.tls().map_err(tls)?;
    let server = nobody().map_err(tls)?;
    let mut config = EndpointConfig::new(any, Tls { server, client }, key);
    config.lanes = LANES;
    config.max_frame = MAX_UNIT_BYTES;
    config.handshake_timeout = LIMIT / 2;
    let mut endpoint = Endpoint::bind(config).map_err(JoinFailed::System)?;
    let dialled = endpoint.dial(address, "lunatic");
    let id = dialled.map_err(|error| unreached(error.to_string()))?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        endpoint.wait(Some(end)).map_err(JoinFailed::System)?;
        while let Some(event) = endpoint.next_event() {
            match event {
                Event::Connected { .. } => {
                    endpoint.send(id, 0, token.request().to_vec().into());
                }
                Event::Frame { bytes, .. } => {
                    let joined = token.finish(&bytes, SystemTime::now());
                    let limit = Duration::from_millis(100);
                    endpoint.shut_down(0, "joined", limit).ok();
                    return joined
                        .map_err(|error| failed(lunatic_error::with_causes(&error).to_string()));
                }
                Event::Closed { reason, .. } => {
                    return Err(match reason {
                        CloseReason::TimedOut
                        | CloseReason::Refused
                        | CloseReason::Unreachable(_)
                        | CloseReason::Reset => unreached(reason.to_string()),
                        reason => failed(explained(&reason)),
                    });
                }
                _ => {}
            }
        }
    }
    Err(unreached("it has not answered in time".into()))
}

fn explained(reason: &CloseReason) -> String {
    match reason {
        CloseReason::Tls { .. } => format!(
            "{reason}. Only a node that has the directory of the cluster (--cluster DIR) lets \
             others join, and only with a token of that directory"
        ),
        reason => reason.to_string(),
    }
}

/// For an endpoint that only dials: whoever dials it is refused.
fn nobody() -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoCertificate));
    Ok(Arc::new(server))
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::server::ResolvesServerCert for NoCertificate {
    fn resolve(
        &self,
        _: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

impl fmt::Display for JoinFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinFailed::NoSeed(seeds) if seeds.is_empty() => {
                f.write_str("there is no node to ask: name one with --join HOST:PORT")
            }
            JoinFailed::NoSeed(seeds) => write!(f, "no address is known of {seeds}"),
            JoinFailed::System(error) => write!(f, "the system refuses: {error}"),
            JoinFailed::Unreached { address, reason } => {
                write!(f, "the node at {address} cannot be reached: {reason}")
            }
            JoinFailed::Seed { address, reason } => {
                write!(
                    f,
                    "the node at {address} has not let this one join: {reason}"
                )
            }
        }
    }
}

impl Error for JoinFailed {}
