//! Drops what is large on another thread, as whoever has it may be a worker.

use std::cell::Cell;

use crate::class::Class;

thread_local! {
    /// Whether this thread drops something large now.
    static IS_DROPPING: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread drops something, until this is dropped.
struct Dropping;

impl Dropping {
    fn begin() -> Dropping {
        IS_DROPPING.set(true);
        Dropping
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        IS_DROPPING.set(false);
    }
}

/// Drops a value on a thread of [`Class::Drop`], and returns at once.
///
/// What is charged for it belongs into the value, behind what is dropped. A part of the value
/// that is to be dropped later itself is dropped with the value, so that nothing is released before
/// all of it is gone.
///
/// ```
/// use std::sync::Arc;
///
/// let large = Arc::new(vec![0; 1 << 20]);
/// let weak = Arc::downgrade(&large);
/// lunatic_blocking::drop_later(large);
/// while weak.upgrade().is_some() {
///     std::thread::yield_now();
/// }
/// ```
pub fn drop_later<T: Send + 'static>(value: T) {
    if IS_DROPPING.get() {
        drop(value);
        return;
    }
    Class::Drop.queue().run_detached(move || {
        let dropping = Dropping::begin();
        drop(value);
        drop(dropping);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};

    use super::*;

    /// Sends its name, and by which thread it is dropped.
    struct Told(&'static str, Sender<(&'static str, ThreadId)>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.1.send((self.0, thread::current().id())).ok();
        }
    }

    /// Has a part that is to be dropped later.
    struct Nested(Option<Told>);

    impl Drop for Nested {
        fn drop(&mut self) {
            drop_later(self.0.take());
        }
    }

    #[test]
    fn what_is_in_it_is_dropped_with_it_and_before_what_is_behind_it() {
        let (sender, told) = channel();
        let inner = Nested(Some(Told("inner", sender.clone())));
        drop_later((inner, Told("charge", sender)));
        let inner = told.recv();
        let charge = told.recv();
        assert_eq!(inner.map(|(name, _)| name), Ok("inner"));
        assert_eq!(charge.map(|(name, _)| name), Ok("charge"));
        let by: Vec<_> = [inner, charge].into_iter().flatten().collect();
        assert_eq!(by[0].1, by[1].1);
        assert_ne!(by[0].1, thread::current().id());
    }

    #[test]
    fn a_panic_does_not_keep_the_next_from_being_dropped_elsewhere() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("it cannot be dropped");
            }
        }
        let (sender, told) = channel();
        for _ in 0..4 {
            drop_later(Panics);
            drop_later(Nested(Some(Told("after", sender.clone()))));
            let after = told.recv();
            assert!(after.is_ok_and(|(_, thread)| thread != thread::current().id()));
        }
    }
}
