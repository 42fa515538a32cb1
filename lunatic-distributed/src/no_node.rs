//! The node of a build without the feature `transport`: there is none, and a runtime is always alone.

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::time::Duration;

use lunatic_account::{Account, Exceeded};
use lunatic_mailbox::{NodeId, Pid, Tag};
use lunatic_process::Process;

use crate::held_names::OnLoss;
use crate::node_info::NodeInfo;
use crate::node_monitors::NotMonitored;
use crate::query::Query;
use crate::register_error::RegisterError;
use crate::session::{RequestError, Responder};
use crate::sessions::Sessions;
use crate::uploads::Uploads;

/// A node of a cluster, which there is only with the feature `transport`.
#[derive(Debug, Clone)]
pub struct Node {
    never: Infallible,
}

impl Node {
    /// This node.
    pub fn info(&self) -> &NodeInfo {
        match self.never {}
    }

    /// The sessions with other nodes.
    pub fn sessions(&self) -> &Arc<Sessions> {
        match self.never {}
    }

    /// Prepares to leave the cluster.
    pub fn drain(&self) {
        match self.never {}
    }

    /// Leaves the cluster.
    pub async fn stop(&self) {
        match self.never {}
    }

    pub(crate) fn find(&self, _: &Query) -> Vec<NodeId> {
        match self.never {}
    }

    pub(crate) async fn is_known(&self, _: NodeId) -> bool {
        match self.never {}
    }

    pub(crate) async fn connected(&self, _: NodeId, _: Duration) -> bool {
        match self.never {}
    }

    pub(crate) fn request(
        &self,
        _: NodeId,
        _: Pid,
        _: Option<&Account>,
        _: &[u8],
    ) -> Ready<Result<Vec<u8>, RequestError>> {
        match self.never {}
    }

    pub(crate) fn request_with(
        &self,
        _: NodeId,
        _: Pid,
        _: Option<&Account>,
        _: &[u8],
        _: Responder,
    ) {
        match self.never {}
    }

    pub(crate) fn uploads(&self) -> &Arc<Uploads> {
        match self.never {}
    }

    pub(crate) fn register_for(
        &self,
        _: &Process,
        _: &str,
        _: OnLoss,
        _: &Account,
    ) -> Result<Ready<Result<(), RegisterError>>, Exceeded> {
        match self.never {}
    }

    pub(crate) fn unregister_global(&self, _: &str, _: Pid) {
        match self.never {}
    }

    pub(crate) fn find_global(&self, _: &str) -> Option<Pid> {
        match self.never {}
    }

    pub(crate) fn monitor_nodes(&self, _: &Process, _: Option<Tag>) -> Result<(), NotMonitored> {
        match self.never {}
    }

    pub(crate) fn stop_monitoring_nodes(&self, _: Pid) {
        match self.never {}
    }
}
