//! What is charged for a config as long as somebody has it.

use lunatic_account::{Account, Charge, Exceeded, Kind};
use parking_lot::Mutex;

/// The charge for a config, beside the config: so it is released with the last process that has
/// the config, whichever that is. A clone charges nothing, as it is the charge of another config.
#[derive(Debug, Default)]
pub struct ConfigCharge(Mutex<Option<Charge>>);

impl ConfigCharge {
    /// Charges the config to the account of its first process; later calls do nothing.
    ///
    /// - `bytes`: its size.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left for it. The next call tries again.
    pub(super) fn begin(
        &self,
        account: &Account,
        bytes: impl FnOnce() -> usize,
    ) -> Result<(), Exceeded> {
        let mut charge = self.0.lock();
        if charge.is_none() {
            *charge = Some(Charge::new(account, Kind::Memory, bytes() as u64)?);
        }
        Ok(())
    }

    /// Releases it: the config has no process any more, and is about to be changed.
    pub(super) fn end(&self) {
        self.0.lock().take();
    }
}

impl Clone for ConfigCharge {
    fn clone(&self) -> ConfigCharge {
        ConfigCharge::default()
    }
}
