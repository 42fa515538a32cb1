//! The metadata of a file as preview 1 has it, and the times that can be set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lunatic_fs::{Metadata, NewTime, Times};

use crate::errno::Errno;
use crate::filetype::FileType;

/// Size of a `filestat` record in the guest's memory.
const BYTES: usize = 64;

/// Returns the `filestat` record of a file: device at 0, number at 8, type at 16, names
/// at 24, size at 32, then the times of access, modification and change.
pub(crate) fn of_file(metadata: &Metadata) -> [u8; BYTES] {
    let mut record = of_stream(metadata.kind.into());
    let fields = [
        (0, metadata.device),
        (8, metadata.inode),
        (24, metadata.links),
        (32, metadata.size),
        (40, nanoseconds(metadata.accessed)),
        (48, nanoseconds(metadata.modified)),
        (56, nanoseconds(metadata.changed)),
    ];
    for (start, value) in fields {
        record[start..start + 8].copy_from_slice(&value.to_le_bytes());
    }
    record
}

/// Returns the `filestat` record of a standard stream, in which only the type is set.
pub(crate) fn of_stream(file_type: FileType) -> [u8; BYTES] {
    let mut record = [0; BYTES];
    record[16] = file_type as u8;
    record
}

/// Returns the times that are to be set. The flags are 1 for the time of access, 2 to
/// set that to now, 4 for the time of modification, 8 to set that to now.
///
/// `inval` for other flags, and for both flags of one time.
pub(crate) fn new_times(accessed: u64, modified: u64, flags: u32) -> Result<Times, Errno> {
    if flags > 0b1111 {
        return Err(Errno::Invalid);
    }
    Ok(Times {
        accessed: new_time(accessed, flags & 0b11)?,
        modified: new_time(modified, flags >> 2)?,
    })
}

fn new_time(nanoseconds: u64, flags: u32) -> Result<Option<NewTime>, Errno> {
    match flags {
        0b00 => Ok(None),
        0b01 => Ok(Some(NewTime::At(
            UNIX_EPOCH + Duration::from_nanos(nanoseconds),
        ))),
        0b10 => Ok(Some(NewTime::Now)),
        _ => Err(Errno::Invalid),
    }
}

/// Returns the nanoseconds since 1970, 0 for a time before, and the highest number for
/// one that is too late.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
