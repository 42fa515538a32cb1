//! The node of a build without the feature `distribution`: there is none, and a runtime is always
//! alone.

use std::sync::Arc;

use lunatic_distributed::Node;
use lunatic_engine::Module;
use lunatic_process::Environment;

use crate::name_scope::NameScope;
use crate::runtime::Runtime;
use crate::state::State;

/// The node that a runtime would be. There is no value of it, as there is none of [`Node`].
#[derive(Debug)]
pub(crate) struct ClusterNode {
    pub(crate) node: Node,
    pub(crate) names: NameScope,
}

/// What other nodes may do: there are none.
pub(crate) type RemoteRights = ();

impl ClusterNode {
    pub(crate) fn new(node: Node, _: RemoteRights, environment: &Environment) -> ClusterNode {
        ClusterNode {
            node,
            names: NameScope::new(environment),
        }
    }

    pub(crate) fn attach(self: &Arc<Self>, _: &Runtime) {}

    pub(crate) fn module_number(&self, _: &Module<State>) -> u64 {
        0
    }

    pub(crate) fn module_of_number(&self, _: u64) -> Option<Module<State>> {
        None
    }
}
