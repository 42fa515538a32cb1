//! What the host of plugins and the web front agree on.

pub mod report;
pub mod stranger;

use lunatic_guest::group::Group;

/// The group in which the keeper of the report is found.
pub fn keepers() -> Group {
    Group::new("report")
}
