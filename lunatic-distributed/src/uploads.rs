//! Modules on their way to other nodes: each is sent once, for all who wait for it there.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use event_listener::Event;
use lunatic_engine::ModuleHash;
use lunatic_mailbox::NodeId;
use parking_lot::Mutex;

use crate::session::{RequestError, Responder};

/// The answer of the other node.
type Answered = Result<Vec<u8>, RequestError>;

/// The modules that are on their way to other nodes.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    under_way: Mutex<HashMap<(NodeId, ModuleHash), Arc<Upload>>>,
}

/// A module on its way to a node.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    answered: OnceLock<Answered>,
    has_come: Event,
}

impl Uploads {
    /// Sends a module to a node, unless it is on its way there already. Returns whether it was
    /// sent by this call, and what the answer comes to, even if who has sent it is gone, or
    /// suspended, meanwhile.
    ///
    /// - `send`: sends it; what it is given is to be called with the answer.
    pub(crate) fn join(
        self: &Arc<Self>,
        node: NodeId,
        module: ModuleHash,
        send: impl FnOnce(Responder),
    ) -> (bool, Arc<Upload>) {
        let key = (node, module);
        let mut is_first = false;
        let mut under_way = self.under_way.lock();
        let upload = under_way.entry(key).or_insert_with(|| {
            is_first = true;
            Arc::default()
        });
        let upload = upload.clone();
        // The answer may come at once.
        drop(under_way);
        if is_first {
            let (uploads, begun) = (self.clone(), upload.clone());
            send(Box::new(move |answer| {
                uploads.under_way.lock().remove(&key);
                begun.answered.set(answer.map(<[u8]>::to_vec)).ok();
                begun.has_come.notify(usize::MAX);
            }));
        }
        (is_first, upload)
    }
}

impl Upload {
    /// Waits for the answer of the other node.
    pub(crate) async fn answered(&self) -> Answered {
        loop {
            let listener = self.has_come.listen();
            if let Some(answered) = self.answered.get() {
                return answered.clone();
            }
            listener.await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use futures_lite::future::block_on;

    use super::*;

    const NODE: NodeId = NodeId::from_bits(7);

    #[test]
    fn a_module_is_sent_once_to_a_node_and_again_after_that() {
        let uploads = Arc::new(Uploads::default());
        let module = ModuleHash::from_bytes([1; 32]);
        let mut responder = None;
        let (is_first, _) = uploads.join(NODE, module, |given| responder = Some(given));
        assert!(is_first);
        let (is_first, second) = uploads.join(NODE, module, |_| panic!("it is on its way"));
        assert!(!is_first);
        responder.unwrap()(Ok(&[3]));
        assert_eq!(block_on(second.answered()), Ok(vec![3]));
        let (is_first, again) = uploads.join(NODE, module, |respond| {
            respond(Err(RequestError::NoConnection));
        });
        assert!(is_first);
        assert_eq!(block_on(again.answered()), Err(RequestError::NoConnection));
        assert!(uploads.under_way.lock().is_empty());
    }

    #[test]
    fn other_modules_and_other_nodes_do_not_wait() {
        let uploads = Arc::new(Uploads::default());
        let modules = [1, 2].map(|byte| ModuleHash::from_bytes([byte; 32]));
        let other = NodeId::from_bits(8);
        for (node, module) in [(NODE, modules[0]), (NODE, modules[1]), (other, modules[0])] {
            assert!(uploads.join(node, module, |_| ()).0);
        }
    }
}
