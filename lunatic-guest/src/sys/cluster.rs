//! The imported functions on nodes, and on names that are unique in a cluster.

mod distributed {
    #[link(wasm_import_module = "lunatic::distributed")]
    extern "C" {
        pub(super) fn node_id() -> u64;
        pub(super) fn module_id() -> u64;
        pub(super) fn nodes_count() -> u32;
        pub(super) fn get_nodes(nodes: *mut u64, max: usize) -> u32;
        pub(super) fn spawn(
            node: u64,
            config: i64,
            module: u64,
            name: *const u8,
            name_len: usize,
            params: *const u8,
            params_len: usize,
            id: *mut u64,
        ) -> u32;
        pub(super) fn spawn_link(
            node: u64,
            tag: i64,
            config: i64,
            module: u64,
            name: *const u8,
            name_len: usize,
            params: *const u8,
            params_len: usize,
            id: *mut u64,
        ) -> u32;
        pub(super) fn exists(process: u64) -> u32;
        pub(super) fn node_name(node: u64, name: *mut u8, len: usize) -> i32;
        pub(super) fn find_node(name: *const u8, len: usize) -> u64;
        pub(super) fn monitor_nodes(tag: i64);
        pub(super) fn stop_monitoring_nodes();
    }
}

mod global {
    #[link(wasm_import_module = "lunatic::global")]
    extern "C" {
        pub(super) fn register(
            name: *const u8,
            name_len: usize,
            process: u64,
            on_loss: u32,
            tag: i64,
            holder: *mut u64,
        ) -> u32;
        pub(super) fn unregister(name: *const u8, name_len: usize) -> u32;
        pub(super) fn whereis(name: *const u8, name_len: usize, id: *mut u64) -> u32;
    }
}

pub(crate) fn node_id() -> u64 {
    // SAFETY: no memory is touched.
    unsafe { distributed::node_id() }
}

pub(crate) fn module_id() -> u64 {
    // SAFETY: no memory is touched.
    unsafe { distributed::module_id() }
}

pub(crate) fn nodes() -> Vec<u64> {
    // SAFETY: no memory is touched.
    let count = unsafe { distributed::nodes_count() } as usize;
    let mut nodes = vec![0; count];
    // SAFETY: there is room for so many, each of the size of a `u64`.
    let written = unsafe { distributed::get_nodes(nodes.as_mut_ptr(), nodes.len()) };
    nodes.truncate(written as usize);
    nodes
}

/// - `link`: the tag of a link to the caller, if there is to be one.
pub(crate) fn spawn(
    node: u64,
    link: Option<i64>,
    config: i64,
    export: &str,
    params: &[u8],
) -> (u32, u64) {
    let module = module_id();
    let (name, name_len) = (export.as_ptr(), export.len());
    let (params, params_len) = (params.as_ptr(), params.len());
    // SAFETY: `export` and `params` are as long as is said, and there is a place for the id.
    super::with_id(|id| unsafe {
        match link {
            Some(tag) => distributed::spawn_link(
                node, tag, config, module, name, name_len, params, params_len, id,
            ),
            None => {
                distributed::spawn(node, config, module, name, name_len, params, params_len, id)
            }
        }
    })
}

pub(crate) fn exists(process: u64) -> u32 {
    // SAFETY: no memory is touched.
    unsafe { distributed::exists(process) }
}

pub(crate) fn node_name(node: u64) -> Option<Vec<u8>> {
    let mut name = vec![0; 1024];
    // SAFETY: there is room for so many bytes.
    let length = unsafe { distributed::node_name(node, name.as_mut_ptr(), name.len()) };
    name.truncate(usize::try_from(length).ok()?);
    Some(name)
}

pub(crate) fn find_node(name: &str) -> u64 {
    // SAFETY: `name` is as long as is said.
    unsafe { distributed::find_node(name.as_ptr(), name.len()) }
}

pub(crate) fn monitor_nodes(tag: i64) {
    // SAFETY: no memory is touched.
    unsafe { distributed::monitor_nodes(tag) }
}

pub(crate) fn stop_monitoring_nodes() {
    // SAFETY: no memory is touched.
    unsafe { distributed::stop_monitoring_nodes() }
}

pub(crate) fn register(name: &str, process: u64, on_loss: u32, tag: i64) -> (u32, u64) {
    // SAFETY: `name` is as long as is said, and there is a place for the id.
    super::with_id(|holder| unsafe {
        global::register(name.as_ptr(), name.len(), process, on_loss, tag, holder)
    })
}

pub(crate) fn unregister(name: &str) -> u32 {
    // SAFETY: `name` is as long as is said.
    unsafe { global::unregister(name.as_ptr(), name.len()) }
}

pub(crate) fn whereis(name: &str) -> (u32, u64) {
    // SAFETY: `name` is as long as is said, and there is a place for the id.
    super::with_id(|id| unsafe { global::whereis(name.as_ptr(), name.len(), id) })
}
