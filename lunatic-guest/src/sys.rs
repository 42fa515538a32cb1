//! The imported functions, each behind a safe one of the same name.
//!
//! The host checks every address and number it is given, and writes only where
//! the ABI says; all that has to hold here is that there is as much memory as it
//! is told of, and that it is not borrowed elsewhere.
#![allow(unsafe_code, reason = "what is imported is called nowhere else")]
#![allow(
    clashing_extern_declarations,
    reason = "modules of imports have functions of the same name"
)]

pub(crate) mod account;
pub(crate) mod cluster;
pub(crate) mod group;
pub(crate) mod net;
pub(crate) mod reload;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::mem;

use crate::param::Param;

/// What waits return when their time is over, or when they end early.
pub(crate) const TIMED_OUT: u32 = 9027;

/// The export by which a process runs a function of this module.
pub(crate) const ENTRY: &str = "_lunatic_guest_entry";

mod host {
    pub(super) mod supervisor {
        #[link(wasm_import_module = "lunatic::supervisor")]
        extern "C" {
            pub(crate) fn create_spec(
                name: *const u8,
                name_len: usize,
                strategy: u32,
                restarts: u32,
                period: i64,
                auto_shutdown: u32,
            ) -> u64;
            pub(crate) fn drop_spec(spec: u64);
            pub(crate) fn set_backoff(spec: u64, first: i64, longest: i64, jitter: u32);
            pub(crate) fn add_child(spec: u64, child: *const u8, id: *mut u64) -> u32;
            pub(crate) fn add_supervisor(
                spec: u64,
                nested: u64,
                restart: u32,
                shutdown: i64,
                significant: u32,
                id: *mut u64,
            ) -> u32;
            pub(crate) fn start(spec: u64, tag: i64, id: *mut u64) -> u32;
            pub(crate) fn start_child(supervisor: u64, child: *const u8, id: *mut u64) -> u32;
            pub(crate) fn start_from_template(
                supervisor: u64,
                params: *const u8,
                params_len: usize,
                id: *mut u64,
            ) -> u32;
            pub(crate) fn restart_child(
                supervisor: u64,
                name: *const u8,
                name_len: usize,
                id: *mut u64,
            ) -> u32;
            pub(crate) fn terminate_child(
                supervisor: u64,
                name: *const u8,
                name_len: usize,
                id: *mut u64,
            ) -> u32;
            pub(crate) fn terminate_process(supervisor: u64, process: u64, id: *mut u64) -> u32;
            pub(crate) fn delete_child(
                supervisor: u64,
                name: *const u8,
                name_len: usize,
                id: *mut u64,
            ) -> u32;
            pub(crate) fn stop(supervisor: u64);
            pub(crate) fn wait(process: u64, timeout: u64, id: *mut u64) -> u32;
            pub(crate) fn which_children(supervisor: u64, id: *mut u64) -> u32;
            pub(crate) fn count_children(
                supervisor: u64,
                counts: *mut [u64; 4],
                id: *mut u64,
            ) -> u32;
            pub(crate) fn list_size(list: u64) -> u32;
            pub(crate) fn list_read(list: u64, bytes: *mut u8);
            pub(crate) fn list_drop(list: u64);
        }
    }

    pub(super) mod process {
        #[link(wasm_import_module = "lunatic::process")]
        extern "C" {
            pub(crate) fn process_id() -> u64;
            pub(crate) fn kill(process: u64);
            pub(crate) fn exists(process: u64) -> u32;
            pub(crate) fn die_when_link_dies(die: u32);
            pub(crate) fn sleep_ms(millis: u64);
            pub(crate) fn monitor(process: u64);
            pub(crate) fn stop_monitoring(process: u64);
            pub(crate) fn set_label(label: *const u8, len: usize);
            pub(crate) fn exit(process: u64, reason: u32, text: *const u8, text_len: usize);
            pub(crate) fn monitor_with_reason(tag: i64, process: u64);
        }
    }

    pub(super) mod wasi {
        #[link(wasm_import_module = "lunatic::wasi")]
        extern "C" {
            pub(crate) fn config_preopen_dir(config: u64, dir: *const u8, len: usize);
        }
    }

    pub(super) mod message {
        #[link(wasm_import_module = "lunatic::message")]
        extern "C" {
            pub(crate) fn create_data(tag: i64, capacity: u64);
            pub(crate) fn write_data(bytes: *const u8, len: usize) -> u32;
            pub(crate) fn read_data(bytes: *mut u8, len: usize) -> u32;
            pub(crate) fn seek_data(index: u64);
            pub(crate) fn data_size() -> u64;
            pub(crate) fn get_tag() -> i64;
            pub(crate) fn get_process_id() -> u64;
            pub(crate) fn send(process: u64) -> u32;
            pub(crate) fn receive(tags: *const i64, count: usize, timeout: u64) -> u32;
            pub(crate) fn unique_tag() -> i64;
        }
    }

    pub(super) mod error {
        #[link(wasm_import_module = "lunatic::error")]
        extern "C" {
            pub(crate) fn string_size(error: u64) -> u32;
            pub(crate) fn to_string(error: u64, text: *mut u8);
            pub(crate) fn drop(error: u64);
        }
    }
}

use host::{error, message, process, supervisor, wasi};

/// What is said of a child, as the host reads it.
pub(crate) struct ChildRecord<'a> {
    pub(crate) name: &'a str,
    pub(crate) module: i64,
    pub(crate) config: i64,
    pub(crate) export: &'a str,
    pub(crate) params: &'a [u8],
    pub(crate) shutdown: i64,
    pub(crate) restart: u32,
    pub(crate) significant: bool,
}

impl ChildRecord<'_> {
    fn encode(&self) -> [u8; 56] {
        let mut record = [0; 56];
        let mut put = |at: usize, bytes: &[u8]| record[at..][..bytes.len()].copy_from_slice(bytes);
        let place = |bytes: &[u8]| {
            let place = [bytes.as_ptr() as u32, bytes.len() as u32];
            place.map(u32::to_le_bytes).concat()
        };
        put(0, &place(self.name.as_bytes()));
        put(8, &self.module.to_le_bytes());
        put(16, &self.config.to_le_bytes());
        put(24, &place(self.export.as_bytes()));
        put(32, &place(self.params));
        put(40, &self.shutdown.to_le_bytes());
        put(48, &self.restart.to_le_bytes());
        put(52, &u32::from(self.significant).to_le_bytes());
        record
    }
}

/// Runs a function of this module in a process of its own.
///
/// - `function`: what [`function`] has made of it; the table of functions is the
///   same in all instances of a module.
#[export_name = "_lunatic_guest_entry"]
extern "C" fn entry(function: usize, argument: u64) {
    // SAFETY: only `function` below makes such numbers for this export. Another
    // number is an index of the table of functions all the same: a call of what
    // is not there, or has another type, traps.
    let function = unsafe { mem::transmute::<usize, fn(u64)>(function) };
    function(argument);
}

pub(crate) fn function(function: fn(u64)) -> Param {
    Param::I32(function as usize as i32)
}

/// Calls with a place for an id.
fn with_id(call: impl FnOnce(*mut u64) -> u32) -> (u32, u64) {
    let mut id = 0;
    let code = call(&mut id);
    (code, id)
}

pub(crate) fn create_spec(
    name: &str,
    strategy: u32,
    restarts: u32,
    period: i64,
    auto_shutdown: u32,
) -> u64 {
    // SAFETY: `name` is as long as is said.
    unsafe {
        supervisor::create_spec(
            name.as_ptr(),
            name.len(),
            strategy,
            restarts,
            period,
            auto_shutdown,
        )
    }
}

pub(crate) fn drop_spec(spec: u64) {
    // SAFETY: no memory is touched.
    unsafe { supervisor::drop_spec(spec) }
}

pub(crate) fn set_backoff(spec: u64, first: i64, longest: i64, jitter: u32) {
    // SAFETY: no memory is touched.
    unsafe { supervisor::set_backoff(spec, first, longest, jitter) }
}

pub(crate) fn add_child(spec: u64, child: &ChildRecord<'_>) -> (u32, u64) {
    let record = child.encode();
    // SAFETY: the record, and what it points to, live until the call is over.
    with_id(|id| unsafe { supervisor::add_child(spec, record.as_ptr(), id) })
}

pub(crate) fn add_supervisor(
    spec: u64,
    nested: u64,
    restart: u32,
    shutdown: i64,
    significant: bool,
) -> (u32, u64) {
    let significant = significant.into();
    // SAFETY: only the id is written.
    with_id(|id| unsafe {
        supervisor::add_supervisor(spec, nested, restart, shutdown, significant, id)
    })
}

pub(crate) fn start(spec: u64, tag: i64) -> (u32, u64) {
    // SAFETY: only the id is written.
    with_id(|id| unsafe { supervisor::start(spec, tag, id) })
}

pub(crate) fn start_child(supervisor: u64, child: &ChildRecord<'_>) -> (u32, u64) {
    let record = child.encode();
    // SAFETY: the record, and what it points to, live until the call is over.
    with_id(|id| unsafe { supervisor::start_child(supervisor, record.as_ptr(), id) })
}

pub(crate) fn start_from_template(supervisor: u64, params: &[u8]) -> (u32, u64) {
    // SAFETY: `params` is as long as is said.
    with_id(|id| unsafe {
        supervisor::start_from_template(supervisor, params.as_ptr(), params.len(), id)
    })
}

pub(crate) fn restart_child(supervisor: u64, name: &str) -> (u32, u64) {
    // SAFETY: `name` is as long as is said.
    with_id(|id| unsafe { supervisor::restart_child(supervisor, name.as_ptr(), name.len(), id) })
}

pub(crate) fn terminate_child(supervisor: u64, name: &str) -> (u32, u64) {
    // SAFETY: `name` is as long as is said.
    with_id(|id| unsafe { supervisor::terminate_child(supervisor, name.as_ptr(), name.len(), id) })
}

pub(crate) fn terminate_process(supervisor: u64, process: u64) -> (u32, u64) {
    // SAFETY: only the id is written.
    with_id(|id| unsafe { supervisor::terminate_process(supervisor, process, id) })
}

pub(crate) fn delete_child(supervisor: u64, name: &str) -> (u32, u64) {
    // SAFETY: `name` is as long as is said.
    with_id(|id| unsafe { supervisor::delete_child(supervisor, name.as_ptr(), name.len(), id) })
}

pub(crate) fn stop(supervisor: u64) {
    // SAFETY: no memory is touched.
    unsafe { supervisor::stop(supervisor) }
}

pub(crate) fn wait(process: u64, timeout: u64) -> (u32, u64) {
    // SAFETY: only the id is written.
    with_id(|id| unsafe { supervisor::wait(process, timeout, id) })
}

pub(crate) fn which_children(supervisor: u64) -> (u32, u64) {
    // SAFETY: only the id is written.
    with_id(|id| unsafe { supervisor::which_children(supervisor, id) })
}

pub(crate) fn count_children(supervisor: u64, counts: &mut [u64; 4]) -> (u32, u64) {
    // SAFETY: four numbers are written.
    with_id(|id| unsafe { supervisor::count_children(supervisor, counts, id) })
}

/// The bytes of a list.
pub(crate) fn list(list: u64) -> Vec<u8> {
    // SAFETY: no memory is touched.
    let mut bytes = vec![0; unsafe { supervisor::list_size(list) } as usize];
    // SAFETY: a list does not change, so it is as long as it was.
    unsafe { supervisor::list_read(list, bytes.as_mut_ptr()) };
    bytes
}

pub(crate) fn list_drop(list: u64) {
    // SAFETY: no memory is touched.
    unsafe { supervisor::list_drop(list) }
}

pub(crate) fn process_id() -> u64 {
    // SAFETY: no memory is touched.
    unsafe { process::process_id() }
}

pub(crate) fn set_label(label: &str) {
    // SAFETY: the text is there for the time of the call.
    unsafe { process::set_label(label.as_ptr(), label.len()) }
}

pub(crate) fn exit(process: u64, reason: u32, text: &str) {
    // SAFETY: `text` is as long as is said.
    unsafe { process::exit(process, reason, text.as_ptr(), text.len()) }
}

pub(crate) fn monitor_with_reason(tag: i64, process: u64) {
    // SAFETY: no memory is touched.
    unsafe { process::monitor_with_reason(tag, process) }
}

pub(crate) fn kill(process: u64) {
    // SAFETY: no memory is touched.
    unsafe { process::kill(process) }
}

pub(crate) fn exists(process: u64) -> bool {
    // SAFETY: no memory is touched.
    unsafe { process::exists(process) != 0 }
}

pub(crate) fn monitor(process: u64) {
    // SAFETY: no address is handed out.
    unsafe { process::monitor(process) }
}

pub(crate) fn stop_monitoring(process: u64) {
    // SAFETY: no address is handed out.
    unsafe { process::stop_monitoring(process) }
}

pub(crate) fn die_when_link_dies(die: bool) {
    // SAFETY: no memory is touched.
    unsafe { process::die_when_link_dies(die.into()) }
}

pub(crate) fn config_preopen_dir(config: u64, dir: &str) {
    // SAFETY: the text is there for the time of the call.
    unsafe { wasi::config_preopen_dir(config, dir.as_ptr(), dir.len()) }
}

pub(crate) fn send(process: u64, tag: i64, bytes: &[u8]) {
    // SAFETY: `bytes` is as long as is said.
    unsafe {
        message::create_data(tag, bytes.len() as u64);
        message::write_data(bytes.as_ptr(), bytes.len());
        message::send(process);
    }
}

/// Waits for so many milliseconds, or less if the wait is armed.
pub(crate) fn sleep_ms(millis: u64) {
    // SAFETY: no memory is touched.
    unsafe { process::sleep_ms(millis) }
}

/// The kind of the message that was received, or [`TIMED_OUT`].
pub(crate) fn receive(tags: &[i64], timeout: u64) -> u32 {
    // SAFETY: `tags` is as long as is said.
    unsafe { message::receive(tags.as_ptr(), tags.len(), timeout) }
}

/// A tag that nobody can guess.
pub(crate) fn unique_tag() -> i64 {
    // SAFETY: no memory is touched.
    unsafe { message::unique_tag() }
}

/// Puts an empty message into scratch.
pub(crate) fn message_create(tag: i64) {
    // SAFETY: no memory is touched.
    unsafe { message::create_data(tag, 0) }
}

/// Appends to the message in scratch.
pub(crate) fn message_write(bytes: &[u8]) {
    // SAFETY: `bytes` is as long as is said.
    unsafe { message::write_data(bytes.as_ptr(), bytes.len()) };
}

/// Sends the message in scratch.
pub(crate) fn message_send(process: u64) {
    // SAFETY: no memory is touched.
    unsafe { message::send(process) };
}

pub(crate) fn message_tag() -> i64 {
    // SAFETY: no memory is touched.
    unsafe { message::get_tag() }
}

pub(crate) fn message_process() -> u64 {
    // SAFETY: no memory is touched.
    unsafe { message::get_process_id() }
}

/// All bytes of the data message in scratch.
pub(crate) fn message_bytes() -> Vec<u8> {
    // SAFETY: no memory is touched.
    unsafe { message::seek_data(0) };
    // SAFETY: no memory is touched.
    let mut bytes = vec![0; unsafe { message::data_size() } as usize];
    // SAFETY: no more is written than there is room.
    unsafe { message::read_data(bytes.as_mut_ptr(), bytes.len()) };
    bytes
}

pub(crate) fn error_text(error: u64) -> String {
    // SAFETY: no memory is touched.
    let mut text = vec![0; unsafe { error::string_size(error) } as usize];
    // SAFETY: the text of an error does not change, so it is as long as it was.
    unsafe { error::to_string(error, text.as_mut_ptr()) };
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn error_drop(error: u64) {
    // SAFETY: no memory is touched.
    unsafe { error::drop(error) }
}
