//! Drops large values on another thread, so that a worker is not blocked by it.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use lunatic_account::Charge;

use crate::class::Class;

thread_local! {
    /// Whether this thread is dropping a value of [`drop_later`].
    static IS_DROPPING: Cell<bool> = const { Cell::new(false) };
}

/// Sets [`IS_DROPPING`] until this is dropped.
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
/// Put the charge for the value into it, as its last field or element. If the value contains
/// another one that calls this function, that one is dropped at once, with the outer one, so that
/// no charge is released before all of the value is gone.
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

/// A value that is dropped on another thread if it is large, and on this one otherwise.
///
/// ```
/// use lunatic_blocking::DropLater;
///
/// let mut list = DropLater::new(vec![1, 2], |list| list.len() > 1024);
/// list.push(3);
/// assert_eq!(list.len(), 3);
/// ```
#[derive(Debug)]
pub struct DropLater<T: Send + 'static> {
    /// `None` while this is dropped.
    value: Option<T>,
    is_large: fn(&T) -> bool,
    charge: Option<Charge>,
}

impl<T: Send + 'static> DropLater<T> {
    /// - `is_large`: returns whether dropping the value takes so long that another thread does it.
    pub fn new(value: T, is_large: fn(&T) -> bool) -> DropLater<T> {
        DropLater {
            value: Some(value),
            is_large,
            charge: None,
        }
    }

    /// Adds the charge for the value, which is released after the value is dropped.
    #[must_use]
    pub fn charged(mut self, charge: Charge) -> DropLater<T> {
        self.charge = Some(charge);
        self
    }
}

impl<T: Send + 'static> Deref for DropLater<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl<T: Send + 'static> DerefMut for DropLater<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl<T: Send + 'static> Drop for DropLater<T> {
    fn drop(&mut self) {
        if let Some(large) = self.value.take_if(|value| (self.is_large)(value)) {
            drop_later((large, self.charge.take()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};

    use super::*;

    /// Sends its name and the id of the thread that drops it.
    struct Reports(&'static str, Sender<(&'static str, ThreadId)>);

    impl Drop for Reports {
        fn drop(&mut self) {
            self.1.send((self.0, thread::current().id())).ok();
        }
    }

    /// Calls [`drop_later`] when it is dropped.
    struct Nested(Option<Reports>);

    impl Drop for Nested {
        fn drop(&mut self) {
            drop_later(self.0.take());
        }
    }

    #[test]
    fn what_is_in_it_is_dropped_with_it_and_before_what_is_behind_it() {
        let (sender, reports) = channel();
        let inner = Nested(Some(Reports("inner", sender.clone())));
        drop_later((inner, Reports("charge", sender)));
        let inner = reports.recv();
        let charge = reports.recv();
        assert_eq!(inner.map(|(name, _)| name), Ok("inner"));
        assert_eq!(charge.map(|(name, _)| name), Ok("charge"));
        let by: Vec<_> = [inner, charge].into_iter().flatten().collect();
        assert_eq!(by[0].1, by[1].1);
        assert_ne!(by[0].1, thread::current().id());
    }

    #[test]
    fn only_a_large_value_is_dropped_on_another_thread() {
        for (is_large, count) in [(false, 1), (true, 2)] {
            let (sender, reports) = channel();
            let values: Vec<_> = (0..count)
                .map(|_| Reports("value", sender.clone()))
                .collect();
            drop(DropLater::new(values, |values| values.len() > 1));
            for _ in 0..count {
                let by = reports.recv().map(|(_, thread)| thread);
                assert_eq!(
                    by.map(|thread| thread != thread::current().id()),
                    Ok(is_large)
                );
            }
        }
    }

    #[test]
    fn a_panic_does_not_keep_the_next_from_being_dropped_elsewhere() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("it cannot be dropped");
            }
        }
        let (sender, reports) = channel();
        for _ in 0..4 {
            drop_later(Panics);
            drop_later(Nested(Some(Reports("after", sender.clone()))));
            let after = reports.recv();
            assert!(after.is_ok_and(|(_, thread)| thread != thread::current().id()));
        }
    }
}
