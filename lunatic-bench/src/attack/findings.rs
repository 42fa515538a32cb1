//! The observations of an attack.

use std::time::Duration;

use lunatic_account::Kind;

use crate::attack::End;

/// The observations of an attack.
#[derive(Debug, Clone)]
pub struct Findings {
    /// How the culprit ended by itself; `None` if it ran until it was killed.
    pub end: Option<End>,
    /// How much longer than they had to the neighbours waited, the shortest first.
    pub delays: Vec<Duration>,
    /// The processes, except those of the culprit, that ended.
    pub casualties: Vec<&'static str>,
    /// Whether the neighbours went on after the culprit's branch was killed.
    pub neighbours_go_on: bool,
    /// Why no process could be started after that; `None` if one could.
    pub start_refused: Option<String>,
    /// How long it took until all processes of the branch were gone.
    pub branch_gone: Option<Duration>,
    /// The charges that were left when all processes had ended.
    pub left: Vec<(Kind, u64)>,
}

impl Findings {
    /// Returns the problems, whatever the attack; empty if only the culprit was affected.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for casualty in &self.casualties {
            problems.push(format!("{casualty} ended"));
        }
        if !self.neighbours_go_on {
            problems.push("the neighbours stand still".to_owned());
        }
        problems.extend(self.problems_of_runtime());
        problems
    }

    /// Returns the problems that must not occur even without any memory left.
    pub fn problems_of_runtime(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(reason) = &self.start_refused {
            problems.push(format!("the runtime starts nothing any more: {reason}"));
        }
        if self.branch_gone.is_none() {
            problems.push("the culprit's branch cannot be killed".to_owned());
        }
        for (kind, amount) in &self.left {
            problems.push(format!("{amount} {kind} are left"));
        }
        problems
    }

    /// The delay that 99 of 100 stay below.
    pub fn p99(&self) -> Duration {
        let index = self.delays.len().saturating_sub(1) * 99 / 100;
        self.delays.get(index).copied().unwrap_or_default()
    }

    /// The longest delay.
    pub fn worst(&self) -> Duration {
        self.delays.last().copied().unwrap_or_default()
    }
}
