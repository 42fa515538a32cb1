//! Operations on open files other than reading and writing.

use lunatic_abi::{Guest, host_functions};
use lunatic_fs::{Advice, Node};
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::filestat;
use crate::outcome::{Outcome, answer};
use crate::rights::Rights;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> i32;
        async fn fd_allocate(fd: u32, offset: u64, len: u64) -> i32;
        async fn fd_datasync(fd: u32) -> i32;
        async fn fd_filestat_get(fd: u32, buf: u32) -> i32;
        async fn fd_filestat_set_size(fd: u32, size: u64) -> i32;
        async fn fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, fst_flags: u32) -> i32;
        async fn fd_sync(fd: u32) -> i32;
    }
}

/// `fd_advise`: tells the operating system how a part of a file will be used.
///
/// `inval` for advice that does not exist, `badf` for a directory, `spipe` for
/// a standard stream.
async fn fd_advise<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, Rights::FD_ADVISE)?.file.clone();
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Invalid.into()),
    };
    Ok(caller.wait(file.advise(offset, len, advice)).await?)
}

/// `fd_allocate`: takes the room for a part of a file on the disk.
///
/// `inval` for no bytes, `nospc` if the disk is full, `badf` for a directory,
/// `spipe` for a standard stream.
async fn fd_allocate<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    offset: u64,
    len: u64,
) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, Rights::FD_ALLOCATE)?.file.clone();
    Ok(caller.wait(file.allocate(offset, len)).await?)
}

/// `fd_datasync`: waits until what was written is on the disk.
async fn fd_datasync<T: WasiHost>(caller: Caller<'_, T>, fd: u32) -> Outcome {
    sync(caller, fd, Rights::FD_DATASYNC, false).await
}

/// `fd_filestat_get`: writes the 64-byte record of what is open.
async fn fd_filestat_get<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, buf: u32) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let record = match descriptors.node(fd, Rights::FD_FILESTAT_GET)? {
        Some(Node::File(file)) => filestat::of_file(&caller.wait(file.metadata()).await?),
        Some(Node::Dir(dir)) => filestat::of_file(&caller.wait(dir.metadata(".", true)).await?),
        None => filestat::of_stream(descriptors.get(fd)?.kind.file_type()),
    };
    Ok(caller.write(buf, &record)?)
}

/// `fd_filestat_set_size`: cuts a file off or fills it up with zeros.
///
/// `badf` for a directory, `spipe` for a standard stream.
async fn fd_filestat_set_size<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    size: u64,
) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, Rights::FD_FILESTAT_SET_SIZE)?;
    let file = file.file.clone();
    Ok(caller.wait(file.set_len(size)).await?)
}

/// `fd_filestat_set_times`: changes the times of what is open.
///
/// `inval` for flags that contradict each other, `perm` below a read-only
/// directory, `badf` for a standard stream.
async fn fd_filestat_set_times<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let node = descriptors.node(fd, Rights::FD_FILESTAT_SET_TIMES)?;
    let times = filestat::new_times(atim, mtim, fst_flags)?;
    match node {
        Some(Node::File(file)) => Ok(caller.wait(file.set_times(times)).await?),
        Some(Node::Dir(dir)) => Ok(caller.wait(dir.set_times(".", times, true)).await?),
        None => Err(Errno::BadDescriptor.into()),
    }
}

/// `fd_sync`: waits until what was written, and all metadata, is on the disk.
async fn fd_sync<T: WasiHost>(caller: Caller<'_, T>, fd: u32) -> Outcome {
    sync(caller, fd, Rights::FD_SYNC, true).await
}

async fn sync<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    wanted: Rights,
    metadata: bool,
) -> Outcome {
    match caller.data_mut().wasi().descriptors().node(fd, wanted)? {
        Some(Node::File(file)) => Ok(caller.wait(file.sync(metadata)).await?),
        Some(Node::Dir(dir)) => Ok(caller.wait(dir.sync(metadata)).await?),
        // What is printed has been printed.
        None => Ok(()),
    }
}
