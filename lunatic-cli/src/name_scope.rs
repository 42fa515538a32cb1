//! The names and groups by which processes find each other.

use lunatic_groups::Groups;
use lunatic_process::Environment;
use lunatic_registry::Registry;

/// The names and groups that a root process and its descendants share, or all
/// processes of a supervision tree. It is cheap to clone.
///
/// ```
/// use lunatic_cli::{NameScope, Runtime};
///
/// # futures_lite::future::block_on(async {
/// let runtime = Runtime::builder().start()?;
/// let names = NameScope::new(runtime.environment());
/// assert_eq!(names.registry.get("nobody"), None);
/// # runtime.shut_down().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct NameScope {
    /// Names of processes.
    pub registry: Registry,
    /// Groups of processes.
    pub groups: Groups,
}

impl NameScope {
    /// No names and no groups.
    ///
    /// - `environment`: where the processes live.
    pub fn new(environment: &Environment) -> NameScope {
        NameScope {
            registry: Registry::new(),
            groups: Groups::new(environment),
        }
    }

    /// No names and no groups, for processes of the same environment.
    pub(crate) fn separate(&self) -> NameScope {
        NameScope::new(self.groups.environment())
    }
}
