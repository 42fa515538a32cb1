//! A configuration whose directories are open.

use std::path::PathBuf;
use std::sync::Arc;

use lunatic_account::Account;
use lunatic_fs::Dir;

use crate::config::WasiConfig;
use crate::preopen::{OpenError, Preopen};

/// A configuration whose directories are open. A [`WasiCtx`](crate::WasiCtx) is made
/// of it. A clone is the same configuration.
#[derive(Debug, Clone, Default)]
pub struct OpenedConfig(Arc<WasiConfig>);

impl WasiConfig {
    /// Opens the directories that have not been opened yet. If there are none, it does
    /// not wait.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for the first directory that cannot be opened.
    pub async fn open(self: Arc<Self>) -> Result<OpenedConfig, OpenError> {
        self.open_charged(None).await
    }

    /// [`open`](WasiConfig::open), with the directories charged until they are closed.
    ///
    /// - `account`: to whom; `None` for nobody.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for the first directory that cannot be opened, or is one more than the
    /// account may have descriptors.
    pub async fn open_charged(
        self: Arc<Self>,
        account: Option<Account>,
    ) -> Result<OpenedConfig, OpenError> {
        for preopen in self.preopens() {
            if preopen.dir().is_none() {
                // In a box of its own, since it is rarely needed and the future
                // of each spawn would have to have room for it.
                Box::pin(preopen.open(account.as_ref())).await?;
            }
        }
        Ok(OpenedConfig(self))
    }
}

impl OpenedConfig {
    /// Returns the configuration.
    pub fn config(&self) -> &Arc<WasiConfig> {
        &self.0
    }

    /// Returns the directory that a path of the guest's lies in, and the path below it, as the
    /// C library of WASI finds them: that with the longest name, of several the last; `/` and
    /// `./` in front do not matter. `None` if it lies in none.
    pub fn find(&self, path: &str) -> Option<(Dir, PathBuf)> {
        let path = without_root(path);
        let below = |name: &str| {
            let name = without_root(name).trim_end_matches('/');
            let rest = path.strip_prefix(name)?;
            match name.is_empty() || rest.is_empty() || rest.starts_with('/') {
                true => Some((name.len(), rest.trim_start_matches('/'))),
                false => None,
            }
        };
        let found = self.dirs().filter_map(|(preopen, dir)| {
            let (length, rest) = below(preopen.guest())?;
            Some((length, dir, rest))
        });
        let (_, dir, rest) = found.max_by_key(|(length, ..)| *length)?;
        let rest = match rest.is_empty() {
            true => ".",
            false => rest,
        };
        Some((dir.clone(), PathBuf::from(rest)))
    }

    /// Returns the directories in their order.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = (&Preopen, &Dir)> {
        self.0.preopens().iter().map(|preopen| {
            let dir = preopen.dir();
            (preopen, dir.expect("they were opened when this was made"))
        })
    }
}

/// Returns a path without `/` and `./` in front of it; that of the root is empty.
fn without_root(path: &str) -> &str {
    let mut path = path;
    loop {
        path = match path.strip_prefix('/').or_else(|| path.strip_prefix("./")) {
            Some(rest) => rest,
            None if path == "." => "",
            None => return path,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::{AccountLimits, Kind};
    use lunatic_fs::Access;

    use super::*;

    #[test]
    fn directories_are_charged_until_nobody_has_them() {
        let limits = AccountLimits {
            descriptors: 2,
            ..AccountLimits::UNLIMITED
        };
        let account = Account::root(limits);
        let mut config = WasiConfig::default();
        for name in ["a", "b"] {
            let here = std::env::temp_dir();
            config.add_dir(here, name, Access::ReadOnly).unwrap();
        }
        let open = |config: WasiConfig| {
            let opening = Arc::new(config).open_charged(Some(account.clone()));
            futures_lite::future::block_on(opening)
        };
        let opened = open(config.clone()).unwrap();
        // They are open already.
        let again = open(config.clone()).unwrap();
        assert_eq!(account.used(Kind::Descriptors), 2);
        config
            .add_dir(std::env::temp_dir(), "c", Access::ReadOnly)
            .unwrap();
        assert!(open(config.clone()).is_err());
        drop((config, opened));
        assert_eq!(account.used(Kind::Descriptors), 2);
        drop(again);
        assert_eq!(account.used(Kind::Descriptors), 0);
    }

    #[test]
    fn a_path_lies_in_the_directory_with_the_longest_name() {
        let here = std::env::temp_dir();
        let mut config = WasiConfig::default();
        config.add_dir(&here, "/data", Access::ReadWrite).unwrap();
        config
            .add_dir(&here, "/data/old/", Access::ReadOnly)
            .unwrap();
        let opened = futures_lite::future::block_on(Arc::new(config.clone()).open()).unwrap();
        let find = |path: &str| {
            let (dir, path) = opened.find(path)?;
            Some((dir.access(), path.to_str().unwrap().to_owned()))
        };
        let found = |access, path: &str| Some((access, path.to_owned()));
        assert_eq!(find("/data/a.db"), found(Access::ReadWrite, "a.db"));
        assert_eq!(find("data//b/../a"), found(Access::ReadWrite, "b/../a"));
        assert_eq!(find("/data/old/a"), found(Access::ReadOnly, "a"));
        assert_eq!(find("/data"), found(Access::ReadWrite, "."));
        assert_eq!(find("/database"), None);
        assert_eq!(find("/data/../etc"), found(Access::ReadWrite, "../etc"));
        assert_eq!(find("a.db"), None);

        config.add_dir(&here, ".", Access::ReadOnly).unwrap();
        let opened = futures_lite::future::block_on(Arc::new(config).open()).unwrap();
        let (dir, path) = opened.find("./a.db").unwrap();
        assert_eq!(
            (dir.access(), path.to_str()),
            (Access::ReadOnly, Some("a.db"))
        );
        assert_eq!(
            opened.find("/data/a").unwrap().0.access(),
            Access::ReadWrite
        );
    }
}
