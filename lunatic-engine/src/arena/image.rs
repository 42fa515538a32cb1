//! The initial contents of the memory of a module.
#![allow(unsafe_code, reason = "writes to slots")]

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::arena::file_mapping::FileMapping;
use crate::arena::image_file::ImageFile;
use crate::arena::page_size::PageSize;
use crate::arena::system;
use crate::initial_memory::InitialMemory;
use crate::sealed_file::SealedFile;

/// Tells images apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ImageId(u64);

/// The first contents of a memory, in whole pages.
pub(crate) struct Image {
    id: ImageId,
    /// The range of the image in the memory; both ends are multiples of a page.
    place: Range<usize>,
    bytes: Contents,
    /// The same bytes, to be mapped; without a file they are copied.
    file: Option<ImageFile>,
    page: PageSize,
}

/// The bytes of an image.
enum Contents {
    Owned(Box<[u8]>),
    /// The bytes are in the file with the code of the module.
    Kept(FileMapping),
}

thread_local! {
    /// The image of the memory that is about to be asked for on this thread.
    static NEXT: Cell<Option<Arc<Image>>> = const { Cell::new(None) };
}

impl Image {
    /// The image of these contents.
    pub(super) fn new(memory: &InitialMemory, page: PageSize) -> Image {
        let place =
            page.round_down(memory.offset)..page.round_up(memory.offset + memory.bytes.len());
        let mut bytes = vec![0; place.len()].into_boxed_slice();
        bytes[memory.offset - place.start..][..memory.bytes.len()].copy_from_slice(&memory.bytes);
        Image {
            id: ImageId::next(),
            file: file_to_map(bytes.len(), page, || ImageFile::new(&bytes)),
            place,
            bytes: Contents::Owned(bytes),
            page,
        }
    }

    /// The image that is kept with the code of a module.
    ///
    /// - `start`: where in the memory it is.
    /// - `part`: where in the file.
    ///
    /// # Errors
    ///
    /// Fails if it is not made of whole pages, or cannot be mapped.
    pub(super) fn kept(
        start: usize,
        file: &SealedFile,
        part: &Range<u64>,
        page: PageSize,
    ) -> io::Result<Image> {
        let bytes = FileMapping::new(file, part)?;
        let end = start.saturating_add(bytes.len());
        if page.round_down(start) != start || page.round_down(end) != end {
            return Err(io::Error::other("it was made for pages of another size"));
        }
        Ok(Image {
            id: ImageId::next(),
            file: file_to_map(bytes.len(), page, || ImageFile::kept(file, part.start)),
            place: start..end,
            bytes: Contents::Kept(bytes),
            page,
        })
    }

    /// How much memory it takes beside the files of modules that are kept.
    pub(crate) fn memory_bytes(&self) -> usize {
        match (&self.bytes, &self.file) {
            (Contents::Kept(_), _) => 0,
            (Contents::Owned(bytes), None) => bytes.len(),
            (Contents::Owned(bytes), Some(_)) => 2 * bytes.len(),
        }
    }

    /// Returns the position of the image in the memory.
    pub(crate) fn start(&self) -> usize {
        self.place.start
    }

    /// Returns the bytes of the image.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The alignment of the position in a file from which the bytes of an image can be mapped.
    pub(crate) fn alignment(&self) -> usize {
        self.page.bytes()
    }

    /// Calls `make`, which may make an instance; if that allocates a memory, the memory holds this
    /// image.
    pub(crate) fn during<R>(image: Option<&Arc<Image>>, make: impl FnOnce() -> R) -> R {
        /// Takes it back even if `make` panics.
        struct TakeBack;
        impl Drop for TakeBack {
            fn drop(&mut self) {
                NEXT.set(None);
            }
        }
        NEXT.set(image.cloned());
        let _take_back = TakeBack;
        make()
    }

    /// The image for the memory that is being made on this thread.
    pub(super) fn take_next() -> Option<Arc<Image>> {
        NEXT.take()
    }

    pub(super) fn id(&self) -> ImageId {
        self.id
    }

    /// Returns the range of the image in the memory.
    pub(super) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// How many bytes from the start of the memory on it needs.
    pub(super) fn end(&self) -> usize {
        self.place.end
    }

    /// Whether it can be mapped, which saves more than it costs then.
    pub(super) fn can_be_mapped(&self) -> bool {
        self.file.is_some()
    }

    /// Maps the image into a memory; returns whether that was done. If not, the contents of the
    /// memory are unchanged.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not let a part of the memory be accessed any more.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot, of which the first [`end`](Image::end) bytes can be
    /// accessed, and that nobody uses.
    pub(super) unsafe fn map(&self, memory: *mut u8) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let start = memory.wrapping_add(self.place.start);
        // SAFETY: as the caller promises; the file is ours or sealed, its part as long as the
        // place, and nobody writes to it.
        unsafe { system::map_over(start, self.place.len(), file.part(), self.page) }
    }

    /// Copies the image into a memory.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot that holds zeros, of which the first
    /// [`end`](Image::end) bytes can be accessed, and that nobody uses.
    pub(super) unsafe fn copy(&self, memory: *mut u8) {
        // SAFETY: as the caller promises.
        unsafe { self.copy_part(memory, 0..self.bytes.len()) };
    }

    /// Makes a part of a memory hold again what it held at first: what this image, if
    /// there is one, has there, and zeros.
    ///
    /// - `part`: from where to where in the memory.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot of which the bytes of `part` can be accessed,
    /// and that nobody uses.
    pub(super) unsafe fn restore(image: Option<&Image>, memory: *mut u8, part: Range<usize>) {
        let overlap = image.and_then(|image| Some((image, image.overlap(&part)?)));
        // SAFETY: as the caller promises; all that is written is inside of the part.
        unsafe {
            match overlap {
                Some((image, overlap)) => {
                    clear(memory, part.start..overlap.start);
                    clear(memory, overlap.end..part.end);
                    let start = image.place.start;
                    image.copy_part(memory, overlap.start - start..overlap.end - start);
                }
                None => clear(memory, part),
            }
        }
    }

    /// Returns the overlap of a part of a memory with the image.
    fn overlap(&self, part: &Range<usize>) -> Option<Range<usize>> {
        let overlap = part.start.max(self.place.start)..part.end.min(self.place.end);
        (!overlap.is_empty()).then_some(overlap)
    }

    /// Copies a part of the image, counted from its own start, to its place in a memory.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot of which these bytes can be accessed, and that
    /// nobody uses.
    unsafe fn copy_part(&self, memory: *mut u8, part: Range<usize>) {
        let to = memory.wrapping_add(self.place.start + part.start);
        let bytes = &self.bytes[part];
        // SAFETY: as the caller promises; a slot and the bytes of an image do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

/// Writes zeros to a part of a memory.
///
/// # Safety
///
/// `memory` is the start of a slot of which these bytes can be accessed, and that
/// nobody uses.
unsafe fn clear(memory: *mut u8, part: Range<usize>) {
    // SAFETY: as the caller promises.
    unsafe { ptr::write_bytes(memory.wrapping_add(part.start), 0, part.len()) };
}

/// A file with the bytes of an image, if mapping it saves more than it costs: a few pages are
/// copied faster. `None` also if there are as many such files as there may be.
fn file_to_map(
    bytes: usize,
    page: PageSize,
    open: impl FnOnce() -> Option<ImageFile>,
) -> Option<ImageFile> {
    const MIN_PAGES: usize = 4;
    if page.pages(bytes) < MIN_PAGES {
        return None;
    }
    open()
}

impl ImageId {
    fn next() -> ImageId {
        static LAST: AtomicU64 = AtomicU64::new(0);
        ImageId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Contents::Owned(bytes) => bytes,
            Contents::Kept(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("id", &self.id)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(offset: usize, bytes: &[u8], page: PageSize) -> Image {
        let bytes = bytes.to_vec();
        Image::new(&InitialMemory { offset, bytes }, page)
    }

    #[test]
    fn an_image_is_whole_pages_with_zeros_around_the_bytes() {
        for page in PageSize::all() {
            let size = page.bytes();
            let image = image(3 * size - 1, &[7, 8], page);
            assert_eq!(image.place, 2 * size..4 * size);
            assert_eq!(image.bytes[size - 1..=size], [7, 8]);
            let others = image.bytes.iter().filter(|byte| **byte == 0);
            assert_eq!(others.count(), 2 * size - 2);
        }
    }

    #[test]
    fn an_image_at_the_start_ends_with_its_last_page() {
        for page in PageSize::all() {
            assert_eq!(image(0, &[1], page).place, 0..page.bytes());
            let whole = vec![1; page.bytes()];
            assert_eq!(image(0, &whole, page).place, 0..page.bytes());
        }
    }

    #[test]
    fn images_of_a_few_pages_are_not_mapped() {
        for page in PageSize::all() {
            let three = vec![1; 3 * page.bytes()];
            assert!(!image(0, &three, page).can_be_mapped());
            assert!(image(1, &three, page).can_be_mapped());
        }
    }

    #[test]
    fn a_part_of_a_memory_is_restored_and_nothing_else() {
        let page = PageSize::all()[0];
        let size = page.bytes();
        let image = image(2 * size, &vec![1; size], page);
        for part in [
            0..size,
            size..2 * size + 10,
            2 * size + 10..2 * size + 20,
            3 * size - 1..3 * size + 1,
            size..4 * size,
            3 * size..4 * size,
        ] {
            let mut memory = vec![9u8; 4 * size];
            // SAFETY: all parts lie in the vector, which nobody else uses.
            unsafe { Image::restore(Some(&image), memory.as_mut_ptr(), part.clone()) };
            for (at, byte) in memory.into_iter().enumerate() {
                let expected = match (part.contains(&at), image.place.contains(&at)) {
                    (false, _) => 9,
                    (true, true) => 1,
                    (true, false) => 0,
                };
                assert_eq!(byte, expected, "at {at} of {part:?}");
            }
        }
    }
}
