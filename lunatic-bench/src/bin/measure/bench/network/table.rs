//! Puts what was measured into a Markdown table.

use super::super::table::cells;
use super::{Measurement, Row, Target};
use crate::number::{self, Value};

/// A measurement and what came of it.
pub(super) struct Line {
    pub(super) measurement: Measurement,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// One for each row.
    Values(Vec<Value>),
    Skipped(String),
    Failed(String),
}

impl Line {
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

pub(super) fn markdown(lines: &[Line]) -> String {
    let mut text = cells(&["What", "n", "measured", "target", "reached"]);
    text += &cells(&["---", "--:", "--:", "--:", "--:"]);
    let mut notes = String::new();
    for line in lines {
        let count = number::grouped(line.measurement.count);
        for (index, row) in line.measurement.rows.iter().enumerate() {
            let value = match &line.outcome {
                Outcome::Values(values) => values.get(index).copied(),
                Outcome::Skipped(_) | Outcome::Failed(_) => None,
            };
            text += &cells(&row.cells(&count, value));
        }
        let title = &line.measurement.rows[0].title;
        match &line.outcome {
            Outcome::Values(_) => {}
            Outcome::Skipped(reason) => notes += &format!("- {title}: not measured, {reason}\n"),
            Outcome::Failed(reason) => notes += &format!("- {title}: failed, {reason}\n"),
        }
    }
    match notes.is_empty() {
        true => text,
        false => format!("{text}\n{notes}"),
    }
}

impl Row {
    fn cells(&self, count: &str, value: Option<Value>) -> [String; 5] {
        const NOTHING: &str = "–";
        let show = |number: f64| self.unit.show(self.unit.value(number));
        let (target, reached) = match self.target {
            Target::None => (NOTHING.to_owned(), None),
            Target::AtLeast(number) => (
                format!("≥ {}", show(number)),
                value.map(|value| value >= self.unit.value(number)),
            ),
            Target::AtMost(number) => (
                format!("≤ {}", show(number)),
                value.map(|value| value <= self.unit.value(number)),
            ),
        };
        let reached = match reached {
            None => NOTHING,
            Some(true) => "yes",
            Some(false) => "no",
        };
        [
            self.title.clone(),
            count.to_owned(),
            value.map_or(NOTHING.to_owned(), |value| self.unit.show(value)),
            target,
            reached.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Target, row};
    use crate::number::Unit;

    #[test]
    fn a_target_is_a_floor_or_a_ceiling() {
        let rate = row("rate", Unit::PerSecond, Target::AtLeast(100.0));
        assert_eq!(
            rate.cells("1", Some(250.0)),
            ["rate", "1", "250 /s", "≥ 100 /s", "yes"]
        );
        assert_eq!(rate.cells("1", Some(99.0))[4], "no");
        let left = row("left", Unit::Count, Target::AtMost(0.0));
        assert_eq!(left.cells("1", Some(0.0)), ["left", "1", "0", "≤ 0", "yes"]);
        assert_eq!(left.cells("1", None), ["left", "1", "–", "≤ 0", "–"]);
    }
}
