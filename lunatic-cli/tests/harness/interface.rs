//! The host functions and their types, as ABI §2 to §14 have them.

/// Name and type of each function by namespace: `i` is an `i32`, `I` an `i64`,
/// and what follows `>` is the result.
pub const INTERFACE: &[(&str, &[(&str, &str)])] = &[
    (
        "lunatic::error",
        &[("string_size", "I>i"), ("to_string", "Ii>"), ("drop", "I>")],
    ),
    (
        "lunatic::process",
        &[
            ("compile_module", "iii>i"),
            ("drop_module", "I>"),
            ("create_config", ">I"),
            ("drop_config", "I>"),
            ("config_set_max_memory", "II>"),
            ("config_get_max_memory", "I>I"),
            ("config_set_max_fuel", "II>"),
            ("config_get_max_fuel", "I>I"),
            ("config_can_compile_modules", "I>i"),
            ("config_set_can_compile_modules", "Ii>"),
            ("config_can_create_configs", "I>i"),
            ("config_set_can_create_configs", "Ii>"),
            ("config_can_spawn_processes", "I>i"),
            ("config_set_can_spawn_processes", "Ii>"),
            ("spawn", "IIIiiiii>i"),
            ("get_or_spawn", "iiIIIiiiiii>i"),
            ("process_id", ">I"),
            ("environment_id", ">I"),
            ("sleep_ms", "I>"),
            ("die_when_link_dies", "i>"),
            ("link", "II>"),
            ("unlink", "I>"),
            ("monitor", "I>"),
            ("stop_monitoring", "I>"),
            ("kill", "I>"),
            ("exists", "I>i"),
        ],
    ),
    (
        "lunatic::message",
        &[
            ("create_data", "II>"),
            ("write_data", "ii>i"),
            ("read_data", "ii>i"),
            ("seek_data", "I>"),
            ("get_tag", ">I"),
            ("get_process_id", ">I"),
            ("data_size", ">I"),
            ("push_module", "I>I"),
            ("take_module", "I>I"),
            ("push_tcp_stream", "I>I"),
            ("take_tcp_stream", "I>I"),
            ("push_tls_stream", "I>I"),
            ("take_tls_stream", "I>I"),
            ("push_udp_socket", "I>I"),
            ("take_udp_socket", "I>I"),
            ("send", "I>i"),
            ("send_receive_skip_search", "III>i"),
            ("receive", "iiI>i"),
        ],
    ),
    (
        "lunatic::timer",
        &[("send_after", "II>I"), ("cancel_timer", "I>i")],
    ),
    (
        "lunatic::networking",
        &[
            ("resolve", "iiIi>i"),
            ("resolve_next", "Iiiiii>i"),
            ("drop_dns_iterator", "I>"),
            ("tcp_bind", "iiiiii>i"),
            ("drop_tcp_listener", "I>"),
            ("tcp_local_addr", "Ii>i"),
            ("tcp_accept", "Iii>i"),
            ("tcp_connect", "iiiiiIi>i"),
            ("tcp_peer_addr", "Ii>i"),
            ("drop_tcp_stream", "I>"),
            ("clone_tcp_stream", "I>I"),
            ("tcp_write_vectored", "Iiii>i"),
            ("tcp_read", "Iiii>i"),
            ("tcp_peek", "Iiii>i"),
            ("set_read_timeout", "II>"),
            ("set_write_timeout", "II>"),
            ("set_peek_timeout", "II>"),
            ("get_read_timeout", "I>I"),
            ("get_write_timeout", "I>I"),
            ("get_peek_timeout", "I>I"),
            ("tcp_flush", "Ii>i"),
            ("tls_bind", "iiiiiiiiii>i"),
            ("drop_tls_listener", "I>"),
            ("tls_local_addr", "Ii>i"),
            ("tls_accept", "Iii>i"),
            ("tls_connect", "iiiIiii>i"),
            ("drop_tls_stream", "I>"),
            ("clone_tls_stream", "I>I"),
            ("tls_write_vectored", "Iiii>i"),
            ("tls_read", "Iiii>i"),
            ("set_tls_read_timeout", "II>"),
            ("set_tls_write_timeout", "II>"),
            ("get_tls_read_timeout", "I>I"),
            ("get_tls_write_timeout", "I>I"),
            ("tls_flush", "Ii>i"),
            ("udp_bind", "iiiiii>i"),
            ("drop_udp_socket", "I>"),
            ("clone_udp_socket", "I>I"),
            ("udp_local_addr", "Ii>i"),
            ("udp_peer_addr", "Ii>i"),
            ("udp_connect", "IiiiiiIi>i"),
            ("udp_send", "Iiii>i"),
            ("udp_send_to", "Iiiiiiiii>i"),
            ("udp_receive", "Iiii>i"),
            ("udp_receive_from", "Iiiii>i"),
            ("set_udp_socket_broadcast", "Ii>"),
            ("get_udp_socket_broadcast", "I>i"),
            ("set_udp_socket_ttl", "Ii>"),
            ("get_udp_socket_ttl", "I>i"),
        ],
    ),
    (
        "lunatic::registry",
        &[("put", "iiII>"), ("get", "iiii>i"), ("remove", "ii>")],
    ),
    (
        "lunatic::group",
        &[
            ("join", "iiiiIi>i"),
            ("leave", "iiiiI>i"),
            ("members", "iiiiii>i"),
            ("local_members", "iiiiii>i"),
            ("groups", "iiii>i"),
            ("next", "iiiiii>i"),
            ("dispatch", "iiiiii>i"),
            ("broadcast", "iiii>i"),
            ("monitor", "iiiiIi>i"),
            ("monitor_scope", "iiIi>i"),
            ("stop_monitoring", "iiI>i"),
        ],
    ),
    (
        "lunatic::distributed",
        &[
            ("nodes_count", ">i"),
            ("get_nodes", "ii>i"),
            ("node_id", ">I"),
            ("module_id", ">I"),
            ("exec_lookup_nodes", "iiiii>i"),
            ("copy_lookup_nodes_results", "Iiii>i"),
            ("spawn", "IIIiiiii>i"),
            ("send", "II>i"),
            ("send_receive_skip_search", "IIII>i"),
        ],
    ),
    ("lunatic::trap", &[("catch", "ii>i")]),
    (
        "lunatic::version",
        &[("major", ">i"), ("minor", ">i"), ("patch", ">i")],
    ),
    (
        "lunatic::wasi",
        &[
            ("config_add_environment_variable", "Iiiii>"),
            ("config_add_command_line_argument", "Iii>"),
            ("config_preopen_dir", "Iii>"),
        ],
    ),
    (
        "wasi_snapshot_preview1",
        &[
            ("args_get", "ii>i"),
            ("args_sizes_get", "ii>i"),
            ("clock_res_get", "ii>i"),
            ("clock_time_get", "iIi>i"),
            ("environ_get", "ii>i"),
            ("environ_sizes_get", "ii>i"),
            ("fd_advise", "iIIi>i"),
            ("fd_allocate", "iII>i"),
            ("fd_close", "i>i"),
            ("fd_datasync", "i>i"),
            ("fd_fdstat_get", "ii>i"),
            ("fd_fdstat_set_flags", "ii>i"),
            ("fd_fdstat_set_rights", "iII>i"),
            ("fd_filestat_get", "ii>i"),
            ("fd_filestat_set_size", "iI>i"),
            ("fd_filestat_set_times", "iIIi>i"),
            ("fd_pread", "iiiIi>i"),
            ("fd_prestat_dir_name", "iii>i"),
            ("fd_prestat_get", "ii>i"),
            ("fd_pwrite", "iiiIi>i"),
            ("fd_read", "iiii>i"),
            ("fd_readdir", "iiiIi>i"),
            ("fd_renumber", "ii>i"),
            ("fd_seek", "iIii>i"),
            ("fd_sync", "i>i"),
            ("fd_tell", "ii>i"),
            ("fd_write", "iiii>i"),
            ("path_create_directory", "iii>i"),
            ("path_filestat_get", "iiiii>i"),
            ("path_filestat_set_times", "iiiiIIi>i"),
            ("path_link", "iiiiiii>i"),
            ("path_open", "iiiiiIIii>i"),
            ("path_readlink", "iiiiii>i"),
            ("path_remove_directory", "iii>i"),
            ("path_rename", "iiiiii>i"),
            ("path_symlink", "iiiii>i"),
            ("path_unlink_file", "iii>i"),
            ("poll_oneoff", "iiii>i"),
            ("proc_exit", "i>"),
            ("proc_raise", "i>i"),
            ("random_get", "ii>i"),
            ("sched_yield", ">i"),
            ("sock_accept", "iii>i"),
            ("sock_recv", "iiiiii>i"),
            ("sock_send", "iiiii>i"),
            ("sock_shutdown", "ii>i"),
        ],
    ),
    (
        "test",
        &[
            ("report", "I>"),
            ("say", "ii>"),
            ("given", "i>i"),
            ("set", "I>"),
            ("setting", ">I"),
            ("panic", ">"),
        ],
    ),
];

/// The name of a function in the text of a guest: its own, behind the namespace
/// where that would say too little.
pub fn alias(namespace: &str, name: &str) -> String {
    match namespace {
        "lunatic::error" => format!("$error_{name}"),
        "lunatic::registry" => format!("$registry_{name}"),
        "lunatic::group" => format!("$group_{name}"),
        "lunatic::distributed" => format!("$distributed_{name}"),
        _ => format!("${name}"),
    }
}

/// A type in the text format.
pub fn signature(ty: &str) -> String {
    let (params, results) = ty.split_once('>').expect("a type has a `>`");
    let mut text = String::from("(func");
    for (what, types) in [("param", params), ("result", results)] {
        if !types.is_empty() {
            let types: String = types.chars().map(value_type).collect();
            text += &format!(" ({what}{types})");
        }
    }
    text + ")"
}

fn value_type(letter: char) -> &'static str {
    match letter {
        'i' => " i32",
        'I' => " i64",
        other => panic!("{other} is no type"),
    }
}

/// The import of a function under a name.
pub fn import(namespace: &str, name: &str, alias: &str, ty: &str) -> String {
    let ty = signature(ty).replacen("(func", &format!("(func {alias}"), 1);
    format!("(import \"{namespace}\" \"{name}\" {ty})\n")
}
