//! What statements may do: nothing that opens a file, changes how the program uses SQLite, or
//! breaks a database on purpose.

use rusqlite::hooks::{AuthAction, Authorization};

/// Pragmas that may be read and set.
const PRAGMAS: &[&str] = &[
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "busy_timeout",
    "cell_size_check",
    "defer_foreign_keys",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "fullfsync",
    "ignore_check_constraints",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "legacy_alter_table",
    "optimize",
    "query_only",
    "quick_check",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "synchronous",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
    "wal_autocheckpoint",
    "wal_checkpoint",
];

/// Pragmas that may only be read.
const READABLE_PRAGMAS: &[&str] = &[
    "cache_size",
    "cache_spill",
    "collation_list",
    "compile_options",
    "data_version",
    "freelist_count",
    "function_list",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "module_list",
    "page_count",
    "pragma_list",
    "schema_version",
    "temp_store",
];

/// What the journal may be. Without one, a crash destroys a database.
const JOURNALS: &[&str] = &["delete", "truncate", "persist", "wal", "memory"];

/// Functions that reach beyond the database, and those of full-text search that look at all hits
/// for each hit, or for each letter of an argument, and are not to be interrupted.
const REFUSED_FUNCTIONS: &[&str] = &[
    "load_extension",
    "fts3_tokenizer",
    "readfile",
    "writefile",
    "edit",
    "snippet",
    "matchinfo",
    "offsets",
];

/// Modules of virtual tables that keep what they have in the database.
const MODULES: &[&str] = &[
    "fts3",
    "fts4",
    "fts4aux",
    "fts5",
    "fts5vocab",
    "rtree",
    "rtree_i32",
];

/// Returns whether a statement that does this makes the schema longer.
pub(crate) fn extends_schema(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::CreateIndex { .. }
            | AuthAction::CreateTable { .. }
            | AuthAction::CreateTempIndex { .. }
            | AuthAction::CreateTempTable { .. }
            | AuthAction::CreateTempTrigger { .. }
            | AuthAction::CreateTempView { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::CreateVtable { .. }
            | AuthAction::AlterTable { .. }
    )
}

/// Returns whether a statement that does this makes the schema shorter.
pub(crate) fn shortens_schema(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::DropIndex { .. }
            | AuthAction::DropTable { .. }
            | AuthAction::DropTempIndex { .. }
            | AuthAction::DropTempTable { .. }
            | AuthAction::DropTempTrigger { .. }
            | AuthAction::DropTempView { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
            | AuthAction::DropVtable { .. }
    )
}

/// Returns whether a statement begins, ends or undoes something.
pub(crate) fn is_about_transactions(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. }
    )
}

/// Returns whether a statement may do this.
///
/// - `is_running`: whether a statement runs, and is not being compiled. Only then does SQLite
///   itself attach what it needs for `VACUUM`, which has no name and lives in memory.
pub(crate) fn authorize(action: AuthAction<'_>, is_running: bool) -> Authorization {
    let is_allowed = match action {
        AuthAction::Attach { filename } => is_running && filename.is_empty(),
        AuthAction::Detach { .. } => false,
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => may_use(pragma_name, pragma_value),
        AuthAction::Function { function_name } => !is_one_of(REFUSED_FUNCTIONS, function_name),
        AuthAction::CreateVtable { module_name, .. } => is_one_of(MODULES, module_name),
        AuthAction::Unknown { .. } => false,
        _ => true,
    };
    match is_allowed {
        true => Authorization::Allow,
        false => Authorization::Deny,
    }
}

fn may_use(pragma: &str, value: Option<&str>) -> bool {
    if pragma.eq_ignore_ascii_case("journal_mode") {
        return value.is_none_or(|value| is_one_of(JOURNALS, value));
    }
    if pragma.eq_ignore_ascii_case("page_size") {
        // The size of a database is limited by its pages.
        return value.is_none_or(|value| value.parse().is_ok_and(|size: u32| size <= 4096));
    }
    is_one_of(PRAGMAS, pragma) || value.is_none() && is_one_of(READABLE_PRAGMAS, pragma)
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
