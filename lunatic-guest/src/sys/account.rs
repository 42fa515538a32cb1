//! The imported functions on accounts, and on limits and rights in configs.

mod host {
    #[link(wasm_import_module = "lunatic::process")]
    extern "C" {
        pub(super) fn config_set_limit(config: u64, kind: u32, limit: u64);
        pub(super) fn config_get_limit(config: u64, kind: u32) -> u64;
        pub(super) fn config_set_right(config: u64, right: u32, can: u32);
        pub(super) fn config_has_right(config: u64, right: u32) -> u32;
        pub(super) fn account_limit(kind: u32) -> u64;
        pub(super) fn account_used(kind: u32) -> u64;
        pub(super) fn permit_signals(process: u64, target: u64) -> u32;
    }
}

pub(crate) fn config_set_limit(config: u64, kind: u32, limit: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::config_set_limit(config, kind, limit) }
}

pub(crate) fn config_get_limit(config: u64, kind: u32) -> u64 {
    // SAFETY: no memory is touched.
    unsafe { host::config_get_limit(config, kind) }
}

pub(crate) fn config_set_right(config: u64, right: u32, can: bool) {
    // SAFETY: no memory is touched.
    unsafe { host::config_set_right(config, right, can.into()) }
}

pub(crate) fn config_has_right(config: u64, right: u32) -> bool {
    // SAFETY: no memory is touched.
    unsafe { host::config_has_right(config, right) != 0 }
}

pub(crate) fn account_limit(kind: u32) -> u64 {
    // SAFETY: no memory is touched.
    unsafe { host::account_limit(kind) }
}

pub(crate) fn account_used(kind: u32) -> u64 {
    // SAFETY: no memory is touched.
    unsafe { host::account_used(kind) }
}

pub(crate) fn permit_signals(process: u64, target: u64) -> bool {
    // SAFETY: no memory is touched.
    unsafe { host::permit_signals(process, target) == 0 }
}
