//! SQLite databases (ABI §10 and §28).
//!
//! ```no_run
//! use lunatic_guest::params;
//! use lunatic_guest::sqlite::Connection;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Entry {
//!     author: String,
//!     words: u32,
//! }
//!
//! let book = Connection::open("/data/book.db")?;
//! book.execute("CREATE TABLE IF NOT EXISTS entries (author, words)")?;
//! let transaction = book.transaction()?;
//! book.run("INSERT INTO entries VALUES (?, ?)", params!["Ada", 42])?;
//! transaction.commit()?;
//! for Entry { author, words } in book.query("SELECT * FROM entries", params![])? {
//!     println!("{author}: {words} words");
//! }
//! # Ok::<(), lunatic_guest::sqlite::Error>(())
//! ```

mod blob;
mod connection;
mod error;
mod row;
mod value;

pub use blob::Blob;
pub use connection::{Change, Connection, Statement, Transaction, Watch};
pub use error::{Error, Result};
pub use value::Value;

/// Values for the parameters of a statement: `params![1, "two", None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sqlite::Value::from($value)),*] as &[$crate::sqlite::Value]
    };
}
