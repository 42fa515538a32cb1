//! Reading, writing, and the offset.

use std::io::{self, SeekFrom};
use std::time::Instant;

use lunatic_abi::{Guest, host_functions};
use lunatic_fs::File;
use lunatic_reactor::Timer;
use wasmtime::{Caller, Result};

use crate::WasiHost;
use crate::descriptors::{Descriptors, Kind};
use crate::errno::Errno;
use crate::input::Input;
use crate::iovec;
use crate::outcome::{Outcome, answer};
use crate::rights::Rights;
use crate::stdio::Printer;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn fd_read(fd: u32, iovs: u32, iovs_len: u32, nread_ptr: u32) -> i32;
        async fn fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten_ptr: u32) -> i32;
        async fn fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread_ptr: u32) -> i32;
        async fn fd_pwrite(
            fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten_ptr: u32
        ) -> i32;
        async fn fd_seek(fd: u32, offset: i64, whence: u32, new_offset_ptr: u32) -> i32;
        fn fd_tell(fd: u32, offset_ptr: u32) -> i32;
    }
}

/// `fd_read`: reads into a vector of buffers; 0 bytes mean the end.
///
/// `badf` if the descriptor cannot be read, as a directory cannot.
async fn fd_read<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread_ptr: u32,
) -> Outcome {
    let source = Source::of(caller.data_mut().wasi().descriptors(), fd)?;
    let (buffers, _charge) = iovec::read_charged(&mut caller, iovs, iovs_len)?;
    caller.bytes(nread_ptr, 4)?;
    let bytes = caller.wait(source.read(buffers.len())).await?;
    iovec::scatter(&mut caller, &buffers, &bytes, nread_ptr)
}

/// `fd_write`: writes a vector of buffers. Who has printed more to standard output or error than
/// the limit of its branch (ABI §26) waits first.
///
/// `badf` if the descriptor cannot be written, as a directory cannot.
async fn fd_write<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten_ptr: u32,
) -> Outcome {
    let sink = Sink::of(caller.data_mut().wasi().descriptors(), fd)?;
    if matches!(sink, Sink::Printer(_)) && caller.data().account().limits_output() {
        caller.bytes(nwritten_ptr, 4)?;
        // Nothing is kept for who waits: the bytes are copied after that.
        let bytes = iovec::read(&mut caller, iovs, iovs_len)?.len() as u64;
        let delay = caller.data().account().spend_output(Instant::now(), bytes);
        if !delay.is_zero() {
            caller.wait(Timer::after(delay)).await;
        }
    }
    let (bytes, _charge) = iovec::gather(&mut caller, iovs, iovs_len)?;
    caller.bytes(nwritten_ptr, 4)?;
    if let Sink::Printer(printer) = &sink {
        caller.data().prints(printer.is_error(fd), &bytes);
    }
    let written = caller.wait(sink.write(bytes)).await?;
    Ok(caller.write_u32(nwritten_ptr, written as u32)?)
}

/// `fd_pread`: reads at an offset, and leaves the descriptor's own where it is.
///
/// `badf` if the descriptor cannot be read, `spipe` for a standard stream.
async fn fd_pread<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread_ptr: u32,
) -> Outcome {
    let wanted = Rights::FD_READ | Rights::FD_SEEK;
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, wanted)?.file.clone();
    let (buffers, _charge) = iovec::read_charged(&mut caller, iovs, iovs_len)?;
    caller.bytes(nread_ptr, 4)?;
    let bytes = caller.wait(file.read_at(buffers.len(), offset)).await?;
    iovec::scatter(&mut caller, &buffers, &bytes, nread_ptr)
}

/// `fd_pwrite`: writes at an offset, and leaves the descriptor's own where it is.
///
/// `badf` if the descriptor cannot be written, `spipe` for a standard stream.
async fn fd_pwrite<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten_ptr: u32,
) -> Outcome {
    let wanted = Rights::FD_WRITE | Rights::FD_SEEK;
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, wanted)?.file.clone();
    let (bytes, _charge) = iovec::gather(&mut caller, iovs, iovs_len)?;
    caller.bytes(nwritten_ptr, 4)?;
    let written = caller.wait(file.write_at(bytes, offset)).await?;
    Ok(caller.write_u32(nwritten_ptr, written as u32)?)
}

/// `fd_seek`: moves the offset and writes the new one; `whence` is 0 from the
/// start, 1 from here, 2 from the end.
///
/// `inval` for another `whence` or a place before the start, `badf` for a
/// directory, `spipe` for a standard stream.
async fn fd_seek<T: WasiHost>(
    mut caller: Caller<'_, T>,
    fd: u32,
    offset: i64,
    whence: u32,
    new_offset_ptr: u32,
) -> Outcome {
    let to = place(offset, whence);
    let wanted = match to {
        Ok(SeekFrom::Current(0)) => Rights::FD_TELL,
        _ => Rights::FD_SEEK,
    };
    let descriptors = caller.data_mut().wasi().descriptors();
    let file = descriptors.file(fd, wanted)?.file.clone();
    caller.bytes(new_offset_ptr, 8)?;
    let offset = caller.wait(file.seek(to?)).await?;
    Ok(caller.write_u64(new_offset_ptr, offset)?)
}

/// `fd_tell`: writes the offset.
///
/// `badf` for a directory, `spipe` for a standard stream.
fn fd_tell<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32, offset_ptr: u32) -> Outcome {
    let descriptors = caller.data_mut().wasi().descriptors();
    let offset = descriptors.file(fd, Rights::FD_TELL)?.file.position()?;
    Ok(caller.write_u64(offset_ptr, offset)?)
}

/// What a descriptor is read from.
enum Source {
    Input(Input),
    File(File),
}

impl Source {
    fn of(descriptors: &Descriptors, fd: u32) -> Result<Source, Errno> {
        match &descriptors.get(fd)?.kind {
            Kind::Printer(_) => Err(Errno::BadDescriptor),
            Kind::Input(input) => {
                let source = Source::Input(input.clone());
                descriptors.allowed(fd, Rights::FD_READ).map(|_| source)
            }
            Kind::Dir(_) | Kind::File(_) => {
                let file = descriptors.file(fd, Rights::FD_READ)?;
                Ok(Source::File(file.file.clone()))
            }
        }
    }

    async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        match self {
            Source::Input(input) => input.read(max).await,
            Source::File(file) => file.read(max).await,
        }
    }
}

/// What is written to by a descriptor.
enum Sink {
    Printer(Printer),
    File(File),
}

impl Sink {
    fn of(descriptors: &Descriptors, fd: u32) -> Result<Sink, Errno> {
        match &descriptors.get(fd)?.kind {
            Kind::Input(_) => Err(Errno::BadDescriptor),
            Kind::Printer(printer) => {
                let sink = Sink::Printer(printer.clone());
                descriptors.allowed(fd, Rights::FD_WRITE).map(|_| sink)
            }
            Kind::Dir(_) | Kind::File(_) => {
                let file = descriptors.file(fd, Rights::FD_WRITE)?;
                Ok(Sink::File(file.file.clone()))
            }
        }
    }

    /// Writes at least a part of `bytes`, and returns how many.
    async fn write(&self, bytes: Vec<u8>) -> io::Result<usize> {
        let length = bytes.len();
        match self {
            Sink::Printer(printer) => printer.print(bytes).await.map(|()| length),
            Sink::File(file) => file.write(bytes).await,
        }
    }
}

fn place(offset: i64, whence: u32) -> Result<SeekFrom, Errno> {
    match whence {
        0 => match u64::try_from(offset) {
            Ok(offset) => Ok(SeekFrom::Start(offset)),
            Err(_) => Err(Errno::Invalid),
        },
        1 => Ok(SeekFrom::Current(offset)),
        2 => Ok(SeekFrom::End(offset)),
        _ => Err(Errno::Invalid),
    }
}
