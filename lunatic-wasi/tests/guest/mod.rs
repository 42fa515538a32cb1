//! A guest that tests steer: it calls the functions of preview 1 one by one.
//!
//! The module imports all 46 functions and exports a wrapper for each, so that
//! a test calls the host through real WebAssembly code and real guest memory.
//! Whether they have the types of the ABI, `cargo xtask tidy` finds out.

#![allow(dead_code, unreachable_pub)] // Each test file uses another part of it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_lite::future::block_on;
use lunatic_abi::{AbiHost, ErrorTable, HostFunction, Misuse};
use lunatic_account::{Account, Charge, Kind};
use lunatic_testkit::guest;
pub use lunatic_testkit::guest::args;
use lunatic_wasi::{Access, Stdio};
use lunatic_wasi::{HOST_FUNCTIONS, WasiConfig, WasiCtx, WasiHost, add_to_linker};
use wasmtime::{Memory, Val};

/// The functions of preview 1.
pub fn preview1() -> impl Iterator<Item = &'static HostFunction> {
    let functions = HOST_FUNCTIONS.iter();
    functions.filter(|function| function.namespace == "wasi_snapshot_preview1")
}

/// Error numbers as the specification has them.
pub mod errno {
    pub const AGAIN: i32 = 6;
    pub const BADF: i32 = 8;
    pub const EXIST: i32 = 20;
    pub const FBIG: i32 = 22;
    pub const ILSEQ: i32 = 25;
    pub const INVAL: i32 = 28;
    pub const ISDIR: i32 = 31;
    pub const LOOP: i32 = 32;
    pub const MFILE: i32 = 33;
    pub const NAMETOOLONG: i32 = 37;
    pub const NOENT: i32 = 44;
    pub const NOSPC: i32 = 51;
    pub const NOTDIR: i32 = 54;
    pub const NOTEMPTY: i32 = 55;
    pub const NOTSOCK: i32 = 57;
    pub const NOTSUP: i32 = 58;
    pub const PERM: i32 = 63;
    pub const SPIPE: i32 = 70;
    pub const NOTCAPABLE: i32 = 76;
}

/// Flags of `path_open`.
pub mod oflags {
    pub const CREAT: u32 = 1;
    pub const DIRECTORY: u32 = 2;
    pub const EXCL: u32 = 4;
    pub const TRUNC: u32 = 8;
}

/// Flags of a descriptor.
pub mod fdflags {
    pub const APPEND: u32 = 1;
    pub const DSYNC: u32 = 2;
    pub const NONBLOCK: u32 = 4;
    pub const RSYNC: u32 = 8;
    pub const SYNC: u32 = 16;
}

/// Rights of a descriptor.
pub mod rights {
    pub const READ: u64 = 1 << 1;
    pub const SEEK: u64 = 1 << 2;
    pub const WRITE: u64 = 1 << 6;
    pub const ALL: u64 = (1 << 29) - 1;
}

/// Where the wrappers of this file keep what they pass: results, vectors,
/// paths, data. Nothing overlaps.
pub mod at {
    pub const RESULT: u32 = 0;
    pub const RESULT_2: u32 = 8;
    pub const IOVS: u32 = 16;
    pub const RECORDS: u32 = 1024;
    pub const PATH: u32 = 16 << 10;
    pub const PATH_2: u32 = 32 << 10;
    pub const DATA: u32 = 64 << 10;
    pub const MEMORY_PAGES: u32 = 64;
}

/// The lookup flag that follows a symbolic link at the end of a path.
pub const FOLLOW: u32 = 1;

/// Types of files.
pub mod filetype {
    pub const UNKNOWN: u8 = 0;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SYMBOLIC_LINK: u8 = 7;
}

/// The parts of a `filestat` record that tests look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filestat {
    pub inode: u64,
    pub file_type: u8,
    pub links: u64,
    pub size: u64,
    pub accessed: u64,
    pub modified: u64,
}

/// The state of the test's one process.
pub struct Host {
    pub wasi: WasiCtx,
    pub configs: HashMap<u64, WasiConfig>,
    pub account: Account,
    memory: Option<Memory>,
    errors: ErrorTable,
}

impl AbiHost for Host {
    fn account(&self) -> &Account {
        &self.account
    }

    fn memory(&self) -> Option<Memory> {
        self.memory
    }

    fn errors(&mut self) -> &mut ErrorTable {
        &mut self.errors
    }
}

impl WasiHost for Host {
    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn change_wasi_config<R>(
        &mut self,
        id: u64,
        more: usize,
        change: impl FnOnce(&mut WasiConfig) -> R,
    ) -> Result<R, Misuse> {
        let kind = "config";
        let config = self.configs.get_mut(&id);
        let config = config.ok_or(Misuse::UnknownId { kind, id })?;
        let _charge = Charge::new(&self.account, Kind::Memory, more as u64)?;
        let before = config.size();
        let result = change(config);
        assert!(config.size() <= before + more, "more was to be charged");
        Ok(result)
    }
}

/// A process.
pub struct Guest(guest::Guest<Host>);

impl Deref for Guest {
    type Target = guest::Guest<Host>;

    fn deref(&self) -> &guest::Guest<Host> {
        &self.0
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut guest::Guest<Host> {
        &mut self.0
    }
}

/// Makes a process of `module` and returns it before anything of it has run.
pub fn instantiate(module: &str, config: WasiConfig, stdio: Stdio) -> Guest {
    let config = block_on(Arc::new(config).open()).expect("all directories exist");
    let host = Host {
        wasi: WasiCtx::new(config, stdio),
        configs: HashMap::new(),
        account: Account::default(),
        memory: None,
        errors: ErrorTable::new(),
    };
    let instance = guest::Guest::new(module, host, add_to_linker, |host, memory| {
        host.memory = Some(memory);
    });
    Guest(instance)
}

impl Guest {
    /// A process with these settings.
    pub fn new(config: WasiConfig, stdio: Stdio) -> Guest {
        instantiate(
            &guest::forwarding(preview1(), at::MEMORY_PAGES),
            config,
            stdio,
        )
    }

    /// A process without anything.
    pub fn bare() -> Guest {
        Guest::new(WasiConfig::default(), Stdio::default())
    }

    /// A process that has `host` as descriptor 3.
    pub fn in_dir(host: &std::path::Path, access: Access) -> Guest {
        let mut config = WasiConfig::default();
        config.add_dir(host, "/", access).expect("there is room");
        Guest::new(config, Stdio::default())
    }

    /// Calls an export; `Err` is a trap.
    pub fn try_call(&mut self, name: &str, params: &[Val]) -> wasmtime::Result<i32> {
        block_on(self.call_async(name, params))
    }

    /// Calls an export as a future that can be dropped; `Err` is a trap.
    pub async fn call_async(&mut self, name: &str, params: &[Val]) -> wasmtime::Result<i32> {
        let result = self.invoke(name, params).await?;
        Ok(result.map_or(0, |value| value.unwrap_i32()))
    }

    /// Calls an export that does not trap, and makes errno 0 into `Ok`.
    pub fn call(&mut self, name: &str, params: &[Val]) -> Result<(), i32> {
        match self.try_call(name, params).expect("no trap") {
            0 => Ok(()),
            errno => Err(errno),
        }
    }

    /// Puts a path into memory; gives its address and length.
    pub fn put_path(&mut self, address: u32, path: &str) -> (u32, u32) {
        self.put(address, path.as_bytes());
        (address, path.len() as u32)
    }

    /// Opens a path with all rights but the ones to read or write that are not
    /// in `rights`, following links.
    pub fn open_with(
        &mut self,
        dir: u32,
        path: &str,
        oflags: u32,
        rights: u64,
        fdflags: u32,
    ) -> Result<u32, i32> {
        let (path, length) = self.put_path(at::PATH, path);
        self.call(
            "path_open",
            &args![
                dir,
                FOLLOW,
                path,
                length,
                oflags,
                rights,
                rights::ALL,
                fdflags,
                at::RESULT
            ],
        )?;
        Ok(self.take_u32(at::RESULT))
    }

    /// Opens an existing file to read and write.
    pub fn open(&mut self, dir: u32, path: &str) -> Result<u32, i32> {
        self.open_with(dir, path, 0, rights::ALL, 0)
    }

    /// Opens an existing file or directory to look at it.
    pub fn open_to_read(&mut self, dir: u32, path: &str) -> Result<u32, i32> {
        self.open_with(dir, path, 0, rights::ALL & !rights::WRITE, 0)
    }

    /// Creates a file, or opens it if it exists.
    pub fn create(&mut self, dir: u32, path: &str) -> Result<u32, i32> {
        self.open_with(dir, path, oflags::CREAT, rights::ALL, 0)
    }

    /// Calls a function that takes a directory and a path.
    pub fn on_path(&mut self, function: &str, dir: u32, path: &str) -> Result<(), i32> {
        let (path, length) = self.put_path(at::PATH, path);
        self.call(function, &args![dir, path, length])
    }

    pub fn mkdir(&mut self, dir: u32, path: &str) -> Result<(), i32> {
        self.on_path("path_create_directory", dir, path)
    }

    pub fn rmdir(&mut self, dir: u32, path: &str) -> Result<(), i32> {
        self.on_path("path_remove_directory", dir, path)
    }

    pub fn unlink(&mut self, dir: u32, path: &str) -> Result<(), i32> {
        self.on_path("path_unlink_file", dir, path)
    }

    pub fn symlink(&mut self, target: &str, dir: u32, path: &str) -> Result<(), i32> {
        let (target, target_length) = self.put_path(at::PATH, target);
        let (path, length) = self.put_path(at::PATH_2, path);
        self.call(
            "path_symlink",
            &args![target, target_length, dir, path, length],
        )
    }

    pub fn readlink(&mut self, dir: u32, path: &str, room: u32) -> Result<Vec<u8>, i32> {
        let (path, length) = self.put_path(at::PATH, path);
        let parameters = args![dir, path, length, at::DATA, room, at::RESULT];
        self.call("path_readlink", &parameters)?;
        let used = self.take_u32(at::RESULT);
        Ok(self.take(at::DATA, used))
    }

    pub fn link(&mut self, dir: u32, old: &str, new_dir: u32, new: &str) -> Result<(), i32> {
        let (old, old_length) = self.put_path(at::PATH, old);
        let (new, new_length) = self.put_path(at::PATH_2, new);
        let parameters = args![dir, 0, old, old_length, new_dir, new, new_length];
        self.call("path_link", &parameters)
    }

    pub fn rename(&mut self, dir: u32, old: &str, new_dir: u32, new: &str) -> Result<(), i32> {
        let (old, old_length) = self.put_path(at::PATH, old);
        let (new, new_length) = self.put_path(at::PATH_2, new);
        let parameters = args![dir, old, old_length, new_dir, new, new_length];
        self.call("path_rename", &parameters)
    }

    pub fn stat(&mut self, dir: u32, lookup: u32, path: &str) -> Result<Filestat, i32> {
        let (path, length) = self.put_path(at::PATH, path);
        let parameters = args![dir, lookup, path, length, at::RECORDS];
        self.call("path_filestat_get", &parameters)?;
        Ok(self.take_filestat())
    }

    pub fn fd_stat(&mut self, fd: u32) -> Result<Filestat, i32> {
        self.call("fd_filestat_get", &args![fd, at::RECORDS])?;
        Ok(self.take_filestat())
    }

    fn take_filestat(&mut self) -> Filestat {
        Filestat {
            inode: self.take_u64(at::RECORDS + 8),
            file_type: self.take(at::RECORDS + 16, 1)[0],
            links: self.take_u64(at::RECORDS + 24),
            size: self.take_u64(at::RECORDS + 32),
            accessed: self.take_u64(at::RECORDS + 40),
            modified: self.take_u64(at::RECORDS + 48),
        }
    }

    pub fn seek(&mut self, fd: u32, offset: i64, whence: i32) -> Result<u64, i32> {
        self.call("fd_seek", &args![fd, offset, whence, at::RESULT])?;
        Ok(self.take_u64(at::RESULT))
    }

    pub fn close(&mut self, fd: u32) -> Result<(), i32> {
        self.call("fd_close", &args![fd])
    }

    /// The names in a directory and the cookie behind each, from `cookie` on, as
    /// far as they are complete in `room` bytes; and how many bytes were used.
    pub fn readdir(
        &mut self,
        fd: u32,
        cookie: u64,
        room: u32,
    ) -> Result<(Vec<(String, u64)>, u32), i32> {
        let parameters = args![fd, at::DATA, room, cookie, at::RESULT];
        self.call("fd_readdir", &parameters)?;
        let used = self.take_u32(at::RESULT);
        let mut bytes = self.take(at::DATA, used);
        let mut names = Vec::new();
        while bytes.len() >= 24 {
            let next = u64::from_le_bytes(bytes[0..8].try_into().expect("eight bytes"));
            let length = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes"));
            let end = 24 + length as usize;
            if bytes.len() < end {
                break;
            }
            names.push((String::from_utf8_lossy(&bytes[24..end]).into_owned(), next));
            bytes.drain(..end);
        }
        Ok((names, used))
    }

    /// Puts a vector with one buffer into memory and returns its address.
    pub fn put_iovec(&mut self, address: u32, length: u32) -> u32 {
        self.put(at::IOVS, &address.to_le_bytes());
        self.put(at::IOVS + 4, &length.to_le_bytes());
        at::IOVS
    }

    pub fn write(&mut self, fd: u32, data: &[u8]) -> Result<u32, i32> {
        self.put(at::DATA, data);
        let iovs = self.put_iovec(at::DATA, data.len() as u32);
        self.call("fd_write", &args![fd, iovs, 1, at::RESULT])?;
        Ok(self.take_u32(at::RESULT))
    }

    pub fn read(&mut self, fd: u32, length: u32) -> Result<Vec<u8>, i32> {
        let iovs = self.put_iovec(at::DATA, length);
        self.call("fd_read", &args![fd, iovs, 1, at::RESULT])?;
        let count = self.take_u32(at::RESULT);
        Ok(self.take(at::DATA, count))
    }
}
