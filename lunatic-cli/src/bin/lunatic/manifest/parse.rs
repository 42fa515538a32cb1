//! From the text to the application; nothing else is looked at.

use toml::de::DeTable;

use crate::manifest::Surroundings;
use crate::manifest::application::Application;
use crate::manifest::complaint::{Complaint, Complaints};
use crate::manifest::supervisor;
use crate::manifest::table::Table;

/// Reads a manifest, with all that is wrong with it.
pub(super) fn parse(
    text: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Application, Complaints> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut complaints = Complaints::default();
    if !errors.is_empty() {
        // What could be read of such a text may not be what was meant, and one
        // mistake is followed by many that are none.
        if let Some(error) = errors.into_iter().min_by_key(start) {
            let span = error.span().unwrap_or_default();
            complaints.push(Complaint::new(span, error.message()));
        }
        return Err(complaints);
    }
    let mut table = Table::new(document.get_ref(), 0..0);
    let top = supervisor::read(&mut table, surroundings, &mut complaints);
    if !table.has("children") {
        let complaint = Complaint::new(0..0, "there are no `children`")
            .help("begin one with [[children]], and give it a `name` and a `module`");
        complaints.push(complaint);
    }
    table.finish(&mut complaints);
    match complaints.is_empty() {
        true => Ok(Application { top }),
        false => Err(complaints),
    }
}

fn start(error: &toml::de::Error) -> usize {
    error.span().unwrap_or_default().start
}
