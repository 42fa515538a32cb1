//! Suggestions for words that are misspelt.

/// From which similarity on a word is suggested; 1 is that of equal words.
const SIMILAR: f64 = 0.8;

/// The word of `known` that is most similar to `word`, if one is similar at all.
pub(crate) fn most_similar<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}
