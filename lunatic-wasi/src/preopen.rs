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
    /// The directory that it must lie in, if another process granted it.
    outer: Option<Outer>,
    dir: Arc<OnceLock<Dir>>,
}

/// A place in a directory.
#[derive(Debug, Clone)]
struct Outer {
    preopen: Box<Preopen>,
    path: PathBuf,
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
        let outer = Outer {
            preopen: Box::new(self.clone()),
            path: Path::new(".").join(rest),
        };
        Some(Preopen {
            outer: Some(outer),
            ..Preopen::new(host.into(), guest.to_owned(), self.access)
        })
    }

    /// The open directory; opens it if that has not been done yet.
    pub(crate) fn open(&self) -> Result<Dir, OpenError> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir.clone());
        }
        let dir = match &self.outer {
            None => Dir::open_host(&self.host, self.access).map_err(|error| self.error(error))?,
            Some(Outer { preopen, path }) => preopen
                .open()?
                .open_dir_now(path)
                .map_err(|error| self.error(error))?,
        };
        Ok(self.dir.get_or_init(|| dir).clone())
    }

    fn error(&self, source: io::Error) -> OpenError {
        OpenError {
            host: self.host.clone(),
            source,
        }
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
