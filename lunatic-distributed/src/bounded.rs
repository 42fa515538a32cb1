//! Lists and maps of other nodes, which are read up to a length only: an element can take far
//! more memory than it has bytes in a frame.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

struct List<T, const MAX: usize>(PhantomData<T>);

struct Map<K, V, const MAX: usize>(PhantomData<(K, V)>);

/// Reads a list of no more than `MAX` elements.
///
/// # Errors
///
/// It is longer, or cannot be read.
pub(crate) fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// Reads a map of no more than `MAX` entries.
///
/// # Errors
///
/// It has more, or cannot be read.
pub(crate) fn map<'de, D, K, V, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Map::<K, V, MAX>(PhantomData))
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == MAX {
                return Err(Error::invalid_length(MAX + 1, &self));
            }
            list.push(element);
        }
        Ok(list)
    }
}

impl<'de, K, V, const MAX: usize> Visitor<'de> for Map<K, V, MAX>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<BTreeMap<K, V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            if map.len() == MAX {
                return Err(Error::invalid_length(MAX + 1, &self));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use serde::Serialize;

    use super::*;

    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Bounded {
        #[serde(deserialize_with = "list::<_, _, 3>")]
        list: Vec<u8>,
        #[serde(deserialize_with = "map::<_, _, _, 2>")]
        map: BTreeMap<u8, u8>,
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let is_read = |list: usize, map: u8| {
            let bounded = Bounded {
                list: vec![7; list],
                map: (0..map).map(|key| (key, key)).collect(),
            };
            let bytes = postcard::to_allocvec(&bounded).unwrap();
            let read = postcard::from_bytes::<Bounded>(&bytes);
            read.is_ok_and(|read| (read.list, read.map) == (bounded.list, bounded.map))
        };
        assert!(is_read(0, 0) && is_read(3, 2));
        assert!(!is_read(4, 2) && !is_read(3, 3));
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        // The length of a list: 2^63, and then nothing.
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(postcard::from_bytes::<Bounded>(&bytes).is_err());
    }
}
