//! The outcome of an attack, and its rows in tables.

use std::time::Duration;

use lunatic_bench::attack::{Attack, Expectation, Findings};

/// The observations inside of the program; they are passed to the outside as a line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// How the culprit ended.
    end: String,
    p99: Duration,
    worst: Duration,
    /// How long its branch took to end when it was killed.
    gone: Duration,
    pub(super) problems: Vec<String>,
}

/// The outcome of an attack.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) attack: Attack,
    /// Nothing if the program ended without a word.
    pub(super) seen: Option<Seen>,
    /// Bytes of memory at most.
    pub(super) peak: u64,
    /// Bytes on standard error.
    pub(super) log: u64,
}

/// The prefix of the line that a trial prints.
const FINDINGS: &str = "findings";

/// How long neighbours may wait for what takes no time.
const LONGEST_P99: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(100);

/// How long a branch may take to end.
const LONGEST_END: Duration = Duration::from_secs(1);

/// How much may be logged, in bytes.
const LARGEST_LOG: u64 = 16 << 20;

impl Seen {
    pub(super) fn of(findings: &Findings, expectation: &Expectation) -> Seen {
        let end = findings.end.as_ref();
        let mut problems = findings.problems();
        if !expectation.allows(end) {
            problems.push(format!("the culprit was to: {expectation}"));
        }
        Seen {
            end: end.map_or("ran until it was killed".to_owned(), ToString::to_string),
            p99: findings.p99(),
            worst: findings.worst(),
            gone: findings.branch_gone.unwrap_or_default(),
            problems,
        }
    }

    /// Returns the observations of a trial without any memory left: processes may end, and the
    /// runtime continues.
    pub(super) fn of_runtime(findings: &Findings) -> Seen {
        let casualties = findings.casualties.join(", ");
        Seen {
            end: match casualties.is_empty() {
                true => "all others lived".to_owned(),
                false => format!("ended, too: {casualties}"),
            },
            p99: findings.p99(),
            worst: findings.worst(),
            gone: findings.branch_gone.unwrap_or_default(),
            problems: findings.problems_of_runtime(),
        }
    }

    /// How the culprit, or others, ended.
    pub(super) fn end(&self) -> &str {
        &self.end
    }

    pub(super) fn to_line(&self) -> String {
        /// The length to which texts of guests are cut, in bytes.
        const SHOWN: usize = 100;
        let end = self.end.replace(['\t', '\n', '\r'], " ");
        let end = &end[..end.floor_char_boundary(SHOWN)];
        let [p99, worst, gone] = [self.p99, self.worst, self.gone].map(|time| time.as_micros());
        let problems = self.problems.join("; ");
        format!("{FINDINGS}\t{end}\t{p99}\t{worst}\t{gone}\t{problems}")
    }

    /// Parses a line of [`to_line`](Seen::to_line); `None` if it is something else.
    pub(super) fn from_line(line: &str) -> Option<Seen> {
        let mut fields = line.split('\t');
        (fields.next() == Some(FINDINGS)).then_some(())?;
        let end = fields.next()?.to_owned();
        let mut time = || Some(Duration::from_micros(fields.next()?.parse().ok()?));
        let [p99, worst, gone] = [time()?, time()?, time()?];
        let problems = fields.next()?.split("; ").filter(|text| !text.is_empty());
        Some(Seen {
            end,
            p99,
            worst,
            gone,
            problems: problems.map(str::to_owned).collect(),
        })
    }
}

impl Outcome {
    pub(super) const HEADINGS: &str = "\
| Attack | What it shows | The culprit | Neighbour's p99 | Worst | Peak memory | Log | Harm |
|---|---|---|--:|--:|--:|--:|---|";

    /// Returns the effects on others.
    fn harm(&self) -> Vec<String> {
        let Some(seen) = &self.seen else {
            return vec!["the runtime ended".to_owned()];
        };
        let mut harm = seen.problems.clone();
        for (is_so, what) in [
            (seen.p99 > LONGEST_P99, "neighbours are delayed"),
            (seen.worst > LONGEST, "a neighbour is delayed for long"),
            (seen.gone > LONGEST_END, "the branch ends late"),
            (self.log > LARGEST_LOG, "much is logged"),
        ] {
            if is_so {
                harm.push(what.to_owned());
            }
        }
        harm
    }

    pub(super) fn is_harmless(&self) -> bool {
        self.harm().is_empty()
    }

    /// A row of the table under [`HEADINGS`](Outcome::HEADINGS).
    pub(super) fn row(&self) -> String {
        let Attack { name, shows, .. } = &self.attack;
        let fields = self.fields().map(|field| field.replace('|', "\\|"));
        format!("| `{name}` | {shows} | {} |", fields.join(" | "))
    }

    /// A line for a terminal.
    pub(super) fn line(&self) -> String {
        let [end, p99, worst, peak, log, harm] = self.fields();
        let name = &self.attack.name;
        format!("{name:<28} {p99:>10} {worst:>10} {peak:>9} {log:>9}  {harm}\n    {end}")
    }

    /// An object of JSON.
    pub(super) fn json(&self) -> String {
        let [end, ..] = self.fields();
        let time = |time: fn(&Seen) -> Duration| {
            let seen = self.seen.as_ref();
            seen.map_or(0, |seen| time(seen).as_micros())
        };
        format!(
            "{{\"attack\":{},\"culprit\":{},\"p99_us\":{},\"worst_us\":{},\"end_us\":{},\
             \"peak_bytes\":{},\"log_bytes\":{},\"alive\":{},\"harm\":[{}]}}",
            quoted(&self.attack.name),
            quoted(&end),
            time(|seen| seen.p99),
            time(|seen| seen.worst),
            time(|seen| seen.gone),
            self.peak,
            self.log,
            self.seen.is_some(),
            self.harm()
                .iter()
                .map(|text| quoted(text))
                .collect::<Vec<_>>()
                .join(",")
        )
    }

    fn fields(&self) -> [String; 6] {
        let seen = self.seen.as_ref();
        let time = |time: Option<Duration>| {
            time.map_or("–".to_owned(), |time| {
                format!("{:.1} ms", time.as_secs_f64() * 1000.0)
            })
        };
        [
            seen.map_or("unknown".to_owned(), |seen| seen.end.clone()),
            time(seen.map(|seen| seen.p99)),
            time(seen.map(|seen| seen.worst)),
            format!("{} MiB", self.peak >> 20),
            format!("{} KiB", self.log >> 10),
            self.harm().join("; "),
        ]
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_crosses_as_a_line() {
        let seen = Seen {
            end: "trapped".to_owned(),
            p99: Duration::from_micros(5),
            worst: Duration::from_micros(7),
            gone: Duration::ZERO,
            problems: vec!["one".to_owned(), "two".to_owned()],
        };
        assert_eq!(Seen::from_line(&seen.to_line()), Some(seen));
        assert_eq!(Seen::from_line("something else"), None);
    }

    #[test]
    fn text_of_guests_cannot_leave_a_string() {
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
    }
}
