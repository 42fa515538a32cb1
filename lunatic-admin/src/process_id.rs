//! The id of a process as it is written for people and in JSON.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a process: `42`, or `7.42` on node 7 of a cluster. In JSON it is a text,
/// since its 64 bits are more than the numbers of many programs hold.
///
/// ```
/// use lunatic_admin::ProcessId;
///
/// let id: ProcessId = "7.42".parse()?;
/// assert_eq!(id.to_bits(), 7 << 44 | 42);
/// assert_eq!(id.to_string(), "7.42");
/// # Ok::<(), lunatic_admin::InvalidProcessId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(u64);

/// A text is no [`ProcessId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidProcessId;

/// Bits of the counter, which is below the number of the node.
const COUNTER_BITS: u32 = 44;

impl ProcessId {
    /// Returns the id that has these bits in the host interface.
    pub const fn from_bits(bits: u64) -> ProcessId {
        ProcessId(bits)
    }

    /// Returns the bits of the id in the host interface.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl FromStr for ProcessId {
    type Err = InvalidProcessId;

    fn from_str(text: &str) -> Result<ProcessId, InvalidProcessId> {
        let number = |digits: &str, bits: u32| {
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = digits.parse().map_err(|_| InvalidProcessId)?;
            match is_plain && number >> bits == 0 {
                true => Ok(number),
                false => Err(InvalidProcessId),
            }
        };
        let (node, counter) = text.split_once('.').unwrap_or(("0", text));
        let node = number(node, u64::BITS - COUNTER_BITS)?;
        Ok(ProcessId(
            node << COUNTER_BITS | number(counter, COUNTER_BITS)?,
        ))
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counter = self.0 & ((1 << COUNTER_BITS) - 1);
        match self.0 >> COUNTER_BITS {
            0 => counter.fmt(f),
            node => write!(f, "{node}.{counter}"),
        }
    }
}

impl Serialize for ProcessId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProcessId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProcessId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for InvalidProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a process id is a number like `42`, or `7.42` on node 7")
    }
}

impl Error for InvalidProcessId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_refused() {
        let beyond = (1_u64 << 44).to_string();
        for bad in [
            "",
            "-1",
            "+1",
            "1.",
            ".1",
            "1.2.3",
            "a",
            "1048576.1",
            &beyond,
        ] {
            assert_eq!(bad.parse::<ProcessId>(), Err(InvalidProcessId), "{bad:?}");
        }
        let last = ProcessId::from_bits(u64::MAX);
        assert_eq!(last.to_string().parse(), Ok(last));
    }

    #[test]
    fn in_json_it_is_a_text() {
        let json = serde_json::to_string(&ProcessId::from_bits(42)).ok();
        assert_eq!(json.as_deref(), Some("\"42\""));
        assert!(serde_json::from_str::<ProcessId>("42").is_err());
    }
}
