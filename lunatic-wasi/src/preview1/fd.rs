//! File descriptors: closing and renumbering, flags, rights, and preopened directories.

use lunatic_abi::{Guest, host_functions};
use wasmtime::Caller;

use crate::WasiHost;
use crate::descriptors::{Descriptor, Kind, OpenFile};
use crate::errno::Errno;
use crate::fdflags::FdFlags;
use crate::outcome::{Outcome, answer};
use crate::rights::Rights;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn fd_close(fd: u32) -> i32;
        fn fd_fdstat_get(fd: u32, stat_ptr: u32) -> i32;
        fn fd_fdstat_set_flags(fd: u32, flags: u32) -> i32;
        fn fd_fdstat_set_rights(fd: u32, rights_base: u64, rights_inheriting: u64) -> i32;
        fn fd_prestat_get(fd: u32, prestat_ptr: u32) -> i32;
        fn fd_prestat_dir_name(fd: u32, path: u32, path_len: u32) -> i32;
        fn fd_renumber(fd: u32, to: u32) -> i32;
    }
}

/// `fd_close`: closes a descriptor, preopened ones too.
async fn fd_close<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32) -> Outcome {
    let closed = caller.data_mut().wasi().descriptors().remove(fd)?;
    if let Kind::File(OpenFile { file, .. }) = closed.kind {
        caller.wait(file.close()).await;
    }
    Ok(())
}

/// `fd_fdstat_get`: writes the 24-byte record with type, flags and rights.
fn fd_fdstat_get<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, stat_ptr: u32) -> Outcome {
    let descriptor = caller.data_mut().wasi().descriptors().get(fd)?;
    let record = fdstat(descriptor);
    Ok(caller.write(stat_ptr, &record)?)
}

/// `fd_fdstat_set_flags`: changes whether writes go to the end.
///
/// `inval` if a flag does not exist or can only be given to `path_open`,
/// `notcapable` for a standard stream.
fn fd_fdstat_set_flags<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, flags: u32) -> Outcome {
    let flags = FdFlags::from_bits(flags)?;
    let descriptors = caller.data_mut().wasi().descriptors();
    descriptors.allowed(fd, Rights::FD_FDSTAT_SET_FLAGS)?;
    let kind = &mut descriptors.get_mut(fd)?.kind;
    if flags.durability() != kind.flags().durability() {
        return Err(Errno::Invalid.into());
    }
    if let Kind::File(open) = kind {
        open.file.set_append(flags.append())?;
        open.flags = flags;
    }
    Ok(())
}

/// `fd_fdstat_set_rights`: takes rights away.
///
/// `notcapable` if a right was to be added.
fn fd_fdstat_set_rights<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    rights_base: u64,
    rights_inheriting: u64,
) -> Outcome {
    let descriptor = caller.data_mut().wasi().descriptors().get_mut(fd)?;
    let rights = Rights::from_bits(rights_base);
    let inheriting = Rights::from_bits(rights_inheriting);
    if !descriptor.rights.contain(rights) || !descriptor.inheriting.contain(inheriting) {
        return Err(Errno::NotCapable.into());
    }
    descriptor.rights = rights;
    descriptor.inheriting = inheriting;
    Ok(())
}

/// `fd_prestat_get`: writes the 8-byte record of a preopened directory: the tag
/// 0 for a directory, and the length of its name.
///
/// `badf` for every other descriptor. By that a guest finds the end of its preopened
/// directories.
fn fd_prestat_get<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, prestat_ptr: u32) -> Outcome {
    let length = caller.data_mut().wasi().preopened_as(fd)?.len();
    let record = (length as u64) << 32;
    Ok(caller.write_u64(prestat_ptr, record)?)
}

/// `fd_prestat_dir_name`: writes the name of a preopened directory.
///
/// `nametoolong` if there is too little room.
fn fd_prestat_dir_name<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    caller.bytes(path, path_len)?;
    let name = caller.data_mut().wasi().preopened_as(fd)?.to_owned();
    if name.len() > path_len as usize {
        return Err(Errno::NameTooLong.into());
    }
    Ok(caller.write(path, name.as_bytes())?)
}

/// `fd_renumber`: gives `fd` the number of the open descriptor `to`, which is
/// closed.
fn fd_renumber<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, to: u32) -> Outcome {
    Ok(caller.data_mut().wasi().descriptors().renumber(fd, to)?)
}

/// Returns the record: type at 0, flags at 2, rights at 8, inheriting rights at 16.
fn fdstat(descriptor: &Descriptor) -> [u8; 24] {
    let mut record = [0; 24];
    record[0] = descriptor.kind.file_type() as u8;
    record[2..4].copy_from_slice(&descriptor.kind.flags().bits().to_le_bytes());
    record[8..16].copy_from_slice(&descriptor.rights.bits().to_le_bytes());
    record[16..24].copy_from_slice(&descriptor.inheriting.bits().to_le_bytes());
    record
}
