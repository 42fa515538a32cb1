//! Reading rows, names of columns, and errors.

use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, call_guest, host_functions};
use lunatic_account::{Charge, Kind};
use wasmtime::{Caller, Extern, Result};

use crate::guest::SqliteHost;
use crate::guest::state::Last;
use crate::job::Description;

host_functions! {
    pub(super) fn add_to_linker<T: SqliteHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::sqlite" {
        async fn column_count(statement_id: u64) -> u32;
        async fn read_column(statement_id: u64, col_idx: u32, opaque_ptr: u32) -> u32;
        async fn read_row(statement_id: u64, opaque_ptr: u32) -> u32;
        async fn column_name(statement_id: u64, column_idx: u32, opaque_ptr: u32) -> u32;
        async fn column_names(statement_id: u64, opaque_ptr: u32) -> u32;
        async fn last_error(conn_id: u64, opaque_ptr: u32) -> u32;
        async fn names(statement_id: u64, ptr: u32, len: u32) -> u32;
        fn error_code(conn_id: u64) -> u32;
        fn error_message(conn_id: u64, ptr: u32, len: u32) -> u32;
    }
}

/// The export by which a guest allocates memory for a result.
const ALLOC: &str = "lunatic_alloc";

/// `lunatic::sqlite::column_count` (ABI §10.1): returns how many columns a row has; 0 if there
/// is a mistake in the statement.
///
/// Traps on an unknown id.
async fn column_count<T: SqliteHost>(mut caller: Caller<'_, T>, statement_id: u64) -> Result<u32> {
    let described = description(&mut caller, statement_id).await?;
    Ok(described.columns.len() as u32)
}

/// `lunatic::sqlite::read_column` (ABI §10.1): returns the address of a value; null if there is
/// no row or no such column.
///
/// Traps on an unknown id, and as `give`.
async fn read_column<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    col_idx: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let statement = caller.data_mut().sqlite().statement(statement_id)?;
    let value = statement.statement.encoded_column(col_idx as usize);
    let value = value.map_or_else(|| 0_u32.to_le_bytes().to_vec(), <[u8]>::to_vec);
    give(caller, opaque_ptr, value).await
}

/// `lunatic::sqlite::read_row` (ABI §10.1): returns the address of the row; one without values
/// if there is none.
///
/// Traps on an unknown id, and as `give`.
async fn read_row<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    opaque_ptr: u32,
) -> Result<u32> {
    let statement = caller.data_mut().sqlite().statement(statement_id)?;
    let row = statement.statement.encoded_row();
    let row = row.map_or_else(|| 0_u64.to_le_bytes().to_vec(), <[u8]>::to_vec);
    give(caller, opaque_ptr, row).await
}

/// `lunatic::sqlite::column_name` (ABI §10.1): returns the address of the name of a column.
///
/// Traps on an unknown id, if there is no such column, and as `give`.
async fn column_name<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    column_idx: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let described = description(&mut caller, statement_id).await?;
    let name = described.columns.get(column_idx as usize);
    let name =
        name.ok_or_else(|| Misuse::refused(format!("the statement has no column {column_idx}")))?;
    give(caller, opaque_ptr, name.clone().into_bytes()).await
}

/// `lunatic::sqlite::column_names` (ABI §10.1): returns the address of the list of names.
///
/// Traps on an unknown id, and as `give`.
async fn column_names<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    opaque_ptr: u32,
) -> Result<u32> {
    let described = description(&mut caller, statement_id).await?;
    give(caller, opaque_ptr, encoded(&described.columns)).await
}

/// `lunatic::sqlite::names` (ABI §28.2): returns how many bytes the list of names has. If that
/// is at most `len`, it is at `ptr`.
///
/// Traps on an unknown id or a bad address.
async fn names<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    statement_id: u64,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    caller.bytes(ptr, len)?;
    let described = description(&mut caller, statement_id).await?;
    match encoded_length(&described.columns) {
        length if length <= len as usize => {
            write_if_it_fits(&mut caller, ptr, len, &encoded(&described.columns))
        }
        length => Ok(length as u32),
    }
}

/// `lunatic::sqlite::last_error` (ABI §10.1): returns the address of the error of the last
/// result.
///
/// Traps on an unknown id, if there is no error, and as `give`.
async fn last_error<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    opaque_ptr: u32,
) -> Result<u32> {
    // A mistake in a statement is known when it is compiled.
    let unknown = match caller.data_mut().sqlite().connection(conn_id)?.last {
        Last::Unknown(statement) => Some(statement),
        _ => None,
    };
    if let Some(statement) = unknown
        && caller.data_mut().sqlite().statement(statement).is_ok()
    {
        description(&mut caller, statement).await?;
    }
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let Some((code, message)) = connection.last_error() else {
        return Err(Misuse::refused("the last operation of the connection has not failed").into());
    };
    let mut error = vec![1];
    error.extend(((code & 0xff) as u32).to_le_bytes());
    error.push(1);
    error.extend((message.len() as u64).to_le_bytes());
    error.extend(message.as_bytes());
    give(caller, opaque_ptr, error).await
}

/// `lunatic::sqlite::error_code` (ABI §28.2): returns the extended code of the last result; 0
/// if it is no error.
///
/// Traps on an unknown id.
fn error_code<T: SqliteHost>(mut caller: Caller<'_, T>, conn_id: u64) -> Result<u32> {
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    Ok(match &connection.last {
        Last::Error(error) => error.code as u32,
        _ => 0,
    })
}

/// `lunatic::sqlite::error_message` (ABI §28.2): returns how many bytes the message of the last
/// result has, 0 if it is no error. If that is at most `len`, it is at `ptr`.
///
/// Traps on an unknown id or a bad address.
fn error_message<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    conn_id: u64,
    ptr: u32,
    len: u32,
) -> Result<u32> {
    let connection = caller.data_mut().sqlite().connection(conn_id)?;
    let message = match &connection.last {
        Last::Error(error) => error.message.clone(),
        _ => String::new(),
    };
    caller.bytes(ptr, len)?;
    write_if_it_fits(&mut caller, ptr, len, message.as_bytes())
}

fn write_if_it_fits<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
    bytes: &[u8],
) -> Result<u32> {
    if bytes.len() <= len as usize {
        caller.write(ptr, bytes)?;
    }
    Ok(bytes.len() as u32)
}

/// Returns what is known of a statement, which is compiled for that if it was not yet. If there is
/// a mistake in it, it has no columns.
async fn description<T: SqliteHost>(
    caller: &mut Caller<'_, T>,
    id: u64,
) -> Result<Arc<Description>> {
    let entry = caller.data_mut().sqlite().statement(id)?;
    if let Some(description) = entry.statement.description() {
        return Ok(description.clone());
    }
    let (connection_id, sql) = (entry.connection, entry.statement.sql().clone());
    let connection = entry.statement.connection().clone();
    let described = caller.wait(connection.describe(sql)).await;
    let sqlite = caller.data_mut().sqlite();
    match described {
        Ok(description) => {
            sqlite.set_description(id, description.clone());
            Ok(description)
        }
        Err(error) => {
            sqlite.note(connection_id, Err(error));
            Ok(Arc::default())
        }
    }
}

/// How long the list of names is, in bytes.
fn encoded_length(names: &[String]) -> usize {
    const LENGTH: usize = size_of::<u64>();
    LENGTH + names.iter().map(|name| LENGTH + name.len()).sum::<usize>()
}

fn encoded(names: &[String]) -> Vec<u8> {
    let mut bytes = (names.len() as u64).to_le_bytes().to_vec();
    for name in names {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes
}

/// Writes a result into memory that the guest allocates, and its length to `opaque_ptr`.
/// Returns its address (ABI §10.2).
///
/// While the guest allocates, the result and another stack are charged to its account.
///
/// Traps if the guest exports no function `lunatic_alloc` of that type, if that traps, throws an
/// exception, returns a range out of bounds or asks for another result, on a bad address, and if
/// the account has no memory left.
async fn give<T: SqliteHost>(
    mut caller: Caller<'_, T>,
    opaque_ptr: u32,
    bytes: Vec<u8>,
) -> Result<u32> {
    caller.bytes(opaque_ptr, size_of::<u32>() as u32)?;
    let alloc = caller
        .get_export(ALLOC)
        .and_then(Extern::into_func)
        .ok_or_else(|| Misuse::refused(format!("the module exports no function `{ALLOC}`")))?
        .typed::<u32, u32>(&caller)?;
    let tables = caller.data_mut().sqlite().tables();
    if tables.is_allocating {
        let reason = format!("`{ALLOC}` asks for a result itself");
        return Err(Misuse::refused(reason).into());
    }
    let account = caller.data().account();
    let copy = Charge::new(account, Kind::Memory, bytes.len() as u64);
    let copy = copy.map_err(Misuse::Exceeded)?;
    let stack = caller.data_mut().begin_call()?;
    caller.data_mut().sqlite().tables().is_allocating = true;
    let address = call_guest(&mut caller, &alloc, bytes.len() as u32).await;
    caller.data_mut().sqlite().tables().is_allocating = false;
    caller.data_mut().end_call();
    let address = address?;
    caller.write(address, &bytes)?;
    caller.write_u32(opaque_ptr, bytes.len() as u32)?;
    drop((copy, stack));
    Ok(address)
}
