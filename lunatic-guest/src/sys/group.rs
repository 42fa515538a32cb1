//! The imported functions on process groups.

/// A scope and the name of a group in it.
pub(crate) type Names<'a> = (&'a str, &'a str);

mod host {
    #[link(wasm_import_module = "lunatic::group")]
    extern "C" {
        pub(super) fn join(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            process: u64,
            id: *mut u64,
        ) -> u32;
        pub(super) fn leave(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            process: u64,
        ) -> u32;
        pub(super) fn members(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            list: *mut [u64; 2],
            max: usize,
        ) -> u32;
        pub(super) fn local_members(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            list: *mut [u64; 2],
            max: usize,
        ) -> u32;
        pub(super) fn groups(scope: *const u8, scope_len: usize, list: *mut u8, len: usize) -> u32;
        pub(super) fn next(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            node: *mut u64,
            process: *mut u64,
        ) -> u32;
        pub(super) fn dispatch(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            node: *mut u64,
            process: *mut u64,
        ) -> u32;
        pub(super) fn broadcast(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
        ) -> u32;
        pub(super) fn monitor(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            tag: i64,
            id: *mut u64,
        ) -> u32;
        pub(super) fn monitor_scope(
            scope: *const u8,
            scope_len: usize,
            tag: i64,
            id: *mut u64,
        ) -> u32;
        pub(super) fn stop_monitoring(scope: *const u8, scope_len: usize, monitor: u64) -> u32;
    }

    #[link(wasm_import_module = "lunatic::message")]
    extern "C" {
        pub(super) fn create_data(tag: i64, capacity: u64);
        pub(super) fn write_data(bytes: *const u8, len: usize) -> u32;
    }
}

pub(crate) fn join((scope, group): Names<'_>, process: u64) -> (u32, u64) {
    let mut id = 0;
    // SAFETY: the names are as long as is said, and there is room for an id.
    let code = unsafe {
        host::join(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            process,
            &mut id,
        )
    };
    (code, id)
}

pub(crate) fn leave((scope, group): Names<'_>, process: u64) -> u32 {
    // SAFETY: the names are as long as is said.
    unsafe {
        host::leave(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            process,
        )
    }
}

/// How many there are; they are written if there is room for all of them.
pub(crate) fn members((scope, group): Names<'_>, list: &mut [[u64; 2]]) -> usize {
    // SAFETY: the names and the list are as long as is said.
    let count = unsafe {
        host::members(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            list.as_mut_ptr(),
            list.len(),
        )
    };
    count as usize
}

/// As [`members`], but of this node only.
pub(crate) fn local_members((scope, group): Names<'_>, list: &mut [[u64; 2]]) -> usize {
    // SAFETY: the names and the list are as long as is said.
    let count = unsafe {
        host::local_members(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            list.as_mut_ptr(),
            list.len(),
        )
    };
    count as usize
}

/// How many bytes the list has; it is written if there is room for all of it.
pub(crate) fn groups(scope: &str, list: &mut [u8]) -> usize {
    // SAFETY: the name and the list are as long as is said.
    let size = unsafe { host::groups(scope.as_ptr(), scope.len(), list.as_mut_ptr(), list.len()) };
    size as usize
}

pub(crate) fn next((scope, group): Names<'_>) -> (u32, [u64; 2]) {
    let [mut node, mut process] = [0; 2];
    // SAFETY: the names are as long as is said, and there is room for the ids.
    let code = unsafe {
        host::next(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            &mut node,
            &mut process,
        )
    };
    (code, [node, process])
}

pub(crate) fn dispatch((scope, group): Names<'_>, tag: i64, bytes: &[u8]) -> (u32, [u64; 2]) {
    let [mut node, mut process] = [0; 2];
    // SAFETY: all slices are as long as is said, and there is room for the ids.
    let code = unsafe {
        host::create_data(tag, bytes.len() as u64);
        host::write_data(bytes.as_ptr(), bytes.len());
        host::dispatch(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            &mut node,
            &mut process,
        )
    };
    (code, [node, process])
}

pub(crate) fn broadcast((scope, group): Names<'_>, tag: i64, bytes: &[u8]) -> usize {
    // SAFETY: all slices are as long as is said.
    let count = unsafe {
        host::create_data(tag, bytes.len() as u64);
        host::write_data(bytes.as_ptr(), bytes.len());
        host::broadcast(scope.as_ptr(), scope.len(), group.as_ptr(), group.len())
    };
    count as usize
}

pub(crate) fn monitor((scope, group): Names<'_>, tag: i64) -> (u32, u64) {
    let mut id = 0;
    // SAFETY: the names are as long as is said, and there is room for an id.
    let code = unsafe {
        host::monitor(
            scope.as_ptr(),
            scope.len(),
            group.as_ptr(),
            group.len(),
            tag,
            &mut id,
        )
    };
    (code, id)
}

pub(crate) fn monitor_scope(scope: &str, tag: i64) -> (u32, u64) {
    let mut id = 0;
    // SAFETY: the name is as long as is said, and there is room for an id.
    let code = unsafe { host::monitor_scope(scope.as_ptr(), scope.len(), tag, &mut id) };
    (code, id)
}

pub(crate) fn stop_monitoring(scope: &str, monitor: u64) {
    // SAFETY: the name is as long as is said.
    unsafe { host::stop_monitoring(scope.as_ptr(), scope.len(), monitor) };
}
