//! Medians and ratios, and how numbers look in a table.

use std::time::Duration;

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    Bytes,
    Kibibytes,
    PerSecond,
    Percent,
    Count,
    /// A ratio.
    Times,
}

/// A time in seconds, a size in bytes, a rate in 1/s, a share of 1, a ratio, or a
/// number.
pub(crate) type Value = f64;

pub(crate) fn seconds(time: Duration) -> Value {
    time.as_secs_f64()
}

impl Unit {
    /// The value of `number` of this unit.
    pub(crate) fn value(self, number: f64) -> Value {
        number * self.factor()
    }

    /// Returns `value` as text for a table.
    pub(crate) fn show(self, value: Value) -> String {
        let number = value / self.factor();
        let decimals = match number.abs() {
            0.0 => 0,
            _ if self == Unit::Count => 0,
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        format!("{number:.decimals$} {}", self.symbol())
            .trim_end()
            .to_owned()
    }

    fn factor(self) -> f64 {
        match self {
            Unit::Microseconds => 1e-6,
            Unit::Milliseconds => 1e-3,
            Unit::Bytes | Unit::PerSecond | Unit::Count => 1.0,
            Unit::Kibibytes => 1024.0,
            Unit::Percent => 0.01,
            Unit::Times => 1.0,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Unit::Microseconds => "µs",
            Unit::Milliseconds => "ms",
            Unit::Bytes => "B",
            Unit::Kibibytes => "KiB",
            Unit::PerSecond => "/s",
            Unit::Percent => "%",
            Unit::Count => "",
            Unit::Times => "×",
        }
    }
}

/// The value in the middle, or between the two in the middle.
pub(crate) fn median(values: &[Value]) -> Option<Value> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// How many times `ours` goes into `theirs`, if it does.
pub(crate) fn ratio(theirs: Value, ours: Value) -> Option<f64> {
    (ours > 0.0).then(|| theirs / ours)
}

/// Returns a ratio as text for a table.
pub(crate) fn times(ratio: f64) -> String {
    let decimals = if ratio < 10.0 { 2 } else { 0 };
    format!("{ratio:.decimals$} ×")
}

/// `count` with its digits in groups of three.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{Unit, grouped, median, ratio, times};

    #[test]
    fn a_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), Some(3.0));
    }

    #[test]
    fn nothing_is_a_multiple_of_zero() {
        assert_eq!(ratio(6.0, 2.0), Some(3.0));
        assert_eq!(ratio(0.0, 2.0), Some(0.0));
        assert_eq!(ratio(6.0, 0.0), None);
    }

    #[test]
    fn values_have_the_digits_that_matter() {
        let cases = [
            (Unit::Microseconds, 0.123_456e-6, "0.12 µs"),
            (Unit::Microseconds, 12.345e-6, "12.3 µs"),
            (Unit::Milliseconds, 1.234_56, "1235 ms"),
            (Unit::Milliseconds, 0.0, "0 ms"),
            (Unit::Kibibytes, 2048.0, "2.00 KiB"),
            (Unit::Percent, 0.5, "50.0 %"),
            (Unit::Count, 3.0, "3"),
            (Unit::Count, -3.0, "-3"),
            (Unit::Times, 1.234, "1.23 ×"),
        ];
        for (unit, value, shown) in cases {
            assert_eq!(unit.show(value), shown);
        }
    }

    #[test]
    fn ratios_have_the_digits_that_matter() {
        assert_eq!(times(0.914), "0.91 ×");
        assert_eq!(times(21.3), "21 ×");
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1\u{202f}000");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
