//! Closing files that nobody waits for.
//!
//! To close a file can take long: the last descriptor of a deleted file frees
//! its blocks, and a network file system writes back. A process that ends drops
//! its files on a worker thread, so the worker only puts them here.

use std::fs::File;
use std::mem;

use parking_lot::Mutex;

static CLOSING: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Closes `file` soon, on the blocking pool.
pub(crate) fn close_soon(file: File) {
    let mut closing = CLOSING.lock();
    closing.push(file);
    if closing.len() == 1 {
        blocking::unblock(close_all).detach();
    }
}

fn close_all() {
    let files = mem::take(&mut *CLOSING.lock());
    drop(files);
}
