//! The whole host interface by name, to explain an import that is not offered.

use std::fmt;

use crate::similar::most_similar;

/// The functions of the interface (ABI §1.1, §14.1; `docs/abi-extensions.md`) by
/// namespace.
pub(crate) const INTERFACE: &[(&str, &[&str])] = &[
    ("lunatic::error", &["string_size", "to_string", "drop"]),
    (
        "lunatic::process",
        &[
            "compile_module",
            "drop_module",
            "create_config",
            "drop_config",
            "config_set_max_memory",
            "config_get_max_memory",
            "config_set_max_fuel",
            "config_get_max_fuel",
            "config_can_compile_modules",
            "config_set_can_compile_modules",
            "config_can_create_configs",
            "config_set_can_create_configs",
            "config_can_spawn_processes",
            "config_set_can_spawn_processes",
            "spawn",
            "get_or_spawn",
            "process_id",
            "environment_id",
            "sleep_ms",
            "die_when_link_dies",
            "link",
            "unlink",
            "monitor",
            "stop_monitoring",
            "kill",
            "exists",
        ],
    ),
    (
        "lunatic::message",
        &[
            "create_data",
            "write_data",
            "read_data",
            "seek_data",
            "get_tag",
            "get_process_id",
            "data_size",
            "push_module",
            "take_module",
            "push_tcp_stream",
            "take_tcp_stream",
            "push_tls_stream",
            "take_tls_stream",
            "push_udp_socket",
            "take_udp_socket",
            "send",
            "send_receive_skip_search",
            "receive",
        ],
    ),
    ("lunatic::timer", &["send_after", "cancel_timer"]),
    (
        "lunatic::networking",
        &[
            "resolve",
            "resolve_next",
            "drop_dns_iterator",
            "tcp_bind",
            "drop_tcp_listener",
            "tcp_local_addr",
            "tcp_accept",
            "tcp_connect",
            "tcp_peer_addr",
            "drop_tcp_stream",
            "clone_tcp_stream",
            "tcp_write_vectored",
            "tcp_read",
            "tcp_peek",
            "set_read_timeout",
            "set_write_timeout",
            "set_peek_timeout",
            "get_read_timeout",
            "get_write_timeout",
            "get_peek_timeout",
            "tcp_flush",
            "tls_bind",
            "drop_tls_listener",
            "tls_local_addr",
            "tls_accept",
            "tls_connect",
            "drop_tls_stream",
            "clone_tls_stream",
            "tls_write_vectored",
            "tls_read",
            "set_tls_read_timeout",
            "set_tls_write_timeout",
            "get_tls_read_timeout",
            "get_tls_write_timeout",
            "tls_flush",
            "udp_bind",
            "drop_udp_socket",
            "clone_udp_socket",
            "udp_local_addr",
            "udp_peer_addr",
            "udp_connect",
            "udp_send",
            "udp_send_to",
            "udp_receive",
            "udp_receive_from",
            "set_udp_socket_broadcast",
            "get_udp_socket_broadcast",
            "set_udp_socket_ttl",
            "get_udp_socket_ttl",
        ],
    ),
    ("lunatic::registry", &["put", "get", "remove"]),
    (
        "lunatic::supervisor",
        &[
            "create_spec",
            "drop_spec",
            "set_backoff",
            "add_child",
            "add_supervisor",
            "start",
            "start_child",
            "start_from_template",
            "restart_child",
            "terminate_child",
            "terminate_process",
            "delete_child",
            "stop",
            "wait",
            "which_children",
            "count_children",
            "list_size",
            "list_read",
            "list_drop",
        ],
    ),
    (
        "lunatic::group",
        &[
            "join",
            "leave",
            "members",
            "local_members",
            "groups",
            "next",
            "dispatch",
            "broadcast",
            "monitor",
            "monitor_scope",
            "stop_monitoring",
        ],
    ),
    (
        "lunatic::distributed",
        &[
            "nodes_count",
            "get_nodes",
            "node_id",
            "module_id",
            "exec_lookup_nodes",
            "copy_lookup_nodes_results",
            "spawn",
            "send",
            "send_receive_skip_search",
            "test_root_cert",
            "default_server_certificates",
            "sign_node",
        ],
    ),
    (
        "lunatic::metrics",
        &[
            "counter",
            "increment_counter",
            "gauge",
            "increment_gauge",
            "decrement_gauge",
            "histogram",
        ],
    ),
    (
        "lunatic::sqlite",
        &[
            "open",
            "execute",
            "query_prepare",
            "bind_value",
            "sqlite3_step",
            "statement_reset",
            "sqlite3_finalize",
            "sqlite3_changes",
            "column_count",
            "read_column",
            "read_row",
            "column_name",
            "column_names",
            "last_error",
        ],
    ),
    ("lunatic::trap", &["catch"]),
    ("lunatic::version", &["major", "minor", "patch"]),
    (
        "lunatic::wasi",
        &[
            "config_add_environment_variable",
            "config_add_command_line_argument",
            "config_preopen_dir",
        ],
    ),
    (
        "wasi_snapshot_preview1",
        &[
            "args_get",
            "args_sizes_get",
            "environ_get",
            "environ_sizes_get",
            "clock_res_get",
            "clock_time_get",
            "fd_advise",
            "fd_allocate",
            "fd_close",
            "fd_datasync",
            "fd_fdstat_get",
            "fd_fdstat_set_flags",
            "fd_fdstat_set_rights",
            "fd_filestat_get",
            "fd_filestat_set_size",
            "fd_filestat_set_times",
            "fd_pread",
            "fd_prestat_get",
            "fd_prestat_dir_name",
            "fd_pwrite",
            "fd_read",
            "fd_readdir",
            "fd_renumber",
            "fd_seek",
            "fd_sync",
            "fd_tell",
            "fd_write",
            "path_create_directory",
            "path_filestat_get",
            "path_filestat_set_times",
            "path_link",
            "path_open",
            "path_readlink",
            "path_remove_directory",
            "path_rename",
            "path_symlink",
            "path_unlink_file",
            "poll_oneoff",
            "proc_exit",
            "proc_raise",
            "sched_yield",
            "random_get",
            "sock_accept",
            "sock_recv",
            "sock_send",
            "sock_shutdown",
        ],
    ),
];

/// Imports that a guest library declares otherwise than the interface has them
/// (ABI §1.2), as the library declares them.
const DISAGREEMENTS: &[(&str, &str, &str)] = &[
    (
        "lunatic::message",
        "send_receive_skip_search",
        "(func (param i64 i64) (result i32))",
    ),
    (
        "lunatic::distributed",
        "send_receive_skip_search",
        "(func (param i64 i64 i64) (result i32))",
    ),
    (
        "lunatic::distributed",
        "spawn",
        "(func (param i64 i64 i64 i64 i32 i32 i32 i32 i32) (result i32))",
    ),
    (
        "lunatic::networking",
        "get_read_timeout",
        "(func (param i64) (result i32))",
    ),
    (
        "lunatic::networking",
        "get_peek_timeout",
        "(func (param i64) (result i32))",
    ),
    (
        "lunatic::networking",
        "set_peek_timeout",
        "(func (param i64 i64) (result i32))",
    ),
];

/// Why nothing is offered under a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is part of the interface, and not in this build.
    NotYet,
    /// There is no such name in the namespace.
    NoSuchName {
        /// One that looks like it.
        similar: Option<String>,
    },
    /// There is no such namespace.
    NoSuchNamespace {
        /// One that looks like it.
        similar: Option<String>,
    },
}

/// Explains why nothing is offered under a name.
pub(crate) fn absence(namespace: &str, name: &str) -> Absence {
    let Some((_, names)) = INTERFACE.iter().find(|(known, _)| *known == namespace) else {
        let namespaces = INTERFACE.iter().map(|(known, _)| *known);
        return Absence::NoSuchNamespace {
            similar: most_similar(namespace, namespaces).map(str::to_owned),
        };
    };
    match names.contains(&name) {
        true => Absence::NotYet,
        false => Absence::NoSuchName {
            similar: most_similar(name, names.iter().copied())
                .map(|similar| format!("{namespace}::{similar}")),
        },
    }
}

/// The guest library that is known to declare an import with this type.
pub(crate) fn known_disagreement(namespace: &str, name: &str, ty: &str) -> Option<&'static str> {
    DISAGREEMENTS
        .contains(&(namespace, name, ty))
        .then_some("as-lunatic 0.12")
}

/// The library that a module was written with, told by what it exports
/// (ABI §16.2). The names stand in the bytes as they are.
pub(crate) fn guest_library(wasm: &[u8]) -> Option<String> {
    const RUST: &str = "_lunatic_spawn_by_index_";
    const ASSEMBLY_SCRIPT: &str = "__lunatic_process_bootstrap";
    if let Some(at) = find(wasm, RUST) {
        let version: String = wasm[at + RUST.len()..]
            .iter()
            .map(|byte| char::from(*byte))
            .take_while(|char| char.is_ascii_digit() || *char == '.')
            .collect();
        return Some(format!("the Rust crate `lunatic` {version}"));
    }
    find(wasm, ASSEMBLY_SCRIPT).map(|_| "the AssemblyScript package `as-lunatic`".to_string())
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, similar) = match self {
            Absence::NotYet => {
                return f
                    .write_str("part of the interface, but not in this version of the runtime");
            }
            Absence::NoSuchName { similar } => ("there is no such function", similar),
            Absence::NoSuchNamespace { similar } => ("there is no such namespace", similar),
        };
        match similar {
            Some(similar) => write!(f, "{what}; did you mean {similar}?"),
            None => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_has_170_functions_of_its_own_and_46_of_wasi() {
        let count = |wasi: bool| -> usize {
            INTERFACE
                .iter()
                .filter(|(namespace, _)| (*namespace == "wasi_snapshot_preview1") == wasi)
                .map(|(_, names)| names.len())
                .sum()
        };
        assert_eq!((count(false), count(true)), (170, 46));
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        let similar = Some("lunatic::process::sleep_ms".to_string());
        assert_eq!(
            absence("lunatic::process", "sleep"),
            Absence::NoSuchName { similar }
        );
    }

    #[test]
    fn the_version_of_the_guest_library_is_read_from_its_export() {
        let wasm = b"....\x1e_lunatic_spawn_by_index_0.14.1\0\x05";
        assert_eq!(
            guest_library(wasm).as_deref(),
            Some("the Rust crate `lunatic` 0.14.1")
        );
    }
}
