//! What preview 1 tells of a file, and the times that it can change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lunatic_fs::{Metadata, NewTime, Times};

use crate::errno::Errno;
use crate::filetype::FileType;

/// Size of a `filestat` record in the guest's memory.
const BYTES: usize = 64;

/// The `filestat` record of a file: device at 0, number at 8, type at 16, names
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

/// The `filestat` record of a standard stream, of which only the type is known.
pub(crate) fn of_stream(file_type: FileType) -> [u8; BYTES] {
    let mut record = [0; BYTES];
    record[16] = file_type as u8;
    record
}

/// Reads which times are to change: 1 access, 2 access now, 4 modification,
/// 8 modification now.
///
/// `inval` for other flags, or for a time that is to be two things at once.
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

/// What can be expressed; a time before 1970 counts as 1970.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
