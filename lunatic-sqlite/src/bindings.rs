//! The values that are bound to the parameters of a statement.

use std::collections::HashMap;
use std::sync::Arc;

use crate::value::{Key, Value};

/// How many parameters a statement may have.
pub(crate) const MAX_PARAMETERS: usize = 32_766;

/// What an entry takes beside what its key and value have, in bytes: a place in a list and one in
/// a map, which have room for twice as many.
const ENTRY: usize = 160;

/// Values by their parameters, in the order in which the parameters were first named.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// Shared with the thread of the connection while it runs the statement.
    values: Arc<Vec<(Key, Value)>>,
    /// Where the value of each is.
    places: HashMap<Key, usize>,
    /// The number that was named last, and was new.
    last_number: u64,
    bytes: usize,
}

impl Bindings {
    /// Binds a value.
    ///
    /// - `max`: the bytes that all keys and values may have together.
    ///
    /// # Errors
    ///
    /// Fails, and nothing is bound, if they would have more, or would be more than
    /// [`MAX_PARAMETERS`].
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
        let count = self.values.len() + usize::from(known.is_none());
        if count > MAX_PARAMETERS || bytes - count * ENTRY > max {
            return Err(TooLarge);
        }
        self.bytes = bytes;
        match known {
            Some(at) => Arc::make_mut(&mut self.values)[at].1 = value,
            None => {
                if let Key::Number(number) = key {
                    self.last_number = number;
                }
                self.places.insert(key.clone(), self.values.len());
                Arc::make_mut(&mut self.values).push((key, value));
            }
        }
        Ok(())
    }

    /// By how many bytes they may grow at most by a list of values to bind.
    ///
    /// - `count`: how many values it has.
    /// - `bytes`: its length.
    pub(crate) fn growth(count: usize, bytes: usize) -> usize {
        count.saturating_mul(ENTRY).saturating_add(2 * bytes)
    }

    /// Returns all of them.
    pub(crate) fn values(&self) -> &Arc<Vec<(Key, Value)>> {
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
