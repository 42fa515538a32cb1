//! Operations that wait until the test lets them go.

#![allow(dead_code, unreachable_pub)] // Each test file uses another part of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use lunatic_blocking::Queue;

/// What operations wait at; when it is dropped they go on.
pub struct Gate(Arc<Shared>);

/// Goes into an operation, and waits there.
pub struct Passes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_open: bool,
    arrivals: usize,
}

impl Gate {
    pub fn closed() -> Gate {
        Gate(Arc::default())
    }

    pub fn passes(&self) -> Passes {
        Passes(self.0.clone())
    }

    /// Keeps all threads of a queue busy.
    pub fn occupy(&self, queue: &Queue) {
        let arrived = self.0.lock().arrivals;
        let threads = queue.max_threads().get();
        for _ in 0..threads {
            let passes = self.passes();
            queue.run_detached(move || passes.wait());
        }
        self.wait_for_arrivals(arrived + threads);
    }

    /// Waits until so many have arrived since the beginning.
    pub fn wait_for_arrivals(&self, count: usize) {
        let mut state = self.0.lock();
        while state.arrivals < count {
            state = self.0.changed.wait(state).expect("no panic");
        }
    }

    pub fn open(&self) {
        self.0.lock().is_open = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Passes {
    pub fn wait(&self) {
        let mut state = self.0.lock();
        state.arrivals += 1;
        self.0.changed.notify_all();
        while !state.is_open {
            state = self.0.changed.wait(state).expect("no panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}
