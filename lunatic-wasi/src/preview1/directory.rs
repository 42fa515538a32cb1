//! Listing a directory.

use lunatic_abi::{Guest, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_fs::Entry;
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::filetype::FileType;
use crate::outcome::{Outcome, answer};
use crate::rights::Rights;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, used_ptr: u32) -> i32;
    }
}

/// Size of a `dirent` record, which the name follows.
const RECORD: usize = 24;

/// So many entries are read and written by one step, however large the buffer is.
const PIECE: usize = 256;

/// `fd_readdir`: writes the entries of a directory from `cookie` on, as many as
/// there is room for; the last one may be cut off. If less than `buf_len` bytes are
/// written, there are no more entries.
///
/// `notdir` if it is no directory, `mfile` if the account has no descriptor for the listing.
async fn fd_readdir<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    used_ptr: u32,
) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let dir = descriptors.dir(fd, Rights::FD_READDIR)?.clone();
    let room = caller.bytes(buf, buf_len)?.len();
    caller.bytes(used_ptr, 4)?;
    let charge = Charge::new(caller.data().account(), Kind::Descriptors, 1);
    let charge = charge.map_err(|_| Errno::TooManyOpenHere)?;
    let mut listing = caller.wait(dir.list_charged(cookie, Some(charge))).await?;
    let mut used = 0;
    while used < room {
        let rest = room - used;
        let count = rest.div_ceil(RECORD).min(PIECE);
        let Some(entries) = caller.wait(listing.next(count)).await? else {
            break;
        };
        let mut records: Vec<u8> = entries.iter().flat_map(record).collect();
        records.truncate(rest);
        caller.write(buf + used as u32, &records)?;
        used += records.len();
    }
    Ok(caller.write_u32(used_ptr, used as u32)?)
}

/// Returns the record: the cookie of the next entry at 0, file number at 8, length of
/// the name at 16, type at 20, the name at 24.
fn record(entry: &Entry) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD + entry.name.len());
    record.extend(entry.next.to_le_bytes());
    record.extend(entry.inode.to_le_bytes());
    record.extend((entry.name.len() as u32).to_le_bytes());
    record.extend(u32::from(FileType::from(entry.kind) as u8).to_le_bytes());
    record.extend(entry.name.as_bytes());
    record
}
