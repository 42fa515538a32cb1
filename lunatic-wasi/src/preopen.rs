//! A directory that is open when a process starts.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use lunatic_account::{Account, Charge, Kind};
use lunatic_fs::{Access, Dir};

/// A directory that is open when a process starts.
///
/// It is opened before the first process with its configuration is made. All
/// clones share the open directory, and so do all processes that share a
/// configuration.
#[derive(Debug, Clone)]
pub struct Preopen {
    host: PathBuf,
    guest: Arc<str>,
    access: Access,
    /// Whether its name says something on this host only.
    is_of_this_host: bool,
    /// The directory that it must lie in and the path from there, if another
    /// process granted it.
    outer: Option<(Dir, PathBuf)>,
    dir: Arc<OnceLock<Dir>>,
}

impl Preopen {
    pub(crate) fn new(host: PathBuf, guest: String, access: Access) -> Preopen {
        Preopen {
            host,
            guest: guest.into(),
            access,
            is_of_this_host: false,
            outer: None,
            dir: Arc::default(),
        }
    }

    pub(crate) fn of_this_host(path: String, access: Access) -> Preopen {
        Preopen {
            is_of_this_host: true,
            ..Preopen::new(path.clone().into(), path, access)
        }
    }

    /// Returns the path of the directory on the host.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// Returns the name that the guest sees.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// The same, to be kept.
    pub(crate) fn shared_guest(&self) -> Arc<str> {
        self.guest.clone()
    }

    /// Returns what may be done below the directory.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns whether the name that the guest sees says something on this host only.
    pub(crate) fn is_of_this_host(&self) -> bool {
        self.is_of_this_host
    }

    /// Returns the open directory, or `None` if it has not been opened yet.
    pub(crate) fn dir(&self) -> Option<&Dir> {
        self.dir.get()
    }

    /// The bytes that it takes, roughly.
    pub(crate) fn size(&self) -> usize {
        /// What it takes beside its names, the open directory included.
        const OTHER: usize = 512;
        let outer = self.outer.as_ref();
        let path = outer.map_or(0, |(_, path)| path.as_os_str().len());
        OTHER + self.host.as_os_str().len() + self.guest.len() + path
    }

    /// Opens the directory, if that has not been done yet.
    ///
    /// - `account`: to whom it is charged, until nobody has it any more; `None` for nobody.
    pub(crate) async fn open(&self, account: Option<&Account>) -> Result<(), OpenError> {
        if self.dir.get().is_some() {
            return Ok(());
        }
        let cannot = |source| OpenError {
            host: self.host.clone(),
            source,
        };
        let charge = account.map(|account| Charge::new(account, Kind::Descriptors, 1));
        let charge = charge.transpose();
        let charge = charge.map_err(|exceeded| cannot(io::Error::other(exceeded)))?;
        let opened = match &self.outer {
            None => Dir::open_host_charged(&self.host, self.access, charge).await,
            Some((outer, path)) => outer.open_dir_charged(path, charge).await,
        };
        let dir = opened.map_err(cannot)?;
        // If another process was faster, its directory is kept.
        self.dir.get_or_init(|| dir);
        Ok(())
    }

    /// Returns the directory `host` under a new name, if it is this one or below it.
    ///
    /// It will be opened from `dir`, which is this one, so that no link can lead
    /// outside.
    pub(crate) fn narrowed(&self, dir: &Dir, host: &Path, guest: &str) -> Option<Preopen> {
        let own = path::absolute(&self.host).ok()?;
        let wanted = path::absolute(host).ok()?;
        let rest = wanted.strip_prefix(own).ok()?;
        Some(Preopen {
            outer: Some((dir.clone(), Path::new(".").join(rest))),
            ..Preopen::new(host.into(), guest.to_owned(), self.access)
        })
    }
}

/// The error of a directory that cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    host: PathBuf,
    source: io::Error,
}

impl OpenError {
    /// Returns the path of the directory on the host.
    pub fn host(&self) -> &Path {
        &self.host
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open the directory `{}`", self.host.display())
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
