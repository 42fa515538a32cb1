//! Puts results side by side in a Markdown table.

use super::plan::Row;
use super::results::Results;
use super::subject::Subject;
use crate::number::{self, Unit, Value};

/// The text of an empty cell.
const NOTHING: &str = "–";

/// A table of all medians, with ratios to the first subject and targets, and
/// a list of what failed.
pub(super) fn markdown(results: &[Results], subjects: &[Subject]) -> String {
    let names: Vec<&str> = subjects.iter().map(|one| one.name.as_str()).collect();
    let mut text = head(&names);
    for result in results {
        for row in result.workload.rows {
            text += &line(
                &format!("{}: {}", result.workload.guest.name(), row.title),
                result.count,
                row,
                &result.medians(row),
                subjects.len(),
            );
        }
    }
    text + &failures(results, &names)
}

fn head(names: &[&str]) -> String {
    let mut titles = vec!["What", "n"];
    for (index, name) in names.iter().enumerate() {
        titles.push(name);
        if index > 0 {
            titles.push("ratio");
        }
    }
    titles.extend(["target", "reached"]);
    let rules: Vec<&str> = (0..titles.len())
        .map(|column| if column == 0 { "---" } else { "--:" })
        .collect();
    cells(&titles) + &cells(&rules)
}

fn line(title: &str, count: u64, row: &Row, medians: &[Option<Value>], subjects: usize) -> String {
    let ours = medians.first().copied().flatten();
    let mut columns = vec![title.to_owned(), number::grouped(count)];
    for (index, median) in medians.iter().enumerate() {
        columns.push(median.map_or("failed".to_owned(), |value| row.unit.show(value)));
        if index > 0 {
            columns.push(ratio(*median, ours));
        }
    }
    for _ in medians.len()..subjects {
        columns.extend([NOTHING.to_owned(), NOTHING.to_owned()]);
    }
    columns.extend(target(row.unit, row.target, ours));
    cells(&columns)
}

fn ratio(theirs: Option<Value>, ours: Option<Value>) -> String {
    theirs
        .zip(ours)
        .and_then(|(theirs, ours)| number::ratio(theirs, ours))
        .map_or(NOTHING.to_owned(), number::times)
}

/// The target, and whether it is reached or by how much it isn't.
fn target(unit: Unit, target: Option<f64>, ours: Option<Value>) -> [String; 2] {
    let Some(target) = target.map(|number| unit.value(number)) else {
        return [NOTHING.to_owned(), NOTHING.to_owned()];
    };
    let reached = match ours {
        Some(ours) if ours <= target => "yes".to_owned(),
        Some(ours) => match number::ratio(ours, target) {
            Some(ratio) => format!("no: {}", number::times(ratio)),
            None => "no".to_owned(),
        },
        None => "no".to_owned(),
    };
    [format!("≤ {}", unit.show(target)), reached]
}

fn failures(results: &[Results], names: &[&str]) -> String {
    let mut text = String::new();
    for result in results {
        for (outcome, name) in result.of_subjects.iter().zip(names) {
            if let Err(error) = outcome {
                let guest = result.workload.guest.name();
                let mode = result.workload.mode;
                let count = number::grouped(result.count);
                text += &format!("- {guest}, {mode} {count}, {name}: {error:#}\n");
            }
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\nWhat failed:\n\n{text}"),
    }
}

/// A line of a Markdown table.
pub(super) fn cells(cells: &[impl AsRef<str>]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        line.push_str(&format!(" {} |", cell.as_ref()));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::plan::Row;
    use super::{head, line};
    use crate::number::Unit;

    const ROW: Row = Row {
        name: "spawn",
        title: "spawn",
        unit: Unit::Microseconds,
        target: Some(6.0),
    };

    #[test]
    fn who_is_compared_has_a_ratio() {
        assert_eq!(
            head(&["this tree", "BEAM"]),
            "| What | n | this tree | BEAM | ratio | target | reached |\n\
             | --- | --: | --: | --: | --: | --: | --: |\n"
        );
    }

    #[test]
    fn a_line_has_medians_ratios_and_the_target() {
        assert_eq!(
            line("spawn", 20, &ROW, &[Some(4e-6), Some(2e-6)], 2),
            "| spawn | 20 | 4.00 µs | 2.00 µs | 0.50 × | ≤ 6.00 µs | yes |\n"
        );
    }

    #[test]
    fn a_missed_target_says_by_how_much() {
        assert_eq!(
            line("spawn", 20, &ROW, &[Some(9e-6)], 1),
            "| spawn | 20 | 9.00 µs | ≤ 6.00 µs | no: 1.50 × |\n"
        );
        let none = Row {
            target: Some(0.0),
            ..ROW
        };
        assert_eq!(
            line("idle", 20, &none, &[Some(1e-6)], 1),
            "| idle | 20 | 1.00 µs | ≤ 0 µs | no |\n"
        );
    }

    #[test]
    fn who_failed_has_neither_median_nor_ratio() {
        let row = Row {
            target: None,
            ..ROW
        };
        assert_eq!(
            line("spawn", 20, &row, &[Some(9e-6), None], 2),
            "| spawn | 20 | 9.00 µs | failed | – | – | – |\n"
        );
        assert_eq!(
            line("spawn", 20, &ROW, &[None, Some(9e-6)], 2),
            "| spawn | 20 | failed | 9.00 µs | – | ≤ 6.00 µs | no |\n"
        );
    }

    #[test]
    fn who_has_no_such_workload_has_no_median() {
        assert_eq!(
            line("spawn", 20, &ROW, &[Some(4e-6)], 2),
            "| spawn | 20 | 4.00 µs | – | – | ≤ 6.00 µs | yes |\n"
        );
    }
}
