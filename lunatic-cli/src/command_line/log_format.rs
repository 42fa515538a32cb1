//! How the fields of a log line are written.

use std::fmt::{self, Debug, Write};

use anstyle::Style;
use lunatic_error::Line;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Writes the message and the fields of an event on one line of limited length. What is
/// in them is escaped, as guests choose it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitedFields {
    /// The most bytes of a line, without the time and the level.
    pub(crate) max: usize,
}

impl<'w> FormatFields<'w> for LimitedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor {
            is_styled: writer.has_ansi_escapes(),
            line: Line::new(writer, self.max),
            is_first: true,
            written: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.line.finish(visitor.written)
    }
}

struct Visitor<'w> {
    line: Line<Writer<'w>>,
    is_styled: bool,
    is_first: bool,
    written: fmt::Result,
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.written.is_ok() {
            self.written = self.write(field.name(), value);
        }
    }
}

impl Visitor<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.line.write_own(format_args!(" "))?;
        }
        if name != "message" {
            self.write_name(name)?;
        }
        write!(self.line, "{value:?}")
    }

    fn write_name(&mut self, name: &str) -> fmt::Result {
        let (italic, dimmed) = match self.is_styled {
            true => (Style::new().italic(), Style::new().dimmed()),
            false => (Style::new(), Style::new()),
        };
        self.line
            .write_own(format_args!("{italic}{name}{italic:#}{dimmed}={dimmed:#}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(max: usize, log: impl FnOnce()) -> String {
        let written = Written::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .fmt_fields(LimitedFields { max })
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        tracing::subscriber::with_default(lines, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_its_message_first_and_then_its_fields() {
        let line = logged(100, || {
            tracing::warn!(process = 7, name = "x", "failed: {}", "why")
        });
        assert_eq!(line, " WARN failed: why process=7 name=\"x\"\n");
    }

    #[test]
    fn what_guests_choose_forges_no_line_and_controls_no_terminal() {
        let name = "a\n ERROR forged";
        let line = logged(200, || {
            tracing::warn!(child = %name, label = name, "failed: {}", "\u{1b}[2J\u{202e}");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(
            line.chars().all(|char| char == '\n' || !char.is_control()),
            "{line}"
        );
        assert!(!line.contains('\u{202e}'), "{line}");
        assert!(line.contains(r"child=a\n ERROR forged"), "{line}");
    }

    #[test]
    fn a_line_is_cut_at_its_limit() {
        let long = "x".repeat(10_000);
        let line = logged(100, || tracing::warn!(name = %long, "short"));
        assert!(line.len() < 150, "{line}");
        assert!(line.ends_with("x…\n"), "{line}");
        let line = logged(100, || tracing::warn!(name = %long, "{long}"));
        assert!(line.len() < 150 && !line.contains("name"), "{line}");
    }
}
