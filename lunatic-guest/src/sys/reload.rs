//! The imported functions on reloading, and on traps that are caught.

mod host {
    #[link(wasm_import_module = "lunatic::reload")]
    extern "C" {
        pub(super) fn offer(kind: *const u8, kind_len: usize, version: i64);
        pub(super) fn arm() -> i64;
        pub(super) fn hand_over(version: i64, id: *mut u64) -> u32;
        pub(super) fn accept();
        pub(super) fn refuse(text: *const u8, text_len: usize);
    }

    #[link(wasm_import_module = "lunatic::trap")]
    extern "C" {
        pub(super) fn catch(function: usize, pointer: usize) -> usize;
    }

    #[link(wasm_import_module = "lunatic::group")]
    extern "C" {
        pub(super) fn broadcast(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
        ) -> u32;
    }
}

pub(crate) fn offer(kind: &str, version: i64) {
    // SAFETY: the text is as long as is said.
    unsafe { host::offer(kind.as_ptr(), kind.len(), version) }
}

/// The version in which the state is to be written; -1 for none.
pub(crate) fn arm() -> i64 {
    // SAFETY: no memory is touched.
    unsafe { host::arm() }
}

/// The code and the id of an error, if the code is 1.
pub(crate) fn hand_over(version: i64) -> (u32, u64) {
    let mut id = 0;
    // SAFETY: there is room for an id.
    let code = unsafe { host::hand_over(version, &mut id) };
    (code, id)
}

pub(crate) fn accept() {
    // SAFETY: no memory is touched.
    unsafe { host::accept() }
}

/// Refuses with as much of the text as there may be.
pub(crate) fn refuse(text: &str) {
    const MAX_TEXT_BYTES: usize = 1024;
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // SAFETY: the text is as long as is said.
    unsafe { host::refuse(text.as_ptr(), end) }
}

/// Calls a function; `None` if it traps, or is not called as there is no memory for its stack.
///
/// What the function had on its stack when it trapped stays there, for nobody winds the
/// stack back.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Option<R> {
    type Slot<F, R> = (Option<F>, Option<R>);

    fn run<F: FnOnce() -> R, R>(slot: usize) -> usize {
        // SAFETY: the number is the address of the slot below, which lives until the
        // catch is over and is not touched meanwhile.
        let slot = unsafe { &mut *(slot as *mut Slot<F, R>) };
        slot.1 = slot.0.take().map(|call| call());
        1
    }

    fn catch_in<F: FnOnce() -> R, R>(call: F) -> Option<R> {
        let run: fn(usize) -> usize = run::<F, R>;
        let mut slot: Slot<F, R> = (Some(call), None);
        // SAFETY: `run` has the type that the export `_lunatic_catch_trap` of `lunatic-sys`
        // calls, and gets the slot for which it was made.
        unsafe { host::catch(run as usize, &raw mut slot as usize) };
        slot.1
    }

    catch_in(call)
}

/// Whether a resource was ever pushed into the message in scratch; empties scratch if not. True
/// too if there is no memory left to find out.
///
/// A message with resources cannot be sent to a group, which traps before anything else
/// is done.
pub(crate) fn message_has_resources() -> bool {
    const NOBODY: &str = "nobody joins this one";
    // SAFETY: both names are as long as is said.
    let sent = catch(|| unsafe {
        host::broadcast(NOBODY.as_ptr(), NOBODY.len(), NOBODY.as_ptr(), NOBODY.len())
    });
    sent.is_none()
}
