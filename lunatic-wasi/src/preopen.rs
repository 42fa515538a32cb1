//! A directory that a process finds open when it starts.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use lunatic_fs::{Access, Dir};

/// A directory that a process finds open when it starts.
///
/// It is opened at its first use. All clones share the open directory, and with
/// them all the processes that share a configuration.
#[derive(Debug, Clone)]
pub struct Preopen {
    host: PathBuf,
    guest: String,
    access: Access,
    /// The directory that it must lie in and the path from there, if another
    /// process granted it.
    outer: Option<(Dir, PathBuf)>,
    dir: Arc<OnceLock<Dir>>,
}

impl Preopen {
    pub(crate) fn new(host: PathBuf, guest: String, access: Access) -> Preopen {
        Preopen {
            host,
            guest,
            access,
            outer: None,
            dir: Arc::default(),
        }
    }

    /// The path of the directory on the host.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// The name that the guest sees.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// What may be done below the directory.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The directory `host`, if it is this one or below it, under a new name.
    ///
    /// It is opened from this one, so that no link can lead outside.
    pub(crate) fn narrowed(&self, host: &Path, guest: &str) -> Option<Preopen> {
        let own = path::absolute(&self.host).ok()?;
        let wanted = path::absolute(host).ok()?;
        let rest = wanted.strip_prefix(own).ok()?;
        let outer = self.open().ok()?;
        Some(Preopen {
            outer: Some((outer, Path::new(".").join(rest))),
            ..Preopen::new(host.into(), guest.to_owned(), self.access)
        })
    }

    /// Whether it has been opened.
    pub(crate) fn is_open(&self) -> bool {
        self.dir.get().is_some()
    }

    /// The open directory; opens it if that has not been done yet.
    pub(crate) fn open(&self) -> Result<Dir, OpenError> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir.clone());
        }
        let opened = match &self.outer {
            None => Dir::open_host(&self.host, self.access),
            Some((outer, path)) => outer.open_dir_now(path),
        };
        let dir = opened.map_err(|source| OpenError {
            host: self.host.clone(),
            source,
        })?;
        Ok(self.dir.get_or_init(|| dir).clone())
    }
}

/// A directory of the configuration cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    host: PathBuf,
    source: io::Error,
}

impl OpenError {
    /// The directory.
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
