//! The admin socket: a program that runs listens there, and commands ask it.

mod ask;
mod inspect;
mod listen;
mod nodes;
mod ps;
mod reload;
mod shown;
mod signal;
mod stats;
mod table;

pub(crate) use inspect::{Inspect, inspect};
pub(crate) use listen::{Naming, listen};
pub(crate) use nodes::{NodesArguments, nodes};
pub(crate) use ps::{Ps, ps};
pub(crate) use reload::{ReloadArguments, VersionsArguments, reload, versions};
pub(crate) use signal::{Exit, Kill, exit, kill};
pub(crate) use stats::{Stats, stats};
