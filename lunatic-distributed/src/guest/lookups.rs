//! Lookups of nodes by their tags (ABI §8.1).

use std::error::Error;
use std::fmt;

use lunatic_abi::{Guest, Resource, Table, host_functions};
use lunatic_mailbox::NodeId;
use wasmtime::{Caller, Result};

use crate::guest::{DistributedHost, clustered, write_nodes};
use crate::query::{BadQuery, Query};

host_functions! {
    pub(super) fn add_to_linker<T: DistributedHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::distributed" {
        fn exec_lookup_nodes(
            query_ptr: u32, query_len: u32, query_id_ptr: u32, nodes_len_ptr: u32, error_ptr: u32
        ) -> u32;
        fn copy_lookup_nodes_results(
            query_id: u64, nodes_ptr: u32, nodes_len: u32, error_ptr: u32
        ) -> i32;
    }
}

/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 4096;

/// The results of lookups that a process has not fetched yet.
#[derive(Debug, Default)]
pub struct Lookups(Table<Found>);

#[derive(Debug)]
struct Found(Vec<NodeId>);

impl Resource for Found {
    const KIND: &'static str = "lookup";
    const LIMIT: usize = 1 << 10;

    fn size(&self) -> usize {
        self.0.len() * size_of::<NodeId>()
    }
}

/// There is no lookup with this id.
#[derive(Debug)]
struct NoLookup(u64);

/// `lunatic::distributed::exec_lookup_nodes` (ABI §8): looks for nodes that have all tags of
/// a query. Returns 0 with the id of the lookup and the number of nodes, or 1 with an error id.
///
/// Traps on a node that is alone, on bad addresses, text that is not UTF-8, a query above
/// [`MAX_QUERY_BYTES`], and if too many lookups were not fetched.
fn exec_lookup_nodes<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    query_ptr: u32,
    query_len: u32,
    query_id_ptr: u32,
    nodes_len_ptr: u32,
    error_ptr: u32,
) -> Result<u32> {
    let node = clustered(caller.data())?;
    for ptr in [query_id_ptr, error_ptr] {
        caller.check_id_ptr(ptr)?;
    }
    caller.bytes(nodes_len_ptr, size_of::<u32>() as u32)?;
    let query = caller.text_within(query_ptr, query_len, MAX_QUERY_BYTES)?;
    let query: Result<Query, BadQuery> = query.parse();
    let query = match query {
        Ok(query) => query,
        Err(error) => return caller.report(error_ptr, &error),
    };
    let found = node.find(&query);
    let count = found.len() as u32;
    let account = caller.data().account().clone();
    let lookups = &mut caller.data_mut().lookups().0;
    let id = lookups.insert(Found(found), &account);
    let id = id.map_err(|refused| refused.reason)?;
    caller.write_u64(query_id_ptr, id)?;
    caller.write_u32(nodes_len_ptr, count)?;
    Ok(0)
}

/// `lunatic::distributed::copy_lookup_nodes_results` (ABI §8): writes up to `nodes_len` ids
/// that a lookup found, returns how many, and forgets the lookup. Returns -1 with an error id
/// if there is no such lookup.
///
/// Traps on a node that is alone, and on bad addresses.
fn copy_lookup_nodes_results<T: DistributedHost>(
    mut caller: Caller<'_, T>,
    query_id: u64,
    nodes_ptr: u32,
    nodes_len: u32,
    error_ptr: u32,
) -> Result<i32> {
    clustered(caller.data())?;
    caller.check_id_ptr(error_ptr)?;
    caller.records::<8>(nodes_ptr, nodes_len)?;
    match caller.data_mut().lookups().0.remove(query_id) {
        Ok(Found(nodes)) => Ok(write_nodes(&mut caller, nodes_ptr, nodes_len, &nodes)? as i32),
        Err(_) => {
            caller.report(error_ptr, &NoLookup(query_id))?;
            Ok(-1)
        }
    }
}

impl fmt::Display for NoLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no lookup with id {}", self.0)
    }
}

impl Error for NoLookup {}
