//! The files of SQLite: those that have a name are the operating system's, the others are in
//! memory, and the log of a database has a limit.
#![allow(
    unsafe_code,
    reason = "SQLite calls it, and gives it addresses of files"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::slice;
use std::sync::OnceLock;

use rusqlite::ffi;

use crate::nameless::{Full, Nameless};
use crate::quota;

/// The name by which SQLite knows it.
pub(crate) const NAME: &CStr = c"lunatic";

/// What SQLite has for a file without a name.
#[repr(C)]
struct MemoryFile {
    /// What it knows of each file.
    base: ffi::sqlite3_file,
    content: Nameless,
}

/// How large a log may be. It lies behind what the operating system's part has of the file.
type MaxLog = u64;

/// How the operating system's part deals with logs.
static SYSTEM_LOG: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
/// How logs are dealt with here.
static LOG: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
/// Where the [`MaxLog`] of a log is in what SQLite has for a file, in bytes.
static MAX_LOG_AT: OnceLock<usize> = OnceLock::new();

/// How files without a name are dealt with.
static MEMORY: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(length),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: None,
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Makes [`NAME`] known to SQLite. It is called once.
///
/// # Errors
///
/// SQLite's result code.
pub(crate) fn register() -> Result<(), c_int> {
    // SAFETY: SQLite looks it up, and never removes it.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if system.is_null() {
        return Err(ffi::SQLITE_ERROR);
    }
    // SAFETY: it is there, and nobody changes it.
    let of_system = unsafe { &*system };
    let size = usize::try_from(of_system.szOsFile).unwrap_or(0);
    let max_log_at = size.next_multiple_of(align_of::<MaxLog>());
    MAX_LOG_AT.set(max_log_at).ok();
    let size = (max_log_at + size_of::<MaxLog>()).max(size_of::<MemoryFile>());
    // Only `xOpen` asks for `pAppData`, and that is our own.
    let files = Box::leak(Box::new(ffi::sqlite3_vfs {
        szOsFile: c_int::try_from(size).unwrap_or(c_int::MAX),
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: system.cast(),
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
    if name.is_null() {
        let opened = MemoryFile {
            base: ffi::sqlite3_file { pMethods: &MEMORY },
            content: Nameless::new(),
        };
        // SAFETY: SQLite has as much room for a file as `szOsFile` says, which is enough, and
        // aligned for addresses. It may want to know the flags.
        unsafe {
            file.cast::<MemoryFile>().write(opened);
            if !opened_flags.is_null() {
                *opened_flags = flags | ffi::SQLITE_OPEN_MEMORY;
            }
        }
        return ffi::SQLITE_OK;
    }
    // SAFETY: SQLite hands over what was registered, with the operating system's part inside,
    // which has a function to open files. There is as much room for one as that wants, and more.
    let outcome = unsafe {
        let system = (*files).pAppData.cast::<ffi::sqlite3_vfs>();
        let Some(open) = (*system).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        open(system, name, file, flags, opened_flags)
    };
    match MAX_LOG_AT.get() {
        Some(max_log_at) if outcome == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_WAL != 0 => {
            let max_log: MaxLog = quota::current().map_or(u64::MAX, |quota| quota.max_log());
            // SAFETY: the file was opened, so it has methods, which stay: they are static in
            // SQLite. There is room for the limit behind what the operating system's part has.
            unsafe {
                let system = SYSTEM_LOG.get_or_init(|| *(*file).pMethods);
                (*file).pMethods = LOG.get_or_init(|| ffi::sqlite3_io_methods {
                    xWrite: Some(write_log),
                    ..*system
                });
                file.byte_add(*max_log_at).cast::<MaxLog>().write(max_log);
            }
            outcome
        }
        _ => outcome,
    }
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
    if unsigned(offset.saturating_add(count.into())) > max_log {
        return ffi::SQLITE_FULL;
    }
    // SAFETY: the file is one that the operating system's part has opened.
    unsafe { write(file, bytes, count, offset) }
}

/// What SQLite never has below zero.
fn unsigned(number: ffi::sqlite3_int64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns what is in a file without a name.
///
/// # Safety
///
/// The file was opened by [`open`] without a name, and was not closed. Nobody else uses it
/// meanwhile: SQLite uses a file for one connection, on one thread at a time.
unsafe fn content<'f>(file: *mut ffi::sqlite3_file) -> &'f mut Nameless {
    // SAFETY: such a file is one of those.
    unsafe { &mut (*file.cast::<MemoryFile>()).content }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes what `open` has opened, once.
    unsafe { ptr::drop_in_place(&raw mut (*file.cast::<MemoryFile>()).content) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: SQLite has so many bytes for what is read; they need not have been written, and
    // are written first, so that they can be looked at.
    let (content, to) = unsafe {
        ptr::write_bytes(to.cast::<u8>(), 0, count);
        (
            content(file),
            slice::from_raw_parts_mut(to.cast::<u8>(), count),
        )
    };
    match content.read(unsigned(offset), to) {
        true => ffi::SQLITE_OK,
        false => ffi::SQLITE_IOERR_SHORT_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: SQLite has so many bytes to write.
    let (content, bytes) = unsafe {
        (
            content(file),
            slice::from_raw_parts(bytes.cast::<u8>(), count),
        )
    };
    match content.write(unsigned(offset), bytes) {
        Ok(()) => ffi::SQLITE_OK,
        Err(Full) => ffi::SQLITE_IOERR_NOMEM,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls it for what `open` has opened.
    unsafe { content(file) }.truncate(unsigned(length));
    ffi::SQLITE_OK
}

unsafe extern "C" fn length(file: *mut ffi::sqlite3_file, to: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls it for what `open` has opened, and has a place for the length.
    unsafe {
        let length = content(file).length();
        *to = ffi::sqlite3_int64::try_from(length).unwrap_or(ffi::sqlite3_int64::MAX);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

/// Nobody else has the file.
unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn is_reserved(_: *mut ffi::sqlite3_file, to: *mut c_int) -> c_int {
    // SAFETY: SQLite has a place for the answer.
    unsafe { *to = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_ATOMIC
        | ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
        | ffi::SQLITE_IOCAP_SAFE_APPEND
        | ffi::SQLITE_IOCAP_SEQUENTIAL
}
