//! By what a compiled module is found.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The hash of everything that what is kept depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of what depends on `what`, and on the sources of this crate.
    pub(crate) fn of(what: &impl Hash) -> Key {
        let mut hasher = KeyHasher(blake3::Hasher::new());
        env!("LUNATIC_ENGINE_SOURCES").hash(&mut hasher);
        what.hash(&mut hasher);
        Key(hasher.0.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hashes with BLAKE3, so that two inputs with the same key cannot be found.
struct KeyHasher(blake3::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}
