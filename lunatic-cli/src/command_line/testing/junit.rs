//! Results as JUnit's XML, which CI servers read.

use std::fmt::Write as _;

use crate::command_line::testing::name::TestCase;
use crate::command_line::testing::panic;
use crate::command_line::testing::report::{Counts, Finished};
use crate::command_line::testing::verdict::Verdict;

/// Returns the whole document.
///
/// - `suite`: the name of the module.
pub(super) fn document<'a>(
    suite: &str,
    counts: &Counts,
    finished: impl Iterator<Item = &'a Finished>,
    ignored: &[TestCase],
) -> String {
    let suite = escaped(suite);
    let Counts {
        passed,
        failed,
        ignored: skipped,
        took,
    } = counts;
    let tests = passed + failed + skipped;
    let took = took.as_secs_f64();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites tests=\"{tests}\" failures=\"{failed}\" skipped=\"{skipped}\" \
         errors=\"0\" time=\"{took:.3}\">\n\
         <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failed}\" \
         skipped=\"{skipped}\" errors=\"0\" time=\"{took:.3}\">\n"
    );
    for one in finished {
        write_finished(&mut text, suite.as_str(), one);
    }
    for test in ignored {
        let _ = writeln!(text, "{}><skipped/></testcase>", open(&suite, test));
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn write_finished(text: &mut String, suite: &str, finished: &Finished) {
    let took = finished.took.as_secs_f64();
    let _ = write!(text, "{} time=\"{took:.3}\">", open(suite, &finished.test));
    if let Verdict::Failed { note } = &finished.verdict {
        let message = note
            .as_deref()
            .or_else(|| panic::first_message(&finished.output));
        let message = message.unwrap_or("it failed");
        let headline = message.lines().next().unwrap_or_default();
        let _ = write!(
            text,
            "<failure message=\"{}\">{}</failure>",
            escaped(headline),
            escaped(message)
        );
    }
    if !finished.output.is_empty() {
        let _ = write!(
            text,
            "<system-out>{}</system-out>",
            escaped(&finished.output)
        );
    }
    text.push_str("</testcase>\n");
}

/// The beginning of a test: its module is its class.
fn open(suite: &str, test: &TestCase) -> String {
    let (class, name) = match test.name.rsplit_once("::") {
        Some((class, name)) => (escaped(class), name),
        None => (suite.to_owned(), &*test.name),
    };
    format!("<testcase classname=\"{class}\" name=\"{}\"", escaped(name))
}

/// Returns a text that can stand between tags and quotation marks. What XML has no way to
/// write is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::time::Duration;

    use super::*;

    fn finished(name: &str, verdict: Verdict, output: &str) -> Finished {
        Finished {
            test: TestCase::parse(&format!("#lunatic_test_{name}")).unwrap(),
            verdict,
            output: output.to_owned(),
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_document_has_every_test_and_escapes_what_guests_print() {
        let note = Some("1 < 2\nmore".to_owned());
        let all = [
            finished("a::b::passes", Verdict::Passed, ""),
            finished("fails", Verdict::Failed { note }, "\u{1b}[1m\"&\""),
        ];
        let ignored = TestCase::parse("#lunatic_test_#ignore_a::rests").unwrap();
        let counts = Counts {
            passed: 1,
            failed: 1,
            ignored: 1,
            took: Duration::from_secs(2),
        };
        let text = document("suite", &counts, all.iter(), &[ignored]);
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites tests=\"3\" failures=\"1\" skipped=\"1\" errors=\"0\" time=\"2.000\">\n\
             <testsuite name=\"suite\" tests=\"3\" failures=\"1\" skipped=\"1\" errors=\"0\" time=\"2.000\">\n\
             <testcase classname=\"a::b\" name=\"passes\" time=\"1.500\"></testcase>\n\
             <testcase classname=\"suite\" name=\"fails\" time=\"1.500\">\
             <failure message=\"1 &lt; 2\">1 &lt; 2\nmore</failure>\
             <system-out>\u{fffd}[1m&quot;&amp;&quot;</system-out></testcase>\n\
             <testcase classname=\"a\" name=\"rests\"><skipped/></testcase>\n\
             </testsuite>\n</testsuites>\n"
        );
    }
}
