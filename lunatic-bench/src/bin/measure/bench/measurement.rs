//! Reads what a guest measured from the lines it printed.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

use crate::number::{self, Value};

/// A line `NAME COUNT NANOSECONDS`.
#[derive(Debug, PartialEq)]
pub(super) struct Measurement {
    /// The name of the work.
    pub(super) name: String,
    /// How often.
    count: u64,
    /// How long all of it took.
    time: Duration,
}

impl Measurement {
    /// Returns the time of one repetition.
    pub(super) fn each(&self) -> Value {
        number::seconds(self.time) / self.count.max(1) as f64
    }
}

impl FromStr for Measurement {
    type Err = Error;

    fn from_str(line: &str) -> Result<Measurement> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, count, nanoseconds] = fields[..] else {
            bail!("`{line}` is no measurement");
        };
        let number = |digits: &str| {
            digits
                .parse()
                .with_context(|| format!("`{line}` is no measurement"))
        };
        Ok(Measurement {
            name: name.to_owned(),
            count: number(count)?,
            time: Duration::from_nanos(number(nanoseconds)?),
        })
    }
}

/// All measurements in what a guest printed.
pub(super) fn all(output: &str) -> Result<Vec<Measurement>> {
    output.lines().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Measurement, all};

    #[test]
    fn each_line_is_a_measurement() {
        let measured = |name: &str, count, nanoseconds| Measurement {
            name: name.to_owned(),
            count,
            time: Duration::from_nanos(nanoseconds),
        };
        assert_eq!(
            all("burst 5000 20000\nwake 5000 10000\n").expect("two measurements"),
            [
                measured("burst", 5000, 20_000),
                measured("wake", 5000, 10_000)
            ]
        );
    }

    #[test]
    fn what_is_something_else_is_named() {
        for line in ["spawn", "spawn 1", "spawn one 2", "spawn 1 -2", "a 1 2 3"] {
            let error = all(line).expect_err(line);
            assert_eq!(error.to_string(), format!("`{line}` is no measurement"));
        }
    }

    #[test]
    fn the_time_of_each_is_a_fraction_and_of_none_no_error() {
        let each = |line: &str| {
            line.parse::<Measurement>()
                .map(|measured| measured.each())
                .ok()
        };
        assert_eq!(each("spawn 4 1000000000"), Some(0.25));
        assert_eq!(each("ready 0 1000000000"), Some(1.0));
    }
}
