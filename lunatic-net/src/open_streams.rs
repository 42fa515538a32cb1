//! How many accepted connections a root has open.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use lunatic_reactor::Timer;

/// Counts the open streams of a root.
///
/// Each stream has a reference to it until it is closed, so that the count of references
/// is that of streams: a stream costs an increment and a decrement, and nothing is done
/// when it is closed.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams(Arc<()>);

/// Counts as an open stream.
#[derive(Debug)]
pub(crate) struct OpenStream(#[allow(dead_code, reason = "the references are counted")] Arc<()>);

/// How often [`OpenStreams::drained`] looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

impl OpenStreams {
    /// Counts one more. Whoever sees none after this has to see what the caller looks at
    /// next as it is then, and the other way around.
    pub(crate) fn open(&self) -> OpenStream {
        let open = OpenStream(self.0.clone());
        fence(Ordering::SeqCst);
        open
    }

    pub(crate) fn count(&self) -> usize {
        fence(Ordering::SeqCst);
        Arc::strong_count(&self.0) - 1
    }

    /// Waits until there are none.
    pub(crate) async fn drained(&self) {
        while self.count() > 0 {
            Timer::after(LOOK_INTERVAL).await;
        }
    }
}
