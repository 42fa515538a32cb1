//! The admin socket: a program that runs listens there, and commands ask it.

mod ask;
mod inspect;
mod listen;
mod logs;
mod nodes;
mod ps;
mod reload;
mod shown;
mod signal;
mod stats;
mod table;
mod top;
mod trace;

pub(crate) use inspect::{Inspect, inspect};
pub(crate) use listen::{Naming, listen};
pub(crate) use logs::{Logs, logs};
pub(crate) use nodes::{NodesArguments, nodes};
pub(crate) use ps::{Ps, ps};
pub(crate) use reload::{ReloadArguments, VersionsArguments, reload, versions};
pub(crate) use signal::{Exit, Kill, Restart, exit, kill, restart};
pub(crate) use stats::{Stats, stats};
pub(crate) use top::{TopArguments, top};
pub(crate) use trace::{Trace, trace};
