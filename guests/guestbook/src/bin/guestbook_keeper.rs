//! Writes into the guest book what it is sent, one wish after the other: nobody else writes,
//! so nobody waits for a lock.

use guestbook::{keepers, Wish, BOOK, TABLE};
use lunatic::Mailbox;
use lunatic_guest::params;
use lunatic_guest::sqlite::Connection;

#[lunatic::main]
fn main(mailbox: Mailbox<Wish>) {
    let book = Connection::open(BOOK).expect("the manifest gives a directory");
    book.execute("PRAGMA journal_mode = wal")
        .expect("readers do not wait");
    book.execute(TABLE).expect("the table is made");
    keepers().join().expect("there is room");
    loop {
        let Wish { author, text } = mailbox.receive();
        // Whoever supervises the keeper has to live with this one.
        if text == "crash" {
            let transaction = book.transaction().expect("nobody else writes");
            insert(&book, &author, "this is never seen").ok();
            // Never committed: the transaction ends with the process.
            std::mem::forget(transaction);
            panic!("the keeper has dropped the pen");
        }
        if let Err(error) = insert(&book, &author, &text) {
            eprintln!("not written: {error}");
        }
    }
}

fn insert(book: &Connection, author: &str, text: &str) -> lunatic_guest::sqlite::Result<u64> {
    book.run(
        "INSERT INTO entries (author, text) VALUES (?, ?)",
        params![author, text],
    )
}
