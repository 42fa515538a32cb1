//! The same in Erlang: `sys:suspend`, `sys:change_code` and `sys:resume` of gen_servers.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::measurement;
use super::super::plan::Guest;
use super::super::subject::Subject;
use crate::number::Value;
use crate::program;

/// How long it may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The measurements, in seconds.
pub(super) struct Beam {
    /// Its release.
    pub(super) name: String,
    values: BTreeMap<String, Vec<Value>>,
}

impl Beam {
    /// Measures; `None` where Erlang is not installed.
    pub(super) fn measure(processes: usize, runs: usize) -> Result<Option<Beam>> {
        let Some(erlang) = Subject::erlang()? else {
            return Ok(None);
        };
        let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for _ in 0..runs {
            let mut command = erlang.command(Guest::Wat, "reload", processes as u64)?;
            let output = program::capture_within(&mut command, TIME_LIMIT);
            let output = output.context("the comparison in Erlang")?;
            for measured in measurement::all(&output)? {
                let each = measured.each();
                values.entry(measured.name).or_default().push(each);
            }
        }
        Ok(Some(Beam {
            name: erlang.name,
            values,
        }))
    }

    /// All values of this name, one for each run.
    pub(super) fn values(&self, name: &str) -> &[Value] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}
