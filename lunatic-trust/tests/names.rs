//! Names of nodes, and patterns for them.

use lunatic_trust::{ClusterName, InvalidName, NamePattern, NodeName};
use proptest::prelude::*;

fn pattern(text: &str) -> NamePattern {
    text.parse().expect("a pattern")
}

fn matches(pattern: &str, name: &str) -> bool {
    self::pattern(pattern).matches(&name.parse().expect("a name"))
}

#[test]
fn a_name_has_letters_digits_and_three_signs() {
    for text in ["a", "0", "worker-1", "a.b_c-d", &"a".repeat(64), "1..-_"] {
        let name: NodeName = text.parse().expect("a name");
        assert_eq!((name.as_str(), name.to_string().as_str()), (text, text));
        assert!(text.parse::<ClusterName>().is_ok());
    }
}

#[test]
fn what_is_wrong_with_a_name_is_said() {
    let wrong = |text: &str| text.parse::<NodeName>().expect_err("no name");
    assert_eq!(wrong(""), InvalidName::Empty);
    assert_eq!(wrong(&"a".repeat(65)), InvalidName::TooLong { length: 65 });
    assert_eq!(wrong("-a"), InvalidName::Start { character: '-' });
    assert_eq!(wrong(".a"), InvalidName::Start { character: '.' });
    let character = |character, position| InvalidName::Character {
        character,
        position,
    };
    assert_eq!(wrong("Worker"), character('W', 0));
    assert_eq!(wrong("wörker"), character('ö', 1));
    assert_eq!(wrong("a/b"), character('/', 1));
    assert_eq!(wrong("worker-*"), character('*', 7));
    assert_eq!(wrong("a\n"), character('\n', 1));
    let text = wrong("a\n").to_string();
    assert!(text.contains(r"'\n'"), "{text}");
}

#[test]
fn a_pattern_without_a_star_means_one_name() {
    assert!(matches("worker", "worker"));
    assert!(!matches("worker", "worker-1"));
    let name: NodeName = "worker".parse().expect("a name");
    assert_eq!(NamePattern::from(name), pattern("worker"));
}

#[test]
fn each_star_stands_for_any_characters() {
    for (pattern, name) in [
        ("*", "a"),
        ("worker-*", "worker-1"),
        ("worker-*", "worker-"),
        ("*-1", "worker-1"),
        ("a*b*c", "abc"),
        ("a*b*c", "a-b-b-c"),
        ("**", "a"),
        ("a**b", "ab"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("worker-*", "worker"),
        ("worker-*", "a-worker-1"),
        ("a*a", "a"),
        ("a*b*c", "ac"),
        ("ab*ba", "aba"),
        ("*b*", "acd"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_name_that_is_not_shown_as_it_was(text in "\\PC{0,80}") {
        if let Ok(name) = text.parse::<NodeName>() {
            prop_assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn a_pattern_matches_as_a_simple_one_does(pattern in "[ab*]{1,10}", name in "[ab]{1,10}") {
        fn simple(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (0..=name.len()).any(|at| simple(rest, &name[at..])),
                Some((first, rest)) => {
                    name.split_first().is_some_and(|(other, name)| first == other && simple(rest, name))
                }
            }
        }
        let expected = simple(pattern.as_bytes(), name.as_bytes());
        prop_assert_eq!(matches(&pattern, &name), expected);
    }
}
