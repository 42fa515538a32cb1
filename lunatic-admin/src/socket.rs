//! Makes, finds and removes the sockets in the directory.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::directory::Directory;
use crate::name::RuntimeName;

/// Why a name has no socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// A runtime of this name lives.
    InUse(RuntimeName),
    /// Something that is no socket has the path.
    InTheWay(PathBuf),
    /// The socket cannot be made.
    Io(PathBuf, io::Error),
}

/// Whether a runtime answers at a socket.
#[derive(Debug)]
pub(crate) enum Found {
    /// A runtime listens, or will: it is so busy, or stopped, that its queue is full.
    Living,
    /// The runtime that made the socket has ended.
    Stale,
}

/// A socket, bound; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct BoundPath {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Makes the socket of a runtime. A stale one of the same name is removed.
pub(crate) fn bind(
    directory: &Directory,
    name: &RuntimeName,
) -> Result<(UnixListener, BoundPath), BindError> {
    let path = directory.socket(name);
    let failed = |error| BindError::Io(path.clone(), error);
    // No other runtime removes the socket that is bound here before it listens.
    let _lock = lock(directory).map_err(failed)?;
    match find(&path) {
        Ok(Found::Living) => return Err(BindError::InUse(name.clone())),
        Ok(Found::Stale) => match is_socket(&path) {
            true => fs::remove_file(&path).map_err(failed)?,
            false => return Err(BindError::InTheWay(path)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    // Until here the mode of the directory has kept others out.
    let private = Permissions::from_mode(0o600);
    fs::set_permissions(&path, private).map_err(failed)?;
    let identity = identity(&path).map_err(failed)?;
    Ok((listener, BoundPath { path, identity }))
}

/// Returns the names of the running runtimes, in order. The sockets of runtimes that have ended are
/// removed.
pub(crate) fn living(directory: &Directory) -> io::Result<Vec<RuntimeName>> {
    let lock = try_lock(directory)?;
    let mut names = directory.names()?;
    names.retain(|name| {
        let path = directory.socket(name);
        match find(&path) {
            Ok(Found::Living) => true,
            Ok(Found::Stale) => {
                // Without the lock the socket may be one that is being made.
                if lock.is_some() && is_socket(&path) {
                    fs::remove_file(&path).ok();
                }
                false
            }
            Err(_) => false,
        }
    });
    Ok(names)
}

/// Looks whether somebody answers at a socket, without ever waiting for it.
fn find(path: &Path) -> io::Result<Found> {
    match try_connect(path) {
        Ok(_) => Ok(Found::Living),
        Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(Found::Living),
        Err(Errno::CONNREFUSED) => Ok(Found::Stale),
        Err(error) => Err(error.into()),
    }
}

/// Connects to a socket without ever waiting for it.
pub(crate) fn try_connect(path: &Path) -> rustix::io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The lock for making and removing sockets.
#[derive(Debug)]
struct Lock {
    _file: File,
}

fn lock(directory: &Directory) -> io::Result<Lock> {
    /// No program holds the lock for longer than some milliseconds, unless it is stopped.
    const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        if let Some(lock) = try_lock(directory)? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            let text = "another runtime that starts holds the lock of the directory";
            return Err(io::Error::new(ErrorKind::TimedOut, text));
        }
        thread::sleep(PAUSE);
    }
}

fn try_lock(directory: &Directory) -> io::Result<Option<Lock>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(directory.path().join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl BoundPath {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::InUse(name) => write!(f, "another runtime has the name `{name}`"),
            BindError::InTheWay(path) => {
                write!(f, "`{}` is in the way: it is no socket", path.display())
            }
            BindError::Io(path, error) => {
                write!(f, "cannot make the socket `{}`: {error}", path.display())
            }
        }
    }
}

impl Error for BindError {}
