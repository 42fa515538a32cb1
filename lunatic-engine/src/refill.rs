//! The function of the host that code calls when its budget is used up.

use std::future::poll_fn;
use std::task::Poll;

use wasmtime::{AsContextMut, Caller, Linker};

use crate::instance::InstanceState;
use crate::preemption::{FIRST_BUDGET, REFILL};
use crate::time_slice::TimeSlice;

/// Registers the function. It yields if the time slice is over, and returns a new budget.
///
/// # Errors
///
/// Fails if it is registered already.
#[expect(
    clippy::disallowed_methods,
    reason = "it is not for guests to import, so it is in no list of what they can"
)]
pub(crate) fn register<T: InstanceState>(
    linker: &mut Linker<T>,
    time_slice: TimeSlice,
) -> wasmtime::Result<()> {
    let (namespace, name) = REFILL;
    linker.func_wrap_async(namespace, name, move |mut caller: Caller<'_, T>, ()| {
        let budget = time_slice.refill();
        if budget.is_none() {
            T::on_preemption(caller.as_context_mut());
        }
        Box::new(async move {
            let budget = match budget {
                Some(budget) => budget,
                None => {
                    yield_once().await;
                    FIRST_BUDGET
                }
            };
            budget.cast_signed()
        })
    })?;
    Ok(())
}

/// Yields: is pending once, and asks to be polled again.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
