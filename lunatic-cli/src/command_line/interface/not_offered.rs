//! The functions of the interface that no crate registers yet.

/// Their names, by namespace; `cargo xtask tidy` compares them with the documents.
pub(super) const NOT_OFFERED: &[(&str, &[&str])] = &[(
    "lunatic::distributed",
    &["test_root_cert", "default_server_certificates", "sign_node"],
)];
