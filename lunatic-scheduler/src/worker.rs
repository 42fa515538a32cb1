//! The loop of one worker thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use crate::scheduler::Shared;

/// Runs tasks on this thread until the scheduler stops.
pub(crate) fn work(shared: &Shared) {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut run = pin!(shared.executor.run(shared.stopped()));
    loop {
        shared.hooks.work();
        let poll = run.as_mut().poll(&mut Context::from_waker(&waker));
        shared.hooks.rest();
        match poll {
            Poll::Ready(()) => return,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl crate::scheduler::Hooks {
    fn work(&self) {
        if let Some(hook) = &self.on_work {
            hook();
        }
    }

    fn rest(&self) {
        if let Some(hook) = &self.on_rest {
            hook();
        }
    }
}
