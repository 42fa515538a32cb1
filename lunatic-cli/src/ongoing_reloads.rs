//! Which modules are being reloaded.

use std::collections::HashSet;
use std::sync::Arc;

use lunatic_reload::ReloadError;
use parking_lot::Mutex;

/// The names of modules that are being reloaded.
pub(crate) type OngoingReloads = Arc<Mutex<HashSet<String>>>;

/// A reload of a module, with all that is seen to after processes have moved. No other one of that
/// module begins meanwhile.
pub(crate) struct OngoingReload {
    name: String,
    all: OngoingReloads,
}

impl OngoingReload {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// [`ReloadError::InProgress`].
    pub(crate) fn begin(all: &OngoingReloads, name: &str) -> Result<OngoingReload, ReloadError> {
        match all.lock().insert(name.to_owned()) {
            true => Ok(OngoingReload {
                name: name.to_owned(),
                all: all.clone(),
            }),
            false => Err(ReloadError::InProgress(name.to_owned())),
        }
    }
}

impl Drop for OngoingReload {
    fn drop(&mut self) {
        self.all.lock().remove(&self.name);
    }
}
