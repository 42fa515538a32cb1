//! The functions that take a path.
//!
//! All of these answer `notdir` if the descriptor is no directory, `ilseq` if a
//! path is not UTF-8, `nametoolong` if it is too long, `perm` if it leads
//! outside of the directory or would change one that is read-only, `notcapable`
//! if the descriptor lacks the right, and what the operating system says.

use std::path::Path;

use lunatic_abi::{Guest, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_fs::Dir;
use wasmtime::{Caller, Result};

use crate::WasiHost;
use crate::descriptors::Descriptor;
use crate::errno::Errno;
use crate::filestat;
use crate::opening::{Opening, follows};
use crate::outcome::{Failure, Outcome, answer};
use crate::path_limit::MAX_PATH_BYTES;
use crate::rights::Rights;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn path_create_directory(fd: u32, path: u32, path_len: u32) -> i32;
        async fn path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, buf: u32) -> i32;
        async fn path_filestat_set_times(
            fd: u32, flags: u32, path: u32, path_len: u32, atim: u64, mtim: u64,
            fst_flags: u32
        ) -> i32;
        async fn path_link(
            old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32, new_fd: u32,
            new_path: u32, new_path_len: u32
        ) -> i32;
        async fn path_open(
            fd: u32, lookup: u32, path: u32, path_len: u32, oflags: u32, rights_base: u64,
            rights_inheriting: u64, fdflags: u32, fd_ptr: u32
        ) -> i32;
        async fn path_readlink(
            fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, used_ptr: u32
        ) -> i32;
        async fn path_remove_directory(fd: u32, path: u32, path_len: u32) -> i32;
        async fn path_rename(
            old_fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32,
            new_path_len: u32
        ) -> i32;
        async fn path_symlink(
            old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32
        ) -> i32;
        async fn path_unlink_file(fd: u32, path: u32, path_len: u32) -> i32;
    }
}

/// `path_create_directory`: creates a directory.
async fn path_create_directory<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_CREATE_DIRECTORY)?;
    Ok(caller.wait(dir.create_dir(path)).await?)
}

/// `path_filestat_get`: writes the 64-byte record of a file.
async fn path_filestat_get<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    buf: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_FILESTAT_GET)?;
    let metadata = caller.wait(dir.metadata(path, follows(flags)?)).await?;
    Ok(caller.write(buf, &filestat::of_file(&metadata))?)
}

/// `path_filestat_set_times`: changes the times of a file.
///
/// `inval` for flags that contradict each other.
async fn path_filestat_set_times<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_FILESTAT_SET_TIMES)?;
    let times = filestat::new_times(atim, mtim, fst_flags)?;
    Ok(caller
        .wait(dir.set_times(path, times, follows(flags)?))
        .await?)
}

/// `path_link`: gives a file a further name.
///
/// `inval` if a symbolic link is to be followed, as the reference runtime does.
async fn path_link<T: WasiHost>(
    mut caller: Caller<'_, T>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let old_path = read_path(&mut caller, old_path, old_path_len)?;
    let new_path = read_path(&mut caller, new_path, new_path_len)?;
    let old_dir = dir(&mut caller, old_fd, Rights::PATH_LINK_SOURCE)?;
    let new_dir = dir(&mut caller, new_fd, Rights::PATH_LINK_TARGET)?;
    if follows(old_flags)? {
        return Err(Errno::Invalid.into());
    }
    Ok(caller
        .wait(old_dir.hard_link(old_path, &new_dir, new_path))
        .await?)
}

/// `path_open`: opens the file or directory at a path and writes the new descriptor.
///
/// The new descriptor gets the rights that the directory passes on and that its kind
/// can have, but those to read and to write only if they are asked for. Guests written
/// for the reference runtime rely on the others.
///
/// `inval` for flags that do not exist, `mfile` if too many are open.
async fn path_open<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    rights_base: u64,
    _rights_inheriting: u64,
    fdflags: u32,
    fd_ptr: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    caller.bytes(fd_ptr, 4)?;
    let dir = dir(&mut caller, fd, Rights::PATH_OPEN)?;
    let descriptors = caller.data_mut().wasi().descriptors();
    descriptors.check_room()?;
    let through = descriptors.get(fd)?;
    let inheriting = through.inheriting;
    let granted = inheriting.opened_for(Rights::from_bits(rights_base));
    let opening = Opening::parse(lookup, oflags, fdflags, granted)?;
    opening.check(through.rights)?;
    // It is charged until it is closed, even if nobody waits any more until it is open.
    let charge = Charge::new(caller.data().account(), Kind::Descriptors, 1);
    let charge = charge.map_err(|_| Errno::TooManyOpenHere)?;
    let open = dir.open_charged(path, opening.options, Some(charge));
    let node = caller.wait(open).await?;
    let opened = Descriptor::opened(node, opening.rights, inheriting, opening.flags);
    let fd = caller.data_mut().wasi().descriptors().insert(opened)?;
    Ok(caller.write_u32(fd_ptr, fd)?)
}

/// `path_readlink`: writes what a symbolic link contains, cut off where there
/// is no more room.
async fn path_readlink<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    used_ptr: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let room = caller.bytes(buf, buf_len)?.len();
    caller.bytes(used_ptr, 4)?;
    let dir = dir(&mut caller, fd, Rights::PATH_READLINK)?;
    let target = caller.wait(dir.read_link(path)).await?;
    let target = text(&target)?.as_bytes();
    let written = &target[..target.len().min(room)];
    caller.write(buf, written)?;
    Ok(caller.write_u32(used_ptr, written.len() as u32)?)
}

/// `path_remove_directory`: removes an empty directory.
async fn path_remove_directory<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_REMOVE_DIRECTORY)?;
    Ok(caller.wait(dir.remove_dir(path)).await?)
}

/// `path_rename`: gives a file or a directory another name.
async fn path_rename<T: WasiHost>(
    mut caller: Caller<'_, T>,
    old_fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let old_path = read_path(&mut caller, old_path, old_path_len)?;
    let new_path = read_path(&mut caller, new_path, new_path_len)?;
    let old_dir = dir(&mut caller, old_fd, Rights::PATH_RENAME_SOURCE)?;
    let new_dir = dir(&mut caller, new_fd, Rights::PATH_RENAME_TARGET)?;
    Ok(caller
        .wait(old_dir.rename(old_path, &new_dir, new_path))
        .await?)
}

/// `path_symlink`: makes a symbolic link at `new_path` that contains `old_path`.
///
/// `perm` if `old_path` is absolute, `nametoolong` if it has more than 64 parts.
async fn path_symlink<T: WasiHost>(
    mut caller: Caller<'_, T>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let target = read_path(&mut caller, old_path, old_path_len)?;
    let path = read_path(&mut caller, new_path, new_path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_SYMLINK)?;
    Ok(caller.wait(dir.symlink(target, path)).await?)
}

/// `path_unlink_file`: removes a file.
///
/// `isdir` for a directory.
async fn path_unlink_file<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let path = read_path(&mut caller, path, path_len)?;
    let dir = dir(&mut caller, fd, Rights::PATH_UNLINK_FILE)?;
    Ok(caller.wait(dir.remove_file(path)).await?)
}

fn dir<T: WasiHost>(caller: &mut Caller<'_, T>, fd: u32, wanted: Rights) -> Result<Dir, Errno> {
    caller
        .data_mut()
        .wasi()
        .descriptors()
        .dir(fd, wanted)
        .cloned()
}

fn read_path<T: WasiHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<String, Failure> {
    let bytes = caller.bytes(ptr, len)?;
    if bytes.len() > MAX_PATH_BYTES {
        return Err(Errno::NameTooLong.into());
    }
    let path = std::str::from_utf8(bytes).map_err(|_| Errno::IllegalSequence)?;
    Ok(path.to_owned())
}

fn text(path: &Path) -> Result<&str, Errno> {
    path.to_str().ok_or(Errno::IllegalSequence)
}
