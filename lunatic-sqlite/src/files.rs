//! The files of SQLite: those that have a name are the operating system's, the others are in
//! memory, and the log of a database has a limit.
#![allow(
    unsafe_code,
    reason = "SQLite calls it, and gives it addresses of files"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

use crate::quota;

/// The name by which SQLite knows it.
pub(crate) const NAME: &CStr = c"lunatic";

/// How large a log may be lies behind what the operating system's part has of a file.
type MaxLog = u64;

/// What stays as it is once [`register`] has returned.
struct Lower {
    /// Files of the operating system.
    system: *mut ffi::sqlite3_vfs,
    /// Files in memory.
    memory: *mut ffi::sqlite3_vfs,
}

/// How the operating system's part deals with logs.
static SYSTEM_LOG: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
/// How logs are dealt with here.
static LOG: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
/// Where the [`MaxLog`] of a log is in what SQLite has for a file, in bytes.
static MAX_LOG_AT: OnceLock<usize> = OnceLock::new();

/// Makes [`NAME`] known to SQLite. It is called once.
///
/// # Errors
///
/// SQLite's result code.
pub(crate) fn register() -> Result<(), c_int> {
    // SAFETY: SQLite looks them up, and never removes those that it has itself.
    let (system, memory) = unsafe {
        (
            ffi::sqlite3_vfs_find(ptr::null()),
            ffi::sqlite3_vfs_find(c"memdb".as_ptr()),
        )
    };
    if system.is_null() || memory.is_null() {
        return Err(ffi::SQLITE_ERROR);
    }
    // SAFETY: they are there, and nobody changes them.
    let (of_system, of_memory) = unsafe { (&*system, &*memory) };
    let largest = of_system.szOsFile.max(of_memory.szOsFile);
    let max_log_at = usize::try_from(largest).unwrap_or(0);
    let max_log_at = max_log_at.next_multiple_of(align_of::<MaxLog>());
    let size = c_int::try_from(max_log_at + size_of::<MaxLog>()).unwrap_or(c_int::MAX);
    MAX_LOG_AT.set(max_log_at).ok();
    let lower = Box::leak(Box::new(Lower { system, memory }));
    // Only `xOpen` asks for `pAppData`, and that is our own.
    let files = Box::leak(Box::new(ffi::sqlite3_vfs {
        szOsFile: size,
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: ptr::from_mut(lower).cast(),
        xOpen: Some(open),
        ..*of_system
    }));
    // SAFETY: it is there for ever, and has what the operating system's has.
    match unsafe { ffi::sqlite3_vfs_register(files, 0) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

unsafe extern "C" fn open(
    files: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    opened_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over what was registered.
    let lower = unsafe { &*(*files).pAppData.cast::<Lower>() };
    let below = match name.is_null() {
        true => lower.memory,
        false => lower.system,
    };
    // SAFETY: both have a function to open files. SQLite has as much room for one as was said in
    // `szOsFile`, which is enough for either.
    let outcome = unsafe {
        let Some(open) = (*below).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        open(below, name, file, flags, opened_flags)
    };
    if outcome != ffi::SQLITE_OK || flags & ffi::SQLITE_OPEN_WAL == 0 || name.is_null() {
        return outcome;
    }
    let Some(max_log_at) = MAX_LOG_AT.get() else {
        return outcome;
    };
    let max_log: MaxLog = quota::current().map_or(u64::MAX, |quota| quota.max_log());
    // SAFETY: the file was opened, so it has methods, which stay: they are static in SQLite. The
    // limit lies behind what is below, in what SQLite has for the file.
    unsafe {
        let system = SYSTEM_LOG.get_or_init(|| *(*file).pMethods);
        (*file).pMethods = LOG.get_or_init(|| ffi::sqlite3_io_methods {
            xWrite: Some(write_log),
            ..*system
        });
        file.byte_add(*max_log_at).cast::<MaxLog>().write(max_log);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write_log(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let system = SYSTEM_LOG.get().and_then(|system| system.xWrite);
    let (Some(write), Some(max_log_at)) = (system, MAX_LOG_AT.get()) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: only what `open` has opened is written by this.
    let max_log = unsafe { file.byte_add(*max_log_at).cast::<MaxLog>().read() };
    let end = u64::try_from(offset.saturating_add(count.into())).unwrap_or(u64::MAX);
    if end > max_log {
        return ffi::SQLITE_FULL;
    }
    // SAFETY: the file is one that the operating system's part has opened.
    unsafe { write(file, bytes, count, offset) }
}
