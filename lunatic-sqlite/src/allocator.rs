//! The memory of SQLite: that of the program's allocator, counted for the connection which takes
//! it.
#![allow(unsafe_code, reason = "SQLite calls it, and gets addresses from it")]

use std::alloc::{self, Layout};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use rusqlite::ffi;

use crate::quota::{self, Quota};

/// What lies before each piece of memory.
struct Header {
    /// Whose it is; `None` if it is not counted.
    quota: Option<Arc<Quota>>,
    /// Its bytes, without this.
    bytes: usize,
}

const HEADER: usize = size_of::<Header>();

/// Pieces are aligned to so many bytes, as SQLite wants it.
const ALIGNMENT: usize = 8;

// What lies behind a header is aligned as it is.
const _: () = assert!(HEADER.is_multiple_of(ALIGNMENT) && align_of::<Header>() <= ALIGNMENT);

/// Has SQLite take its memory from here.
///
/// # Errors
///
/// SQLite's result code: `SQLITE_MISUSE` if it was used before.
pub(crate) fn install() -> Result<(), c_int> {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(malloc),
        xFree: Some(free),
        xRealloc: Some(realloc),
        xSize: Some(size),
        xRoundup: Some(round_up),
        xInit: Some(init),
        xShutdown: Some(shut_down),
        pAppData: ptr::null_mut(),
    };
    // SAFETY: SQLite copies the methods, which are as it wants them: they keep to what it says
    // of `sqlite3_mem_methods`.
    let outcome = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) };
    match outcome {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER.checked_add(bytes)?, ALIGNMENT).ok()
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let Ok(bytes) = usize::try_from(bytes) else {
        return ptr::null_mut();
    };
    let Some(layout) = layout(bytes) else {
        return ptr::null_mut();
    };
    let quota = quota::current();
    if quota
        .as_ref()
        .is_some_and(|quota| !quota.take(bytes as u64))
    {
        return ptr::null_mut();
    }
    // SAFETY: it has a header's size at least.
    let header = unsafe { alloc::alloc(layout) }.cast::<Header>();
    if header.is_null() {
        if let Some(quota) = quota {
            quota.give(bytes as u64);
        }
        return ptr::null_mut();
    }
    // SAFETY: it was just allocated, is large enough, and aligned for a header.
    unsafe {
        header.write(Header { quota, bytes });
        header.add(1).cast()
    }
}

/// Returns where the header of a piece is.
///
/// # Safety
///
/// The piece is one of [`malloc`] or [`realloc`], and was not freed.
unsafe fn header_of(piece: *mut c_void) -> *mut Header {
    // SAFETY: a header lies before it.
    unsafe { piece.cast::<Header>().sub(1) }
}

unsafe extern "C" fn free(piece: *mut c_void) {
    if piece.is_null() {
        return;
    }
    // SAFETY: SQLite frees what it has from here, once. The header is not used afterwards.
    let (start, header) = unsafe {
        let start = header_of(piece);
        (start, start.read())
    };
    if let Some(quota) = &header.quota {
        quota.give(header.bytes as u64);
    }
    if let Some(layout) = layout(header.bytes) {
        // SAFETY: it was allocated with this layout, since the header has its size.
        unsafe { alloc::dealloc(start.cast(), layout) };
    }
}

unsafe extern "C" fn realloc(piece: *mut c_void, bytes: c_int) -> *mut c_void {
    if piece.is_null() {
        // SAFETY: that asks for nothing.
        return unsafe { malloc(bytes) };
    }
    let Ok(bytes) = usize::try_from(bytes) else {
        return ptr::null_mut();
    };
    // SAFETY: SQLite has it from here, and has not freed it; nobody else uses it meanwhile.
    let (start, before, quota) = unsafe {
        let start = header_of(piece);
        (start, (*start).bytes, (*start).quota.clone())
    };
    let (Some(old), Some(new)) = (layout(before), layout(bytes)) else {
        return ptr::null_mut();
    };
    let more = bytes.saturating_sub(before) as u64;
    if quota.as_ref().is_some_and(|quota| !quota.take(more)) {
        return ptr::null_mut();
    }
    // SAFETY: it was allocated with this layout; the new size is that of a layout, too.
    let moved = unsafe { alloc::realloc(start.cast(), old, new.size()) }.cast::<Header>();
    let less = match moved.is_null() {
        true => more,
        false => before.saturating_sub(bytes) as u64,
    };
    if let Some(quota) = quota {
        quota.give(less);
    }
    if moved.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the header was moved along.
    unsafe {
        (*moved).bytes = bytes;
        moved.add(1).cast()
    }
}

unsafe extern "C" fn size(piece: *mut c_void) -> c_int {
    if piece.is_null() {
        return 0;
    }
    // SAFETY: SQLite has it from here, and has not freed it.
    let bytes = unsafe { (*header_of(piece)).bytes };
    c_int::try_from(bytes).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn round_up(bytes: c_int) -> c_int {
    bytes.saturating_add(ALIGNMENT as c_int - 1) & !(ALIGNMENT as c_int - 1)
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shut_down(_: *mut c_void) {}
