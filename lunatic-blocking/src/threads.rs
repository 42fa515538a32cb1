//! The threads of all queues, started when they are needed and kept for a moment.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// What a thread runs: the loop of a queue, which ends when the queue has nothing to do.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// The system gives no thread.
#[derive(Debug)]
pub(crate) struct NoThread;

/// How long a thread waits for something to do before it ends.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

static THREADS: LazyLock<Threads> = LazyLock::new(Threads::default);

#[derive(Default)]
struct Threads {
    state: Mutex<State>,
    has_work: Condvar,
}

#[derive(Default)]
struct State {
    /// How many threads wait for something to do.
    idle: usize,
    /// What threads that are idle are about to take; never more than there are of them.
    work: VecDeque<Work>,
}

/// Runs `work` on a thread that has nothing to do, or on a new one. How many there are is for
/// queues to bound.
///
/// # Errors
///
/// [`NoThread`] if there is no thread without work and the system gives no more. Then `work` is
/// dropped.
pub(crate) fn run(work: Work) -> Result<(), NoThread> {
    let mut state = THREADS.state.lock();
    if state.work.len() < state.idle {
        state.work.push_back(work);
        drop(state);
        THREADS.has_work.notify_one();
        return Ok(());
    }
    drop(state);
    let thread = thread::Builder::new().name("lunatic-blocking".into());
    match thread.spawn(move || run_all(work)) {
        Ok(_) => Ok(()),
        Err(_) => Err(NoThread),
    }
}

/// A thread: runs `first`, and what there is to do until nothing comes for a moment.
fn run_all(first: Work) {
    first();
    let mut state = THREADS.state.lock();
    while let Some(work) = next(&mut state) {
        MutexGuard::unlocked(&mut state, work);
    }
}

/// Waits for something to do.
fn next(state: &mut MutexGuard<'_, State>) -> Option<Work> {
    let deadline = Instant::now() + KEEP_ALIVE;
    state.idle += 1;
    while state.work.is_empty() {
        if THREADS.has_work.wait_until(state, deadline).timed_out() {
            break;
        }
    }
    state.idle -= 1;
    state.work.pop_front()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn runs_on() -> ThreadId {
        let (sender, receiver) = channel();
        run(Box::new(move || {
            sender.send(thread::current().id()).ok();
        }))
        .expect("a thread");
        receiver.recv_timeout(TIMEOUT).expect("it has run")
    }

    /// Where tests share a program, a thread may be taken by another test meanwhile, so that is
    /// tried again.
    #[test]
    fn a_thread_is_used_again_and_ends_when_nothing_comes() {
        let start = Instant::now();
        let mut was_used_again = false;
        while !was_used_again && start.elapsed() < TIMEOUT {
            let first = runs_on();
            thread::sleep(KEEP_ALIVE / 10);
            was_used_again = runs_on() == first;
        }
        assert!(was_used_again);
        while THREADS.state.lock().idle > 0 {
            assert!(start.elapsed() < TIMEOUT, "a thread does not end");
            thread::sleep(KEEP_ALIVE / 10);
        }
    }
}
