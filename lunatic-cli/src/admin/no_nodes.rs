//! What is told of the nodes of a cluster, in a build without the feature `distribution`: there are
//! none.

use lunatic_admin::{Measurements, NodeEntry};
use lunatic_distributed::Node;

pub(super) async fn list(_: &Node, _: u64) -> Vec<NodeEntry> {
    Vec::new()
}

pub(super) async fn measure(_: &Node, _: &mut Measurements) {}
