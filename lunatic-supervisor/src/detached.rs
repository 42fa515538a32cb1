//! A value that another thread drops if it is large, as whoever drops it may be a worker.

use std::ops::{Deref, DerefMut};

use lunatic_account::Charge;
use lunatic_blocking::drop_later;

/// A value with many entries that may be.
#[derive(Debug)]
pub(crate) struct Detached<T: Send + 'static> {
    /// `None` while this is dropped.
    value: Option<T>,
    /// Returns how many entries it has.
    len: fn(&T) -> usize,
    /// What is charged for it until it is gone.
    charge: Option<Charge>,
}

impl<T: Send + 'static> Detached<T> {
    /// - `len`: returns how many entries a value has.
    pub(crate) fn new(value: T, len: fn(&T) -> usize) -> Detached<T> {
        Detached {
            value: Some(value),
            len,
            charge: None,
        }
    }

    /// Releases a charge when the value is gone.
    pub(crate) fn charged(mut self, charge: Charge) -> Detached<T> {
        self.charge = Some(charge);
        self
    }
}

impl<T: Send + 'static> Deref for Detached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl<T: Send + 'static> DerefMut for Detached<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        /// So many entries are dropped at once.
        const FEW: usize = 1024;
        if let Some(large) = self.value.take_if(|value| (self.len)(value) > FEW) {
            drop_later((large, self.charge.take()));
        }
    }
}
