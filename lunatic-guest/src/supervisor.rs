//! OTP's supervisors (ABI §23).
//!
//! ```no_run
//! use lunatic_guest::process;
//! use lunatic_guest::supervisor::{Child, Options, Restart, Spec};
//!
//! fn worker(number: u64) {
//!     // Ends when the supervisor says so, fails on its own.
//!     println!("worker {number}");
//!     process::receive(&[]);
//! }
//!
//! let spec = Spec::new("pool", Options::default());
//! spec.add(&Child::new("first", worker, 1)).unwrap();
//! spec.add(&Child::new("second", worker, 2).restart(Restart::Transient)).unwrap();
//! let pool = spec.start(0).unwrap();
//! for child in pool.which_children().unwrap() {
//!     println!("{} is {:?}", child.name, child.process);
//! }
//! pool.stop();
//! ```

use std::time::Duration;

use crate::error::{check, Result};
use crate::param::{self, Param};
use crate::process::{self, ExitReason, ProcessId};
use crate::sys;

/// Which children are restarted when one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// That one.
    #[default]
    OneForOne,
    /// All.
    OneForAll,
    /// That one, and those that were started after it.
    RestForOne,
    /// That one; all are made from one template.
    SimpleOneForOne,
}

/// Whether a supervisor ends when its significant children have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When one of them has ended on its own and is not restarted.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// Whether a child that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless it ended normally or was shut down.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is told to end, and killed if it has not after this time.
    Timeout(Duration),
    /// It is told to end, and has all the time it wants.
    Infinity,
}

/// What is said of a supervisor as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which children are restarted.
    pub strategy: Strategy,
    /// How many restarts there may be before it gives up.
    pub restarts: u32,
    /// In how much time.
    pub period: Duration,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
}

/// A supervisor that can be started, any number of times.
#[derive(Debug)]
pub struct Spec {
    id: u64,
}

/// What a supervisor starts.
#[derive(Debug, Clone)]
pub struct Child {
    name: String,
    module: i64,
    config: i64,
    export: String,
    params: Vec<Param>,
    restart: Restart,
    shutdown: Shutdown,
    significant: bool,
}

/// A supervisor that was started. Dropping this does nothing; it ends with the
/// process that has started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Supervisor(pub ProcessId);

/// One child of a running supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// A number that no other child of the supervisor has ever.
    pub key: u64,
    /// Its name, or that of its template.
    pub name: String,
    /// Its process, if it has one.
    pub process: Option<ProcessId>,
    /// How often it was started again.
    pub restarts: u64,
    /// Where it stands.
    pub status: Status,
    /// Whether it supervises others.
    pub is_supervisor: bool,
    /// Whether it is started again.
    pub restart: Restart,
}

/// Where a child stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has ended, and only its specification is there.
    Stopped,
    /// It runs.
    Running,
    /// It has ended and will be started again.
    Restarting,
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Specifications; a template is one.
    pub specs: u64,
    /// Children that have a process.
    pub active: u64,
    /// Children that supervise others.
    pub supervisors: u64,
    /// The others.
    pub workers: u64,
}

/// The caller's own module or config.
const OWN: i64 = -1;

/// The current version of the caller's own module.
const CURRENT: i64 = -2;

impl Default for Options {
    /// OTP's: one for one, 1 restart in 5 seconds.
    fn default() -> Options {
        Options {
            strategy: Strategy::OneForOne,
            restarts: 1,
            period: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::Never,
        }
    }
}

impl Spec {
    /// A supervisor without children.
    ///
    /// - `name`: for logs, and as a child of another; at most 1024 bytes.
    pub fn new(name: &str, options: Options) -> Spec {
        let Options {
            strategy,
            restarts,
            period,
            auto_shutdown,
        } = options;
        Spec {
            id: sys::create_spec(
                name,
                strategy as u32,
                restarts,
                millis(period),
                auto_shutdown as u32,
            ),
        }
    }

    /// Delays each restart of a child: at first by `first`, then twice as long
    /// each time, up to `longest`.
    ///
    /// - `jitter`: how much of it is left to chance, in percent.
    pub fn set_backoff(&self, first: Duration, longest: Duration, jitter: u8) {
        sys::set_backoff(self.id, millis(first), millis(longest), jitter.into());
    }

    /// Adds a child; they are started in the order in which they are added.
    ///
    /// # Errors
    ///
    /// If there can be no such child.
    pub fn add(&self, child: &Child) -> Result<()> {
        child.with_record(|record| check(sys::add_child(self.id, record)).map(drop))
    }

    /// Adds a permanent supervisor, as it is specified now, with all the time it
    /// wants to end.
    ///
    /// # Errors
    ///
    /// If there can be no such child.
    pub fn add_supervisor(&self, nested: &Spec) -> Result<()> {
        self.add_supervisor_with(nested, Restart::Permanent, Shutdown::Infinity, false)
    }

    /// Adds a supervisor, as it is specified now.
    ///
    /// # Errors
    ///
    /// If there can be no such child.
    pub fn add_supervisor_with(
        &self,
        nested: &Spec,
        restart: Restart,
        shutdown: Shutdown,
        significant: bool,
    ) -> Result<()> {
        let added = sys::add_supervisor(
            self.id,
            nested.id,
            restart as u32,
            shutdown.code(),
            significant,
        );
        check(added).map(drop)
    }

    /// Starts it, linked to this process, and waits until all its children are
    /// started.
    ///
    /// - `tag`: what this process is told when it dies; 0 for none.
    ///
    /// # Errors
    ///
    /// If it makes no sense, or a child does not start.
    pub fn start(&self, tag: i64) -> Result<Supervisor> {
        check(sys::start(self.id, tag)).map(|id| Supervisor(ProcessId(id)))
    }
}

impl Drop for Spec {
    fn drop(&mut self) {
        sys::drop_spec(self.id);
    }
}

impl Child {
    /// A permanent child that runs a function of this module, and has 5 seconds
    /// to end when it is told to.
    pub fn new(name: &str, function: fn(u64), argument: u64) -> Child {
        let argument = Param::I64(argument as i64);
        Child::export(name, sys::ENTRY, &[sys::function(function), argument])
    }

    /// A template for children that run a function of this module; each gets its
    /// argument by [`Supervisor::start_from_template`].
    pub fn template(name: &str, function: fn(u64)) -> Child {
        Child::export(name, sys::ENTRY, &[sys::function(function)])
    }

    /// A permanent child that runs an exported function, which returns nothing.
    pub fn export(name: &str, export: &str, params: &[Param]) -> Child {
        const WORKER: Duration = Duration::from_secs(5);
        Child {
            name: name.to_owned(),
            module: OWN,
            config: OWN,
            export: export.to_owned(),
            params: params.to_vec(),
            restart: Restart::Permanent,
            shutdown: Shutdown::Timeout(WORKER),
            significant: false,
        }
    }

    /// Lets it run the version of this module that is current whenever it is started, and
    /// not the one that the calling process runs.
    ///
    /// It has to run an export: the functions of [`new`](Child::new) and
    /// [`template`](Child::template) are known by their place in a table, and another
    /// function can be there in another version.
    ///
    /// # Panics
    ///
    /// If it runs a function that is no export.
    pub fn current_version(mut self) -> Child {
        assert_ne!(
            self.export,
            sys::ENTRY,
            "a child of the current version has to run an export"
        );
        self.module = CURRENT;
        self
    }

    /// Whether it is started again.
    pub fn restart(mut self, restart: Restart) -> Child {
        self.restart = restart;
        self
    }

    /// How it is stopped.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Child {
        self.shutdown = shutdown;
        self
    }

    /// Its end may be the end of the supervisor; see [`AutoShutdown`].
    pub fn significant(mut self) -> Child {
        self.significant = true;
        self
    }

    /// It is an instance of another module, by its id.
    pub fn module(mut self, module: u64) -> Child {
        self.module = module as i64;
        self
    }

    /// It has other rights and limits, by the id of a config.
    pub fn config(mut self, config: u64) -> Child {
        self.config = config as i64;
        self
    }

    fn with_record<R>(&self, call: impl FnOnce(&sys::ChildRecord<'_>) -> R) -> R {
        let params = param::encode(&self.params);
        call(&sys::ChildRecord {
            name: &self.name,
            module: self.module,
            config: self.config,
            export: &self.export,
            params: &params,
            shutdown: self.shutdown.code(),
            restart: self.restart as u32,
            significant: self.significant,
        })
    }
}

impl Supervisor {
    /// Adds a child and starts it.
    ///
    /// # Errors
    ///
    /// If there can be no such child, or it does not start.
    pub fn start_child(self, child: &Child) -> Result<ProcessId> {
        child.with_record(|record| check(sys::start_child(self.0 .0, record)).map(ProcessId))
    }

    /// Starts another child from the template.
    ///
    /// - `params`: arguments after those of the template.
    ///
    /// # Errors
    ///
    /// If there is no template, or the child does not start.
    pub fn start_from_template(self, params: &[Param]) -> Result<ProcessId> {
        let started = sys::start_from_template(self.0 .0, &param::encode(params));
        check(started).map(ProcessId)
    }

    /// Starts a child that is stopped.
    ///
    /// # Errors
    ///
    /// If there is none, it is not stopped, or does not start.
    pub fn restart_child(self, name: &str) -> Result<ProcessId> {
        check(sys::restart_child(self.0 .0, name)).map(ProcessId)
    }

    /// Stops a child, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn terminate_child(self, name: &str) -> Result<()> {
        check(sys::terminate_child(self.0 .0, name)).map(drop)
    }

    /// Stops the child that is this process, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn terminate_process(self, process: ProcessId) -> Result<()> {
        check(sys::terminate_process(self.0 .0, process.0)).map(drop)
    }

    /// Removes a child that is stopped.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not stopped.
    pub fn delete_child(self, name: &str) -> Result<()> {
        check(sys::delete_child(self.0 .0, name)).map(drop)
    }

    /// Asks it to stop its children, the last first, and to end normally.
    pub fn stop(self) {
        sys::stop(self.0 .0);
    }

    /// Waits until it has ended.
    pub fn wait(self) -> ExitReason {
        process::wait(self.0, None).unwrap_or(ExitReason::NoProcess)
    }

    /// Lists its children in the order in which they were added.
    ///
    /// # Errors
    ///
    /// If there is no such supervisor.
    pub fn which_children(self) -> Result<Vec<ChildInfo>> {
        let list = check(sys::which_children(self.0 .0))?;
        let records = sys::list(list);
        sys::list_drop(list);
        Ok(decode(&records))
    }

    /// Counts its children.
    ///
    /// # Errors
    ///
    /// If there is no such supervisor.
    pub fn count_children(self) -> Result<Counts> {
        let mut counts = [0; 4];
        check(sys::count_children(self.0 .0, &mut counts))?;
        let [specs, active, supervisors, workers] = counts;
        Ok(Counts {
            specs,
            active,
            supervisors,
            workers,
        })
    }
}

impl Shutdown {
    fn code(self) -> i64 {
        match self {
            Shutdown::Infinity => -1,
            Shutdown::BrutalKill => -2,
            Shutdown::Timeout(timeout) => millis(timeout),
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn decode(mut records: &[u8]) -> Vec<ChildInfo> {
    const FIXED: usize = 32;
    let mut children = Vec::new();
    while let Some((record, rest)) = records.split_at_checked(FIXED) {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| record[at + i]));
        let length = u32::from_le_bytes(std::array::from_fn(|i| record[28 + i])) as usize;
        let Some((name, rest)) = rest.split_at_checked(length) else {
            break;
        };
        records = rest;
        children.push(ChildInfo {
            key: number(0),
            process: Some(number(8)).filter(|id| *id != 0).map(ProcessId),
            restarts: number(16),
            status: match record[24] {
                0 => Status::Stopped,
                1 => Status::Running,
                _ => Status::Restarting,
            },
            is_supervisor: record[25] == 1,
            restart: match record[26] {
                0 => Restart::Permanent,
                1 => Restart::Transient,
                _ => Restart::Temporary,
            },
            name: String::from_utf8_lossy(name).into_owned(),
        });
    }
    children
}
