//! What a reload has done.

use std::fmt;
use std::time::Duration;

use lunatic_mailbox::Pid;
use serde::{Deserialize, Serialize};

/// How a reload is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadOptions {
    /// How long it waits for processes to reach a safe point.
    pub timeout: Duration,
    /// If a process that was moved fails within this time, all go back.
    pub trial: Duration,
    /// Nothing goes back if an attempt fails.
    pub keep_going: bool,
    /// Only what would happen is told.
    pub dry_run: bool,
}

impl Default for ReloadOptions {
    /// 30 s of waiting, no trial; all or nothing.
    fn default() -> ReloadOptions {
        ReloadOptions {
            timeout: Duration::from_secs(30),
            trial: Duration::ZERO,
            keep_going: false,
            dry_run: false,
        }
    }
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The name of the module.
    pub name: String,
    /// The hash of the version that was current.
    pub from: String,
    /// The hash of the version that was to become current.
    pub to: String,
    /// The result of all.
    pub result: ReloadResult,
    /// What became of each process, in the order of their ids.
    pub processes: Vec<ProcessReport>,
}

/// The result of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new version is current, and all processes that offered themselves run it.
    Moved,
    /// Nothing has changed.
    Unchanged,
    /// Some processes run the one version, some the other.
    Partly,
}

/// What became of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// The process.
    #[serde(with = "pid_as_text")]
    pub pid: Pid,
    /// Its kind.
    pub kind: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a process in a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It was not asked: all went back before, or the reload only tells what would happen.
    NotAsked,
    /// Its turn had not come when the time was up. It moves at its next safe point.
    NotAskedInTime,
    /// It was asked, and had not moved when all went back.
    CalledOff,
    /// It runs the new version.
    Moved {
        /// How long it ran neither the one nor the other, in microseconds.
        pause_us: u64,
    },
    /// It ran the new version, and runs the old one again.
    WentBack,
    /// It has not reached a safe point in time. It moves when it reaches one.
    Late,
    /// It has ended.
    Ended,
    /// The attempt has failed, and it runs what it ran.
    Failed {
        /// Why.
        why: String,
    },
    /// It has declined.
    Declined {
        /// Why.
        why: String,
    },
    /// It has offered nothing, and another root process has taken its place.
    Replaced,
    /// It has offered nothing, and its supervisor has stopped it and started it again.
    Restarted,
    /// It has offered nothing, and was killed.
    Killed,
    /// It has offered nothing, was to be seen to, and goes on with the old version.
    Kept {
        /// Why.
        why: String,
    },
    /// What would become of it: nothing was done.
    Planned {
        /// In words.
        what: String,
    },
    /// It was to go back to the old version, and runs the new one.
    Stuck {
        /// Why.
        why: String,
    },
}

impl Report {
    /// How many processes run the new version now.
    pub fn moved(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Moved { .. } | Outcome::Stuck { .. }))
    }

    /// Whether all that has moved was to go back.
    pub fn is_back(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::WentBack | Outcome::Stuck { .. })) > 0
            || self.result == ReloadResult::Unchanged
    }

    /// The longest pause of a process.
    pub fn longest_pause(&self) -> Duration {
        let pauses = self.processes.iter().map(|process| match process.outcome {
            Outcome::Moved { pause_us } => pause_us,
            _ => 0,
        });
        Duration::from_micros(pauses.max().unwrap_or(0))
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        let processes = self.processes.iter();
        processes.filter(|process| is(&process.outcome)).count()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::NotAsked => f.write_str("was not asked"),
            Outcome::NotAskedInTime => {
                f.write_str("was not asked within the time; it moves at its next safe point")
            }
            Outcome::CalledOff => f.write_str("was asked, and had not moved when all went back"),
            Outcome::Moved { pause_us } => write!(f, "moved, paused for {pause_us} µs"),
            Outcome::WentBack => f.write_str("moved, and went back"),
            Outcome::Late => f.write_str("has not reached a safe point; it moves when it does"),
            Outcome::Ended => f.write_str("ended"),
            Outcome::Failed { why } => write!(f, "failed: {why}"),
            Outcome::Declined { why } => write!(f, "declined: {why}"),
            Outcome::Replaced => f.write_str("replaced by a new root process"),
            Outcome::Restarted => f.write_str("started again by its supervisor"),
            Outcome::Killed => f.write_str("killed"),
            Outcome::Kept { why } => write!(f, "goes on with the old version: {why}"),
            Outcome::Planned { what } => f.write_str(what),
            Outcome::Stuck { why } => write!(f, "could not go back: {why}"),
        }
    }
}

/// Process ids as people write them.
mod pid_as_text {
    use lunatic_mailbox::Pid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(pid: &Pid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(pid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Pid, D::Error> {
        String::deserialize(de)?.parse().map_err(D::Error::custom)
    }
}
