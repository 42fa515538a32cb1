//! The first line of both sides.

use serde::{Deserialize, Serialize};

/// The version of the protocol. It is counted up when an older program would misunderstand
/// what a newer one says; a new request or a new field is no reason.
pub const PROTOCOL: u32 = 1;

/// The first line of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The [`PROTOCOL`].
    pub lunatic_admin: u32,
    /// The version of the program.
    pub version: String,
    /// The name of the runtime; a client has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The process id of the system of the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

impl Hello {
    /// The first line of a client of this version.
    pub fn of_client() -> Hello {
        Hello {
            lunatic_admin: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: None,
            pid: None,
        }
    }

    /// The first line of a runtime of this version.
    pub fn of_runtime(name: &str) -> Hello {
        Hello {
            name: Some(name.to_owned()),
            pid: Some(std::process::id()),
            ..Hello::of_client()
        }
    }
}
