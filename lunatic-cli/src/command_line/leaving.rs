//! How a runtime that is a node ends.

use futures_lite::future;
use lunatic_distributed::Node;

use crate::Runtime;
use crate::command_line::run;
use crate::command_line::signals::Signals;

/// Leaves the cluster, and ends all processes meanwhile: other nodes are notified that the node
/// has left, after everything that was sent to them, and not how each process ends.
pub(crate) async fn leave(node: &Node, runtime: &Runtime, signals: &mut Signals) {
    future::zip(node.stop(), run::shut_down(runtime, signals)).await;
}
