//! From the text to the application; nothing else is looked at.

use toml::de::DeTable;

use crate::command_line::manifest::ParseContext;
use crate::command_line::manifest::application::Application;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics};
use crate::command_line::manifest::supervisor;
use crate::command_line::manifest::table::Table;

/// Reads a manifest: what of it could be read, and all that is wrong with it. An error is
/// that it is no TOML.
pub(super) fn parse(
    text: &str,
    context: &ParseContext<'_>,
) -> Result<(Application, Diagnostics), Diagnostics> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut diagnostics = Diagnostics::default();
    if !errors.is_empty() {
        // What could be read of such a text may not be what was meant, and one
        // mistake is followed by many that are none.
        if let Some(error) = errors.into_iter().min_by_key(start) {
            let span = error.span().unwrap_or_default();
            diagnostics.push(Diagnostic::new(span, error.message()));
        }
        return Err(diagnostics);
    }
    let mut table = Table::new(document.get_ref(), 0..0);
    let top = supervisor::read(&mut table, context, &mut diagnostics);
    if !table.has("children") {
        let diagnostic = Diagnostic::new(0..0, "there are no `children`")
            .help("begin one with [[children]], and give it a `name` and a `module`");
        diagnostics.push(diagnostic);
    }
    table.finish(&mut diagnostics);
    Ok((Application { top }, diagnostics))
}

fn start(error: &toml::de::Error) -> usize {
    error.span().unwrap_or_default().start
}
