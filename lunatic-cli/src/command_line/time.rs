//! Times on the command line.

use std::time::Duration;

/// Reads a whole number and a unit: `500ms`, `5s`, `2m`, `1h`.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(format!(
                "`{text}` is no time; write one like 500ms, 5s or 2m"
            ));
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is no time; write one like 500ms, 5s or 2m"))?;
    let millis = number.checked_mul(millis).ok_or("that is too long")?;
    Ok(Duration::from_millis(millis))
}

/// Reads a time that something may take.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn time_limit(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing is done in no time; leave it out for no limit".to_owned()),
        time => Ok(time),
    }
}
