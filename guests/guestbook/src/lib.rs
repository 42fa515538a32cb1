//! What the front and the keeper of the guest book agree on.

use lunatic_guest::group::Group;
use serde::{Deserialize, Serialize};

/// What somebody wants to write into the book.
#[derive(Debug, Serialize, Deserialize)]
pub struct Wish {
    pub author: String,
    pub text: String,
}

/// The path of the database in the directory that the manifest gives to both.
pub const BOOK: &str = "/book/guestbook.db";

/// What keeps the entries.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL CHECK (text <> ''))";

/// The group in which the keeper is found.
pub fn keepers() -> Group {
    Group::new("keepers")
}
