//! What the memory of a module holds at first.
#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::arena::free_list::ImageId;
use crate::arena::system::{self, PAGE};
use crate::segments::Contents;

/// The first contents of a memory, in whole pages.
pub(crate) struct Image {
    id: ImageId,
    /// Where in the memory it is; both ends are multiples of a page.
    place: Range<usize>,
    bytes: Box<[u8]>,
    /// The same bytes, to be mapped.
    file: Option<File>,
}

thread_local! {
    /// The image of the memory that is about to be asked for on this thread.
    static NEXT: RefCell<Option<Arc<Image>>> = const { RefCell::new(None) };
}

impl Image {
    /// The image of these contents.
    pub(crate) fn new(contents: &Contents) -> Image {
        static LAST_ID: AtomicU64 = AtomicU64::new(ImageId::NONE.0);
        let start = contents.offset / PAGE * PAGE;
        let end = (contents.offset + contents.bytes.len()).next_multiple_of(PAGE);
        let mut bytes = vec![0; end - start].into_boxed_slice();
        bytes[contents.offset - start..][..contents.bytes.len()].copy_from_slice(&contents.bytes);
        Image {
            id: ImageId(LAST_ID.fetch_add(1, Ordering::Relaxed) + 1),
            place: start..end,
            // Without a file, images are copied.
            file: file_of(&bytes).ok(),
            bytes,
        }
    }

    /// Calls `make`, which may make an instance; if it asks for a memory, that
    /// holds this image.
    pub(crate) fn during<R>(image: Option<&Arc<Image>>, make: impl FnOnce() -> R) -> R {
        NEXT.set(image.cloned());
        let made = make();
        NEXT.set(None);
        made
    }

    /// The image for the memory that is being made on this thread.
    pub(super) fn take_next() -> Option<Arc<Image>> {
        NEXT.take()
    }

    pub(super) fn id(&self) -> ImageId {
        self.id
    }

    /// How many bytes from the start of the memory on it needs.
    pub(super) fn end(&self) -> usize {
        self.place.end
    }

    /// Whether mapping saves more than it costs; a few pages are copied faster.
    pub(super) fn is_worth_mapping(&self) -> bool {
        const MAPPED_FROM: usize = 4 * PAGE;
        self.bytes.len() >= MAPPED_FROM
    }

    /// Maps the image into a memory, if that can be done.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot that nobody uses and that has room for it.
    pub(super) unsafe fn map(&self, memory: *mut u8) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let start = memory.wrapping_add(self.place.start);
        // SAFETY: the caller's; the file is ours, and nobody writes to it.
        unsafe { system::map_over(start, self.place.len(), file) }.is_ok()
    }

    /// Copies the image into a memory.
    ///
    /// # Safety
    ///
    /// `memory` is the start of a slot that nobody uses and that has room for it.
    pub(super) unsafe fn copy(&self, memory: *mut u8) {
        let start = memory.wrapping_add(self.place.start);
        // SAFETY: the caller's; a slot and a box do not overlap.
        unsafe { ptr::copy_nonoverlapping(self.bytes.as_ptr(), start, self.bytes.len()) };
    }

    /// What a page of a memory holds at first; `None` for zeros.
    ///
    /// - `offset`: where in the memory the page begins.
    pub(super) fn page(&self, offset: usize) -> Option<&[u8]> {
        let start = offset.checked_sub(self.place.start)?;
        self.bytes.get(start..start + PAGE)
    }
}

fn file_of(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = system::memory_file()?;
    file.write_all(bytes)?;
    Ok(file)
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("id", &self.id)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
