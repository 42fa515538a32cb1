//! What the name of an export says about a test.

/// The entry of a program.
pub(super) const START: &str = "_start";

/// What the name of every test export begins with.
const TEST: &str = "#lunatic_test_";
/// Then comes this, if the test is ignored,
const IGNORED: &str = "#ignore_";
/// and this, if it has to panic, followed by a part of the panic's message,
const PANIC: &str = "#panic_";
/// which ends with this. In the message, a backslash stands before it.
const END: char = '#';

/// An exported function that is a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestCase {
    /// The name of the export.
    pub(super) export: String,
    /// The path of the function in its crate.
    pub(super) name: String,
    /// Whether the test is only run on request.
    pub(super) ignored: bool,
    /// What its panic has to contain, if it has to panic.
    pub(super) should_panic: Option<String>,
    /// Whether it is one of Rust's own test runner, which is linked into the module; its
    /// export is that of the program.
    pub(super) by_harness: bool,
}

impl TestCase {
    /// The test that an export of this name is, if it is one (ABI §19).
    pub(super) fn parse(export: &str) -> Option<TestCase> {
        let rest = export.strip_prefix(TEST)?;
        let (ignored, rest) = match rest.strip_prefix(IGNORED) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (should_panic, name) = match rest.strip_prefix(PANIC).and_then(split_message) {
            Some((message, name)) => (Some(message.replace("\\#", "#")), name),
            None => (None, rest),
        };
        Some(TestCase {
            export: export.into(),
            name: name.into(),
            ignored,
            should_panic,
            by_harness: false,
        })
    }

    /// A test that Rust's own test runner has listed.
    pub(super) fn of_harness(name: &str, ignored: bool) -> TestCase {
        TestCase {
            export: START.to_owned(),
            name: name.to_owned(),
            ignored,
            should_panic: None,
            by_harness: true,
        }
    }
}

/// Splits at the first [`END`] that is not escaped.
fn split_message(text: &str) -> Option<(&str, &str)> {
    let (end, _) = text
        .match_indices(END)
        .find(|(at, _)| !text[..*at].ends_with('\\'))
        // Backslashes are not escaped: this message ends with one.
        .or_else(|| text.match_indices(END).next_back())?;
    Some((&text[..end], &text[end + END.len_utf8()..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn parse(export: &str) -> (String, bool, Option<String>) {
        let test = TestCase::parse(export).unwrap();
        assert_eq!(test.export, export);
        (test.name, test.ignored, test.should_panic)
    }

    fn name(name: &str) -> String {
        name.into()
    }

    #[test]
    fn an_export_without_the_prefix_is_no_test() {
        for export in ["_start", "memory", "lunatic_test_a::b", "#lunatic_tes", ""] {
            assert_eq!(TestCase::parse(export), None, "{export:?}");
        }
    }

    #[test]
    fn a_plain_test_is_its_path() {
        let plain = (name("krate::module::works"), false, None);
        assert_eq!(parse("#lunatic_test_krate::module::works"), plain);
    }

    #[test]
    fn an_ignored_test_says_so() {
        assert_eq!(
            parse("#lunatic_test_#ignore_a::b"),
            (name("a::b"), true, None)
        );
    }

    #[test]
    fn a_test_may_have_to_panic_with_any_message() {
        let any = Some(String::new());
        assert_eq!(
            parse("#lunatic_test_#panic_#a::b"),
            (name("a::b"), false, any)
        );
    }

    #[test]
    fn a_test_may_have_to_panic_with_a_message() {
        let message = Some(name("no such _thing_::here"));
        assert_eq!(
            parse("#lunatic_test_#panic_no such _thing_::here#a::b"),
            (name("a::b"), false, message)
        );
    }

    #[test]
    fn a_test_may_be_ignored_and_have_to_panic() {
        let message = Some(name("boom"));
        assert_eq!(
            parse("#lunatic_test_#ignore_#panic_boom#a::b"),
            (name("a::b"), true, message)
        );
    }

    #[test]
    fn an_escaped_number_sign_is_part_of_the_message() {
        let message = Some(name("issue #12 and #13"));
        assert_eq!(
            parse(r"#lunatic_test_#panic_issue \#12 and \#13#a::b"),
            (name("a::b"), false, message)
        );
    }

    #[test]
    fn a_number_sign_in_the_name_does_not_end_the_message() {
        let message = Some(name("boom"));
        assert_eq!(
            parse("#lunatic_test_#panic_boom#a::r#match"),
            (name("a::r#match"), false, message)
        );
    }

    #[test]
    fn a_message_may_end_with_a_backslash() {
        let message = Some(name(r"C:\"));
        assert_eq!(
            parse(r"#lunatic_test_#panic_C:\#a::b"),
            (name("a::b"), false, message)
        );
    }

    #[test]
    fn a_message_without_an_end_is_part_of_the_name() {
        let unended = (name("#panic_a::b"), false, None);
        assert_eq!(parse("#lunatic_test_#panic_a::b"), unended);
    }
}
