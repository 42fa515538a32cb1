//! Running what may block.

use async_lock::Semaphore;

/// Operations that run at once: enough to keep a disk busy, few enough to leave
/// the cores to the threads that run processes.
const AT_ONCE: usize = 8;

static TURNS: Semaphore = Semaphore::new(AT_ONCE);

/// Runs `operation` on the blocking pool when it is its turn.
///
/// If the future is dropped before, it never runs; after that, it runs to its end.
pub(crate) async fn run<R: Send + 'static>(operation: impl FnOnce() -> R + Send + 'static) -> R {
    let turn = TURNS.acquire().await;
    blocking::unblock(move || {
        let result = operation();
        drop(turn);
        result
    })
    .await
}
