//! What an instance may call before it has taken over.

use lunatic_abi::Misuse;

/// Namespaces all of whose functions are permitted: they read or write nothing but what
/// the instance itself has.
const NAMESPACES: &[&str] = &["lunatic::error", "lunatic::version"];

/// Functions that nobody but the instance itself notices.
const FUNCTIONS: &[&str] = &[
    "lunatic::message::read_data",
    "lunatic::message::seek_data",
    "lunatic::message::get_tag",
    "lunatic::message::get_process_id",
    "lunatic::message::data_size",
    "lunatic::message::take_module",
    "lunatic::message::take_tcp_stream",
    "lunatic::message::take_tls_stream",
    "lunatic::message::take_udp_socket",
    "lunatic::networking::tcp_bind",
    "lunatic::networking::tls_bind",
    "lunatic::networking::udp_bind",
    "lunatic::networking::tcp_local_addr",
    "lunatic::networking::tls_local_addr",
    "lunatic::networking::udp_local_addr",
    "lunatic::networking::tcp_peer_addr",
    "lunatic::networking::resolve_next",
    "lunatic::networking::drop_dns_iterator",
    "lunatic::networking::clone_tcp_stream",
    "lunatic::networking::clone_tls_stream",
    "lunatic::networking::clone_udp_socket",
    "lunatic::networking::drop_tcp_listener",
    "lunatic::networking::drop_tcp_stream",
    "lunatic::networking::drop_tls_listener",
    "lunatic::networking::drop_tls_stream",
    "lunatic::networking::drop_udp_socket",
    "lunatic::networking::get_read_timeout",
    "lunatic::networking::get_write_timeout",
    "lunatic::networking::get_peek_timeout",
    "lunatic::networking::get_tls_read_timeout",
    "lunatic::networking::get_tls_write_timeout",
    "lunatic::process::process_id",
    "lunatic::process::environment_id",
    "lunatic::process::exists",
    "lunatic::reload::accept",
    "lunatic::reload::refuse",
    "lunatic::trap::catch",
    "wasi_snapshot_preview1::args_get",
    "wasi_snapshot_preview1::args_sizes_get",
    "wasi_snapshot_preview1::clock_res_get",
    "wasi_snapshot_preview1::clock_time_get",
    "wasi_snapshot_preview1::environ_get",
    "wasi_snapshot_preview1::environ_sizes_get",
    "wasi_snapshot_preview1::fd_fdstat_get",
    "wasi_snapshot_preview1::fd_filestat_get",
    "wasi_snapshot_preview1::fd_prestat_dir_name",
    "wasi_snapshot_preview1::fd_prestat_get",
    // Nothing but the standard streams can be open for writing yet.
    "wasi_snapshot_preview1::fd_write",
    "wasi_snapshot_preview1::proc_exit",
    "wasi_snapshot_preview1::random_get",
    "wasi_snapshot_preview1::sched_yield",
];

/// Checks that an instance may call a host function before it has taken over. It may if
/// nobody else could notice the call.
///
/// - `function`: the name with its namespace.
///
/// # Errors
///
/// [`Misuse::Refused`] if not.
#[cold]
pub fn check_permitted(function: &str) -> Result<(), Misuse> {
    let namespace = function.rsplit_once("::").map(|(namespace, _)| namespace);
    let is_permitted = namespace.is_some_and(|namespace| NAMESPACES.contains(&namespace))
        || FUNCTIONS.contains(&function);
    match is_permitted {
        true => Ok(()),
        false => Err(Misuse::refused(format!(
            "an entry cannot call `{function}` before it has accepted"
        ))),
    }
}
