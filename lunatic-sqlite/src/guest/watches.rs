//! Messages about changes.

use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_mailbox::guest::Post;
use lunatic_mailbox::{DataMessage, Tag};
use wasmtime::{Caller, Result};

use crate::changes::Change;
use crate::guest::SqliteHost;
use crate::guest::blobs::MAX_NAME_BYTES;
use crate::guest::state::GuestWatch;

host_functions! {
    pub(super) fn add_to_linker<T: SqliteHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::sqlite" {
        async fn watch(
            conn_id: u64, table_ptr: u32, table_len: u32, tag: i64, id_ptr: u32
        ) -> u32;
        fn unwatch(watch_id: u64);
    }
}

/// `lunatic::sqlite::watch` (ABI §28.4): has the process told, by messages with this tag, of
/// what is changed in a table, or in all if the name is empty. Returns 0 with the id of the
/// watch at `id_ptr`, or SQLite's result code.
///
/// Traps on an unknown id, a bad address, a name that is not UTF-8 or too long, and if there
/// are too many watches.
async fn watch<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    table_ptr: u32,
    table_len: u32,
    tag: i64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let table = caller.text_within(table_ptr, table_len, MAX_NAME_BYTES)?;
    let table = (!table.is_empty()).then(|| table.to_owned());
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let connection = connection.connection.clone();
    let pid = caller.data().pid();
    let post = caller.data_mut().mailbox().post().clone();
    let account = caller.data().account().clone();
    // So that its id is known before anything is told.
    let reserved = GuestWatch {
        connection: conn_id,
        watch: None,
    };
    let watches = &mut caller.data_mut().sqlite().tables().watches;
    let id = watches.insert(reserved, &account).map_err(Misuse::from)?;
    let tell = move |change: &Change| {
        let message = DataMessage::new(Tag::new(tag), to_bytes(id, change));
        // A mailbox that is full has enough to tell that something has changed.
        post.clone().deliver(pid, &mut Some(message.into())).ok();
    };
    let watching = connection.watch(table, Arc::new(tell));
    let watch = caller.wait(watching).await;
    let sqlite = caller.data_mut().sqlite();
    let watches = &mut sqlite.tables().watches;
    let outcome = match watch {
        Ok(watch) => {
            watches.get_mut(id)?.watch = Some(watch);
            Ok(())
        }
        Err(error) => {
            watches.remove(id)?;
            Err(error)
        }
    };
    let is_watched = outcome.is_ok();
    let code = sqlite.note(conn_id, outcome);
    if is_watched {
        caller.write_u64(id_ptr, id)?;
    }
    Ok(code)
}

/// `lunatic::sqlite::unwatch` (ABI §28.4): ends a watch. What was told before stays in the
/// mailbox.
///
/// Traps on an unknown id.
fn unwatch<T: SqliteHost>(mut caller: Caller<'_, T>, watch_id: u64) -> Result<()> {
    let tables = caller.data_mut().sqlite().tables();
    tables.watches.remove(watch_id)?;
    Ok(())
}

fn to_bytes(id: u64, change: &Change) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40 + change.table.len());
    for number in [id, change.inserted, change.updated, change.deleted] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(change.last_rowid.to_le_bytes());
    bytes.extend(change.table.as_bytes());
    bytes
}
