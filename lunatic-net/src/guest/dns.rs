//! Names, and addresses as iterators (ABI §6.1).

use std::io;
use std::net::SocketAddr;
use std::vec;

use lunatic_abi::{Guest, Misuse, Resource, Timeout, host_functions};
use wasmtime::{Caller, Result};

use crate::guest::NetHost;
use crate::guest::addresses::{self, V4, V6};
use crate::guest::reports::timed_out;
use crate::resolver::{self, MAX_NAME_BYTES};

/// Addresses that a guest takes one by one.
#[derive(Debug)]
pub(super) struct DnsIterator {
    /// The address of an iterator that has one, as most have. It allocates nothing.
    first: Option<SocketAddr>,
    rest: vec::IntoIter<SocketAddr>,
    /// Bytes of the addresses, those that were taken included.
    size: usize,
}

impl Resource for DnsIterator {
    const KIND: &'static str = "DNS iterator";

    fn size(&self) -> usize {
        self.size
    }
}

host_functions! {
    pub(super) fn add_to_linker<T: NetHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::networking" {
        async fn resolve(name_ptr: u32, name_len: u32, timeout: u64, id_ptr: u32) -> u32;
        fn resolve_next(
            id: u64, kind_ptr: u32, address_ptr: u32, port_ptr: u32, flow_info_ptr: u32,
            scope_id_ptr: u32
        ) -> u32;
        fn drop_dns_iterator(id: u64);
    }
}

/// `lunatic::networking::resolve` (ABI §6.1): looks `host:port` up. Returns 0
/// with an iterator id, or 1 or 9027 with an error id at `id_ptr`.
///
/// Traps on a bad address, or text that is not UTF-8.
async fn resolve<T: NetHost>(
    mut caller: Caller<'_, T>,
    name_ptr: u32,
    name_len: u32,
    timeout: u64,
    id_ptr: u32,
) -> Result<u32> {
    caller.check_id_ptr(id_ptr)?;
    let name = match addresses::name(&mut caller, name_ptr, name_len, MAX_NAME_BYTES)? {
        Ok(name) => name,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let host = name.rsplit_once(':').map_or(&*name, |(host, _)| host);
    let config = caller.data_mut().net().config().clone();
    let is_address = name.parse::<SocketAddr>().is_ok();
    if !is_address && let Err(denied) = config.check_lookup(host) {
        return caller.report(id_ptr, &denied);
    }
    let resolving = Timeout::from_millis(timeout).limit(resolver::resolve(&name));
    let iterator = match caller.wait(resolving).await {
        Some(Ok(addresses)) => {
            config.learn(host, &addresses);
            Ok(keep(&mut caller, DnsIterator::of_all(addresses))?)
        }
        Some(Err(error)) => Err(error),
        None => return timed_out(&mut caller, format!("resolve `{host}`"), id_ptr),
    };
    caller.answer_id(id_ptr, iterator)
}

/// `lunatic::networking::resolve_next` (ABI §6.1): takes an address out of an
/// iterator. Returns 0, or 1 at the end.
///
/// - `kind_ptr`: 4 or 6, a `u32`.
/// - `address_ptr`: 4 or 16 octets.
/// - `port_ptr`: a `u16`.
/// - `flow_info_ptr`, `scope_id_ptr`: each a `u32`, for IPv6 only.
///
/// Traps on an unknown id, or a bad address.
fn resolve_next<T: NetHost>(
    mut caller: Caller<'_, T>,
    id: u64,
    kind_ptr: u32,
    address_ptr: u32,
    port_ptr: u32,
    flow_info_ptr: u32,
    scope_id_ptr: u32,
) -> Result<u32> {
    const END: u32 = 1;
    let iterators = &mut caller.data_mut().net().tables().dns_iterators;
    let address = iterators.get_mut(id)?.next();
    match address {
        None => return Ok(END),
        Some(SocketAddr::V4(address)) => {
            caller.write_u32(kind_ptr, V4)?;
            caller.write(address_ptr, &address.ip().octets())?;
            caller.write(port_ptr, &address.port().to_le_bytes())?;
        }
        Some(SocketAddr::V6(address)) => {
            caller.write_u32(kind_ptr, V6)?;
            caller.write(address_ptr, &address.ip().octets())?;
            caller.write(port_ptr, &address.port().to_le_bytes())?;
            caller.write_u32(flow_info_ptr, address.flowinfo())?;
            caller.write_u32(scope_id_ptr, address.scope_id())?;
        }
    }
    Ok(0)
}

/// `lunatic::networking::drop_dns_iterator` (ABI §6.1).
///
/// Traps on an unknown id.
fn drop_dns_iterator<T: NetHost>(mut caller: Caller<'_, T>, id: u64) -> Result<()> {
    caller.data_mut().net().tables().dns_iterators.remove(id)?;
    Ok(())
}

/// Makes an iterator of one address and writes its id to `id_ptr`; returns 0,
/// or 1 with an error id there. Shared by every function that tells an address.
pub(super) fn tell<T: NetHost>(
    caller: &mut Caller<'_, T>,
    address: io::Result<SocketAddr>,
    id_ptr: u32,
) -> Result<u32> {
    let iterator = match address {
        Ok(address) => Ok(keep(caller, DnsIterator::of(address))?),
        Err(error) => Err(error),
    };
    caller.answer_id(id_ptr, iterator)
}

/// Keeps an iterator and returns its id. Traps if there are too many.
fn keep<T: NetHost>(caller: &mut Caller<'_, T>, iterator: DnsIterator) -> Result<u64, Misuse> {
    let account = caller.data().account().clone();
    let iterators = &mut caller.data_mut().net().tables().dns_iterators;
    Ok(iterators.insert(iterator, &account)?)
}

impl DnsIterator {
    fn of(address: SocketAddr) -> DnsIterator {
        DnsIterator {
            first: Some(address),
            rest: vec::IntoIter::default(),
            size: 0,
        }
    }

    fn of_all(addresses: Vec<SocketAddr>) -> DnsIterator {
        DnsIterator {
            first: None,
            size: addresses.capacity() * size_of::<SocketAddr>(),
            rest: addresses.into_iter(),
        }
    }
}

impl Iterator for DnsIterator {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.first.take().or_else(|| self.rest.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_for_addresses_does_not_depend_on_how_many_were_taken() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let mut iterator = DnsIterator::of_all(vec![address; 1000]);
        let size = iterator.size();
        assert!(size >= 1000 * size_of::<SocketAddr>());
        assert_eq!(iterator.by_ref().count(), 1000);
        assert_eq!(iterator.size(), size);
        assert_eq!(DnsIterator::of(address).size(), 0);
    }
}
