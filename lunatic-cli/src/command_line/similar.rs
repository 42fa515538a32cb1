//! Suggestions for words that are misspelt.

/// From which similarity on a word is suggested; 1 is that of equal words.
const SIMILAR: f64 = 0.8;

/// The word of `known` that is most similar to `word`, if one is similar at all.
pub(crate) fn most_similar<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .map(|known| (similarity(word, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// How similar two words are, from 0 to 1.
fn similarity(word: &str, known: &str) -> f64 {
    /// Of two words that differ in one letter, or in the order of two: in short ones that is much
    /// by the other measure.
    const ONE_MISTAKE: f64 = 0.9;
    let similarity = strsim::jaro_winkler(word, known);
    match known.len() >= 3 && strsim::osa_distance(word, known) == 1 {
        true => similarity.max(ONE_MISTAKE),
        false => similarity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mistake_in_a_short_word_is_seen_through() {
        let known = || ["run", "top", "ps", "start"].into_iter();
        for (word, meant) in [
            ("tpo", Some("top")),
            ("to", Some("top")),
            ("rnu", Some("run")),
            ("strat", Some("start")),
            ("x", None),
            ("xyz", None),
        ] {
            assert_eq!(most_similar(word, known()), meant, "{word}");
        }
    }
}
