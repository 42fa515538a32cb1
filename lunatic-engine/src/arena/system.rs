//! The calls of the kernel.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

/// Bytes of a page of memory.
pub(super) const PAGE: usize = 4096;

/// Guard pages without a mapping of their own (Linux 6.13).
const MADV_GUARD_INSTALL: libc::c_int = 102;

const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

/// Whether memory can be read and written, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    None,
}

impl Access {
    fn bits(self) -> libc::c_int {
        match self {
            Access::ReadWrite => READ_WRITE,
            Access::None => libc::PROT_NONE,
        }
    }
}

/// Reserves address space that is all zeros and costs nothing until it is used. It
/// is never given back.
pub(super) fn reserve(bytes: usize, access: Access) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new private mapping at an address that the kernel chooses touches
    // nothing that exists.
    let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access.bits(), flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // A slot would be rounded up to huge pages. That this fails where the kernel
    // has none is all right.
    // SAFETY: advice on a mapping that was just made; contents do not change.
    unsafe { libc::madvise(base, bytes, libc::MADV_NOHUGEPAGE) };
    Ok(base.cast())
}

/// Allows or forbids every access to a range, whose contents stay.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses what is
/// forbidden.
pub(super) unsafe fn protect(start: *mut u8, bytes: usize, access: Access) -> io::Result<()> {
    // SAFETY: the caller's.
    match unsafe { libc::mprotect(start.cast(), bytes, access.bits()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the pages of a range back; it is all zeros afterwards, or, where a file
/// is mapped, what the file holds.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn discard(start: *mut u8, bytes: usize) {
    // SAFETY: the caller's.
    let done = unsafe { libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) };
    // It can fail for ranges that are not mapped, or locked; a slot is neither.
    assert_eq!(done, 0, "the kernel does not take pages back");
}

/// Makes every access to a page a fault, for good.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn guard(start: *mut u8, bytes: usize) -> io::Result<()> {
    // SAFETY: the caller's.
    if unsafe { libc::madvise(start.cast(), bytes, MADV_GUARD_INSTALL) } == 0 {
        return Ok(());
    }
    // Older kernels; this splits the mapping, so there can be as many stacks as
    // half of vm.max_map_count.
    // SAFETY: the caller's.
    unsafe { protect(start, bytes, Access::None) }
}

/// Maps a file over a range, privately: what is written is seen here alone.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], nobody uses it, and
/// the file is never changed or made shorter.
pub(super) unsafe fn map_over(start: *mut u8, bytes: usize, file: &File) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: the caller's; a fixed mapping replaces what is in the range, which
    // is nobody's.
    let mapped = unsafe { libc::mmap(start.cast(), bytes, READ_WRITE, flags, file.as_raw_fd(), 0) };
    match mapped == libc::MAP_FAILED {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// Maps nothing but zeros over a range, as it was when it was reserved.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn map_nothing_over(start: *mut u8, bytes: usize) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: as in `map_over`.
    let mapped = unsafe { libc::mmap(start.cast(), bytes, READ_WRITE, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: advice; contents do not change.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_NOHUGEPAGE) };
    Ok(())
}

/// Moves the pages of one range into another without copying them. The old range
/// is all zeros afterwards.
///
/// # Safety
///
/// Both ranges are whole pages of mappings from [`reserve`], do not overlap, and
/// nobody uses either meanwhile; the old one holds no mapped file.
pub(super) unsafe fn move_pages(from: *mut u8, to: *mut u8, bytes: usize) -> io::Result<()> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: the caller's; what was mapped at `to` is nobody's.
    let moved = unsafe { libc::mremap(from.cast(), bytes, bytes, flags, to) };
    match moved == libc::MAP_FAILED {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// A file in memory, without a name.
pub(super) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string that lives longer than the call.
    let fd = unsafe { libc::memfd_create(c"lunatic-image".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}
