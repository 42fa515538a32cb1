//! The functions of the interface that no crate registers yet.

/// Their names, by namespace; `cargo xtask tidy` compares them with the documents.
pub(super) const NOT_OFFERED: &[(&str, &[&str])] = &[
    (
        "lunatic::distributed",
        &["test_root_cert", "default_server_certificates", "sign_node"],
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
];
