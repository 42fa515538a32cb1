//! Blanks out the comments and literals of Rust source, so that checks see
//! only code.

/// Returns `source` with a space for each byte of a comment, of a string or
/// of a character literal. Lines stay where they are.
pub(super) fn only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let blanked = blanked_length(rest, code.chars().next_back());
        if blanked > 0 {
            let (blank, after) = rest.split_at(blanked);
            code.extend(blank.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = after;
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    code
}

/// How many bytes at the start of `rest` are a comment or literal.
fn blanked_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('\'') {
        return character_length(rest);
    }
    let in_identifier = before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    if in_identifier {
        0
    } else {
        raw_string_length(rest)
    }
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < rest.len() {
        let here = &rest.as_bytes()[position..];
        if here.starts_with(b"/*") {
            depth += 1;
            position += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += 1;
        }
    }
    rest.len()
}

/// The length of what is between two `quote`s, backslashes observed.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return position + quote.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// A quote begins a character only if another follows where it must; else it
/// begins a lifetime.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted_length(rest, '\''),
        _ => 0,
    }
}

/// The length of `r"…"`, `r#"…"#` and so on, or 0 if `rest` is none of them.
fn raw_string_length(rest: &str) -> usize {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    let Some(body) = body else { return 0 };
    let hashes = body.len() - body.trim_start_matches('#').len();
    let Some(text) = body[hashes..].strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    match text.find(&end) {
        Some(position) => rest.len() - text.len() + position + end.len(),
        None => rest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::only;

    #[test]
    fn comments_and_literals_become_spaces_and_lines_stay() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("a \" b", c)"#, "f(        , c)"),
            (r###"f(r#"a " b"#, c)"###, "f(          , c)"),
            (r#"f(b"a", br"c")"#, "f(b   ,      )"),
            (r"f('\'', 'a', b)", "f(    ,    , b)"),
            ("\"a\nb\" c", "  \n   c"),
        ];
        for (source, code) in cases {
            assert_eq!(only(source), code, "{source}");
        }
    }

    #[test]
    fn lifetimes_and_identifiers_are_code() {
        for source in ["fn f<'a>(x: &'a str)", "for", "r#type", "'static", "br + r"] {
            assert_eq!(only(source), source);
        }
    }

    #[test]
    fn what_is_never_closed_goes_on_to_the_end() {
        for source in ["/* a", "\"a", "r#\"a\""] {
            assert_eq!(only(source).trim(), "");
        }
    }
}
