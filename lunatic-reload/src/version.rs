//! What a version is, and what there is of a module.

use std::sync::Arc;

use crate::entries::Entries;
use crate::rollout::ProgressCount;

/// One version of a module.
#[derive(Debug, Clone)]
pub struct Version<M> {
    /// The hash of its bytes, which tells it from others.
    pub hash: [u8; 32],
    /// The module itself.
    pub module: M,
    /// What it can take over.
    pub entries: Arc<Entries>,
}

/// What there is of a module with a name.
#[derive(Debug, Clone)]
pub struct NamedVersions<M> {
    /// The name.
    pub name: Arc<str>,
    /// The version that is current.
    pub current: Version<M>,
    /// The versions before that something may still use, the latest first. There is one, unless a
    /// reload was to end the processes of the one before that and has gone back in part.
    pub old: Vec<Version<M>>,
    /// How many processes offer themselves.
    pub offering: usize,
    /// Whether a reload goes on.
    pub is_reloading: bool,
    /// How far it has come, while it moves processes.
    pub progress: Option<ProgressCount>,
}
