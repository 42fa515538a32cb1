//! The values that are bound to the parameters of a statement.

use std::collections::HashMap;

use crate::value::{Key, Value};

/// What an entry takes beside what its key and value have, roughly, in bytes.
pub(crate) const ENTRY: usize = 64;

/// Values by their parameters, in the order in which the parameters were first named.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    values: Vec<(Key, Value)>,
    /// Where the value of each is.
    places: HashMap<Key, usize>,
    /// The number that was named last, and was new.
    last_number: u64,
    bytes: usize,
}

impl Bindings {
    /// Binds a value.
    ///
    /// - `max`: the bytes that all may take, with [`ENTRY`] for each.
    ///
    /// # Errors
    ///
    /// Fails, and nothing is bound, if they would take more.
    pub(crate) fn bind(&mut self, key: Key, value: Value, max: usize) -> Result<(), TooLarge> {
        let key = match key {
            Key::Next => Key::Number(self.last_number.saturating_add(1)),
            key => key,
        };
        let known = self.places.get(&key).copied();
        let bytes = match known {
            Some(at) => self.bytes - self.values[at].1.size() + value.size(),
            // The key of a name is kept twice.
            None => self.bytes + value.size() + 2 * key.size() + ENTRY,
        };
        if bytes > max {
            return Err(TooLarge);
        }
        self.bytes = bytes;
        match known {
            Some(at) => self.values[at].1 = value,
            None => {
                if let Key::Number(number) = key {
                    self.last_number = number;
                }
                self.places.insert(key.clone(), self.values.len());
                self.values.push((key, value));
            }
        }
        Ok(())
    }

    /// Returns all of them.
    pub(crate) fn values(&self) -> &[(Key, Value)] {
        &self.values
    }

    /// Returns the bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Values take more bytes than they may.
#[derive(Debug)]
pub(crate) struct TooLarge;
