//! The calls of the kernel.
#![allow(unsafe_code, reason = "calls the kernel")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::{self, NonNull};
use std::sync::LazyLock;

use crate::arena::page_size::PageSize;

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

/// The bytes of a page of memory.
///
/// # Errors
///
/// Fails if the kernel does not report it.
pub(super) fn page_bytes() -> io::Result<usize> {
    // SAFETY: asks for a number, and touches no memory of ours.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).map_err(|_| io::Error::other("the size of its pages is not known"))
}

/// Reserves address space that is all zeros and costs nothing until it is used. It
/// is never given back.
///
/// # Errors
///
/// Fails if the kernel does not give that much.
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
/// # Errors
///
/// Fails if the range would be split into more mappings than the kernel allows.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses what is
/// forbidden.
pub(super) unsafe fn protect(start: *mut u8, bytes: usize, access: Access) -> io::Result<()> {
    // SAFETY: as the caller promises.
    match unsafe { libc::mprotect(start.cast(), bytes, access.bits()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the pages of a range back to the kernel. The range is all zeros
/// afterwards, or, where a file is mapped, what the file holds.
///
/// # Errors
///
/// Fails if the range is locked into memory. It may hold anything then.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn discard(start: *mut u8, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    match unsafe { libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How many bytes of a range are in memory, in whole pages; `None` if the kernel does not tell.
pub(super) fn resident_bytes(start: *mut u8, bytes: usize) -> Option<u64> {
    tells_resident_bytes().then(|| ask_for_resident_bytes(start, bytes))?
}

/// Whether the kernel tells what is in memory: some systems that are nearly Linux say that all is.
pub(super) fn tells_resident_bytes() -> bool {
    static TELLS: LazyLock<bool> = LazyLock::new(|| {
        let ask = || {
            let bytes = page_bytes().ok()?;
            let page = reserve(bytes, Access::ReadWrite).ok()?;
            let before = ask_for_resident_bytes(page, bytes)?;
            // SAFETY: the page is new, ours, and can be written.
            unsafe { page.write_volatile(1) };
            Some((before, ask_for_resident_bytes(page, bytes)?) == (0, bytes as u64))
        };
        ask().unwrap_or(false)
    });
    *TELLS
}

fn ask_for_resident_bytes(start: *mut u8, bytes: usize) -> Option<u64> {
    /// For as many pages the kernel is asked at once.
    const MAX_PAGES: usize = 256;
    let page = page_bytes().ok()?;
    let mut resident = 0;
    for part in (0..bytes).step_by(MAX_PAGES * page) {
        let mut pages = [0_u8; MAX_PAGES];
        let length = (bytes - part).min(MAX_PAGES * page);
        // SAFETY: the kernel writes a byte for each page, of which there are at most as many as
        // `pages` has. It only looks at the range.
        let told = unsafe {
            let start = start.wrapping_add(part).cast();
            libc::mincore(start, length, pages.as_mut_ptr().cast())
        };
        if told != 0 {
            return None;
        }
        resident += pages.iter().filter(|page| *page & 1 != 0).count() * page;
    }
    Some(resident as u64)
}

/// Makes every access to a range a fault, for good.
///
/// # Errors
///
/// Fails if the kernel has neither memory nor mappings left for it.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn guard(start: *mut u8, bytes: usize) -> io::Result<()> {
    // SAFETY: as the caller promises.
    if unsafe { libc::madvise(start.cast(), bytes, MADV_GUARD_INSTALL) } == 0 {
        return Ok(());
    }
    // Older kernels; this splits the mapping, so there can be as many stacks as
    // half of vm.max_map_count.
    // SAFETY: as the caller promises.
    unsafe { protect(start, bytes, Access::None) }
}

/// Maps a part of a file over a range; returns whether that was done. What is written to the
/// range then does not get into the file. If it was not done, the range is what it was.
///
/// - `offset`: where in the file the part begins; it is as long as the range.
///
/// # Errors
///
/// Fails if the file was not mapped, and the kernel does not let all of the range be
/// accessed any more.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], can be read and written,
/// and nobody uses it. The file has that part and is never changed or made
/// shorter.
pub(super) unsafe fn map_over(
    start: *mut u8,
    bytes: usize,
    (file, offset): (&File, u64),
    page: PageSize,
) -> io::Result<bool> {
    let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let (fd, offset) = (file.as_raw_fd(), offset.cast_signed());
    // SAFETY: as the caller promises; a fixed mapping replaces what is in the range,
    // which nobody uses.
    let mapped = unsafe { libc::mmap(start.cast(), bytes, READ_WRITE, flags, fd, offset) };
    if mapped != libc::MAP_FAILED {
        return Ok(true);
    }
    // SAFETY: as the caller promises.
    unsafe { map_zeros_where_nothing_is(start, bytes, page) }.map(|()| false)
}

/// Maps a part of a file, to be read.
///
/// - `offset`: where in the file the part begins.
/// - `bytes`: how long it is.
///
/// # Errors
///
/// Fails if the part is empty or does not begin with a page, or the kernel allows no more
/// mappings.
///
/// # Safety
///
/// The file has that part and is never changed or made shorter.
pub(super) unsafe fn map_to_read(
    file: &File,
    offset: u64,
    bytes: usize,
) -> io::Result<NonNull<u8>> {
    let (fd, offset) = (file.as_raw_fd(), offset.cast_signed());
    let (access, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
    // SAFETY: a new private mapping at an address that the kernel chooses touches
    // nothing that exists.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, fd, offset) };
    match NonNull::new(mapped.cast()) {
        Some(start) if mapped != libc::MAP_FAILED => Ok(start),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Removes a mapping.
///
/// # Safety
///
/// The range is one that [`map_to_read`] returned, and nobody reads it any more.
pub(super) unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: as the caller promises.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
}

/// Maps zeros over a range, as it was when it was reserved.
///
/// # Errors
///
/// Fails if there are as many mappings as the kernel allows. The range may hold
/// anything then.
///
/// # Safety
///
/// The range is whole pages of a mapping from [`reserve`], and nobody uses it.
pub(super) unsafe fn map_zeros_over(
    start: *mut u8,
    bytes: usize,
    access: Access,
) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: as in `map_over`.
    let mapped = unsafe { libc::mmap(start.cast(), bytes, access.bits(), flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: advice on a mapping that was just made; contents do not change.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_NOHUGEPAGE) };
    Ok(())
}

/// Moves the pages of one range into another without copying them; returns whether
/// all of them were moved.
///
/// If not, which is so where the kernel keeps the old range as more than one mapping,
/// or allows no more mappings, none or some were moved. A page that was moved has left
/// zeros behind, and where one was not, the new range holds zeros.
///
/// # Errors
///
/// Fails if not all pages were moved, and the kernel does not let all of the new range
/// be accessed any more.
///
/// # Safety
///
/// Both ranges are whole pages of mappings from [`reserve`], can be read and written,
/// do not overlap, and nobody uses either. No file is mapped into the old one, and
/// the new one holds zeros.
pub(super) unsafe fn move_pages(
    from: *mut u8,
    to: *mut u8,
    bytes: usize,
    page: PageSize,
) -> io::Result<bool> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: as the caller promises; what was mapped at `to` is not in use.
    let moved = unsafe { libc::mremap(from.cast(), bytes, bytes, flags, to) };
    if moved != libc::MAP_FAILED {
        return Ok(true);
    }
    // SAFETY: as the caller promises.
    unsafe { map_zeros_where_nothing_is(to, bytes, page) }.map(|()| false)
}

/// Maps zeros into a range wherever nothing is mapped: the kernel may have unmapped a
/// part of it before it found that it could not map something else there. The rest of
/// the range stays what it is.
///
/// # Errors
///
/// Fails if there are as many mappings as the kernel allows.
///
/// # Safety
///
/// The range is whole pages that were part of a mapping from [`reserve`], could be
/// read and written, and nobody uses it.
unsafe fn map_zeros_where_nothing_is(
    start: *mut u8,
    bytes: usize,
    page: PageSize,
) -> io::Result<()> {
    // This changes nothing, and fails if a part of the range is not mapped.
    // SAFETY: as the caller promises.
    if unsafe { protect(start, bytes, Access::ReadWrite) }.is_ok() {
        return Ok(());
    }
    if bytes <= page.bytes() {
        // SAFETY: as the caller promises.
        return unsafe { map_zeros_over(start, bytes, Access::ReadWrite) };
    }
    let half = page.round_up(bytes / 2);
    // SAFETY: as the caller promises; both halves are whole pages.
    unsafe {
        map_zeros_where_nothing_is(start, half, page)?;
        map_zeros_where_nothing_is(start.wrapping_add(half), bytes - half, page)
    }
}

/// A file in memory, without a name in any directory.
///
/// # Errors
///
/// Fails if the program has as many files open as it may.
pub(super) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string that lives longer than the call.
    let fd = unsafe { libc::memfd_create(c"lunatic-image".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: usize = 4;

    fn page() -> PageSize {
        let bytes = page_bytes().expect("the kernel tells");
        PageSize::new(bytes).expect("a page size")
    }

    fn reserved() -> *mut u8 {
        reserve(PAGES * page().bytes(), Access::ReadWrite).expect("address space")
    }

    /// Whether a range that can be read holds zeros.
    ///
    /// # Safety
    ///
    /// The range was reserved, can be read, and nobody writes to it.
    unsafe fn is_zeros(start: *const u8, bytes: usize) -> bool {
        // SAFETY: as the caller promises.
        let bytes = unsafe { std::slice::from_raw_parts(start, bytes) };
        bytes.iter().all(|byte| *byte == 0)
    }

    #[test]
    fn pages_are_moved_and_leave_zeros() {
        let (from, to) = (reserved(), reserved());
        let bytes = PAGES * page().bytes();
        // SAFETY: both ranges were just reserved.
        unsafe {
            from.write(7);
            assert!(move_pages(from, to, bytes, page()).expect("it is mapped"));
            assert_eq!(to.read(), 7);
            assert!(is_zeros(from, bytes));
        }
    }

    #[test]
    fn zeros_are_mapped_where_nothing_is_and_nowhere_else() {
        for hole in [0..PAGES, 0..1, 1..3, 3..PAGES, 2..2] {
            let range = reserved();
            let at = |number: usize| range.wrapping_add(number * page().bytes());
            // SAFETY: the range was just reserved; what is unmapped is not used.
            unsafe {
                (0..PAGES).for_each(|number| at(number).write(7));
                if !hole.is_empty() {
                    let bytes = hole.len() * page().bytes();
                    assert_eq!(libc::munmap(at(hole.start).cast(), bytes), 0);
                }
                map_zeros_where_nothing_is(range, PAGES * page().bytes(), page())
                    .expect("there are mappings left");
                for number in 0..PAGES {
                    let expected = if hole.contains(&number) { 0 } else { 7 };
                    assert_eq!(at(number).read(), expected, "page {number} of {hole:?}");
                    at(number).write(1);
                }
            }
        }
    }

    #[test]
    fn where_a_file_cannot_be_mapped_the_range_stays() {
        let range = reserved();
        let bytes = PAGES * page().bytes();
        let device = File::options().write(true).open("/dev/null");
        let device = device.expect("what every machine has");
        // SAFETY: the range was just reserved; the device cannot be mapped.
        unsafe {
            assert!(!map_over(range, bytes, (&device, 0), page()).expect("it is mapped"));
            assert!(is_zeros(range, bytes));
            range.write(7);
        }
    }
}
