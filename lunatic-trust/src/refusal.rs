//! Why a peer is not let in.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use crate::fingerprint::Fingerprint;
use crate::instant::Utc;
use crate::name::{ClusterName, NodeName};

/// All that a peer that is refused may be told, with a number behind it that says nothing but tells
/// one refusal from others. What a [`Refusal`] says is for the own log.
pub const REFUSED: &str = "refused";

/// Why a peer is not let in: for the own log, not for the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer speaks none of our protocols.
    WrongProtocol {
        /// What it asked for, if anything.
        offered: Option<String>,
    },
    /// It has no certificate, and does not ask to join.
    NoCertificate,
    /// It asks to join, which this node cannot let it.
    JoiningElsewhere,
    /// It showed more, or larger, certificates than are looked at.
    TooLarge,
    /// What it showed is no certificate.
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// Its certificate names no node, or several.
    NoName,
    /// Its certificate is from another authority.
    WrongAuthority {
        /// The node that the certificate names, which nobody vouches for.
        claimed: Option<NodeName>,
        /// The authorities that are accepted.
        expected: Vec<Fingerprint>,
    },
    /// It is a node of another cluster.
    OtherCluster {
        /// Its cluster, for which nobody may vouch.
        cluster: ClusterName,
        /// Ours.
        ours: ClusterName,
    },
    /// Its certificate is valid no more.
    Expired {
        /// The node that the certificate names.
        name: NodeName,
        /// The first time at which it is valid.
        not_before: SystemTime,
        /// The last.
        not_after: SystemTime,
        /// What the clock of this host says.
        host_time: SystemTime,
    },
    /// Its certificate is not valid yet.
    NotYetValid {
        /// The node that the certificate names.
        name: NodeName,
        /// The first time at which it is valid.
        not_before: SystemTime,
        /// The last.
        not_after: SystemTime,
        /// What the clock of this host says.
        host_time: SystemTime,
    },
    /// The name was revoked after the certificate had been issued.
    Revoked {
        /// The node that the certificate names.
        name: NodeName,
        /// When it was revoked.
        at: SystemTime,
    },
    /// The certificate is for something else, or its signature is not understood.
    Unusable {
        /// What is wrong.
        reason: String,
    },
}

impl Refusal {
    /// Returns what can be done so that the peer is accepted, if that depends on the reason.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Self::WrongProtocol { .. } => Some("run the same version of the program on both hosts"),
            Self::JoiningElsewhere => {
                Some("it is to ask a node that was started with the directory of the cluster")
            }
            Self::WrongAuthority { .. } | Self::OtherCluster { .. } => {
                Some("start both with the directory, a token, or certificates of the same cluster")
            }
            Self::Expired { .. } => {
                Some("give that node another certificate, or set the clock that is wrong")
            }
            Self::NotYetValid { .. } => {
                Some("set the clock that is wrong, or give that node another certificate")
            }
            Self::Revoked { .. } => {
                Some("it can join with a token that is made from now on, or under another name")
            }
            _ => None,
        }
    }

    /// Returns the reason, and what can be done.
    pub fn explained(&self) -> String {
        match self.next_step() {
            Some(step) => format!("{self}; {step}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongProtocol { offered: None } => f.write_str("the peer named no protocol"),
            Self::WrongProtocol {
                offered: Some(offered),
            } => write!(f, "the peer speaks another protocol: {offered}"),
            Self::NoCertificate => f.write_str("the peer has no certificate"),
            Self::JoiningElsewhere => f.write_str(
                "the peer asks to join, and this node has no cluster directory to let it",
            ),
            Self::TooLarge => f.write_str("the certificates of the peer are too large"),
            Self::Malformed { reason } => {
                write!(f, "the certificate of the peer cannot be read: {reason}")
            }
            Self::NoName => f.write_str(
                "the certificate of the peer has no name of the form lunatic://CLUSTER/NODE, or several",
            ),
            Self::WrongAuthority { claimed, expected } => {
                f.write_str("the certificate of the peer")?;
                if let Some(name) = claimed {
                    write!(f, ", which says {name},")?;
                }
                f.write_str(" is not from the authority of this cluster")?;
                for (index, fingerprint) in expected.iter().enumerate() {
                    let before = if index == 0 { ", which is" } else { " or" };
                    write!(f, "{before} {fingerprint}")?;
                }
                Ok(())
            }
            Self::OtherCluster { cluster, ours } => {
                write!(f, "the peer is of the cluster {cluster}, and this is {ours}")
            }
            Self::Expired {
                name,
                not_before,
                not_after,
                host_time,
            } => write!(
                f,
                "the certificate of {name} has expired: it is valid from {} to {}, and the clock of this host says {}",
                Utc(*not_before),
                Utc(*not_after),
                Utc(*host_time)
            ),
            Self::NotYetValid {
                name,
                not_before,
                not_after,
                host_time,
            } => write!(
                f,
                "the certificate of {name} is not valid yet: it is valid from {} to {}, and the clock of this host says {}",
                Utc(*not_before),
                Utc(*not_after),
                Utc(*host_time)
            ),
            Self::Revoked { name, at } => write!(f, "{name} was revoked at {}", Utc(*at)),
            Self::Unusable { reason } => {
                write!(f, "the certificate of the peer cannot be used: {reason}")
            }
        }
    }
}

impl Error for Refusal {}
