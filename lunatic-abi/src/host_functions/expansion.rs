//! What [`host_functions!`](crate::host_functions) expands to besides calls of wasmtime: the
//! functions that calls of host functions pass through, and that join the lists of them.

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::future::yield_now;
use pin_project_lite::pin_project;
use wasmtime::{AsContextMut, Store, Trap};
pub use wasmtime::{Caller, Error, Linker, Result};

use crate::{AbiHost, CallEnd, HostFunction, look_at_clock_next};

/// What a call of a host function costs a guest whose fuel is limited (ABI §26).
const CALL_FUEL: u64 = 100;

/// The fuel that a guest may owe before it is taken from what it has left.
const MAX_OWED_FUEL: u64 = 10_000;

/// What a host function that may wait returns.
pub type Waiting<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

/// What is declared of a host function.
///
/// - `Name`: a type with the name of the function, for messages of the compiler.
/// - `R`: what it returns to the guest.
#[derive(Debug)]
pub struct Signature<Name, R> {
    function: &'static str,
    types: Types<Name, R>,
}

/// Types that nothing is kept of.
type Types<Name, R> = PhantomData<fn() -> (PhantomData<Name>, R)>;

impl<Name, R> Signature<Name, R> {
    /// - `function`: its namespace and name, as `lunatic::process::kill`.
    #[inline]
    pub fn new(function: &'static str) -> Signature<Name, R> {
        Signature {
            function,
            types: PhantomData,
        }
    }
}

/// What the host function `Name` may return, which is declared to return `R`.
#[diagnostic::on_unimplemented(
    message = "the host function `{Name}` is declared to return `{R}`, and returns `{Self}`",
    label = "`{Name}` has to return `{R}` or `wasmtime::Result<{R}>`"
)]
pub trait Returns<Name, R> {
    /// Returns it as a `Result`.
    fn into_result(self) -> Result<R>;
}

impl<Name, R> Returns<Name, R> for R {
    #[inline]
    fn into_result(self) -> Result<R> {
        Ok(self)
    }
}

impl<Name, R> Returns<Name, R> for Result<R> {
    #[inline]
    fn into_result(self) -> Result<R> {
        self
    }
}

/// What the host function `Name` may return, which is declared as an `async fn`.
#[diagnostic::on_unimplemented(
    message = "the host function `{Name}` is declared as an `async fn`, and is none",
    label = "`{Name}` has to be an `async fn`"
)]
pub trait Resolves<Name, R>: Future<Output: Returns<Name, R>> {}

impl<Name, R, F: Future<Output: Returns<Name, R>>> Resolves<Name, R> for F {}

/// Calls a host function for code that shares time.
///
/// - `body`: the host function with its arguments.
///
/// # Errors
///
/// What the function returns, or that the call is refused.
#[inline]
pub fn call<'a, T: AbiHost, Name, R, O: Returns<Name, R>>(
    mut caller: Caller<'a, T>,
    signature: Signature<Name, R>,
    body: impl FnOnce(Caller<'a, T>) -> O,
) -> Result<R> {
    check_time_slice(&mut caller);
    call_quick(caller, signature, body)
}

/// The same as [`call`] for a `quick fn`.
///
/// # Errors
///
/// As for [`call`].
#[inline]
pub fn call_quick<'a, T: AbiHost, Name, R, O: Returns<Name, R>>(
    caller: Caller<'a, T>,
    signature: Signature<Name, R>,
    body: impl FnOnce(Caller<'a, T>) -> O,
) -> Result<R> {
    AbiHost::admit(caller.data(), signature.function)?;
    body(caller).into_result()
}

/// The same as [`call`] for an `async fn`.
#[inline]
pub fn call_async<'a, T: AbiHost, Name: 'a, R: Send + 'a, F>(
    mut caller: Caller<'a, T>,
    signature: Signature<Name, R>,
    body: impl FnOnce(Caller<'a, T>) -> F,
) -> Waiting<'a, R>
where
    F: Resolves<Name, R> + Send + 'a,
{
    check_time_slice(&mut caller);
    if let Err(refused) = AbiHost::admit(caller.data(), signature.function) {
        return trapped(refused.into());
    }
    AbiHost::enter(caller.data_mut(), signature.function);
    let end = AbiHost::begin_call(caller.data(), signature.function);
    let future = Resolving::new(signature, body(caller));
    match end {
        None => Box::new(future),
        Some(end) => resolve_then_drop(future, end),
    }
}

/// The same as [`call`] for code that counts fuel.
pub fn call_counting_fuel<'a, T: AbiHost, Name: 'a, R: Send + 'a, O: Returns<Name, R>>(
    mut caller: Caller<'a, T>,
    signature: Signature<Name, R>,
    body: impl FnOnce(Caller<'a, T>) -> O + Send + 'a,
) -> Waiting<'a, R> {
    Box::new(async move {
        begin_counting_fuel(&mut caller, signature.function).await?;
        body(caller).into_result()
    })
}

/// The same as [`call_async`] for code that counts fuel.
pub fn call_async_counting_fuel<'a, T: AbiHost, Name: 'a, R: Send + 'a, F>(
    mut caller: Caller<'a, T>,
    signature: Signature<Name, R>,
    body: impl FnOnce(Caller<'a, T>) -> F + Send + 'a,
) -> Waiting<'a, R>
where
    F: Resolves<Name, R> + Send + 'a,
{
    Box::new(async move {
        begin_counting_fuel(&mut caller, signature.function).await?;
        AbiHost::enter(caller.data_mut(), signature.function);
        let _end = AbiHost::begin_call(caller.data(), signature.function);
        Resolving::new(signature, body(caller)).await
    })
}

/// If the time slice of code that shares time is over, has that code look at the clock at its
/// next point of preemption: it does not know how long host functions take.
#[inline]
fn check_time_slice<T: AbiHost>(caller: &mut Caller<'_, T>) {
    if caller.data().is_time_slice_over() {
        look_at_clock_next(caller);
    }
}

/// Comes before each call by code that counts fuel. That yields after so much fuel, of which
/// host functions take little; so it yields here if its time slice is over.
///
/// # Errors
///
/// That the call is refused, or as for [`pay`].
async fn begin_counting_fuel<T: AbiHost>(
    caller: &mut Caller<'_, T>,
    function: &'static str,
) -> Result<()> {
    AbiHost::admit(caller.data(), function)?;
    if caller.data().is_time_slice_over() {
        T::on_preemption(caller.as_context_mut());
        yield_now().await;
    }
    match caller.data_mut().owed_fuel() {
        Some(_) => pay(caller),
        None => Ok(()),
    }
}

/// Has a guest whose fuel is limited pay for a call.
///
/// What it owes is taken from its fuel once it is much. It ends when it owes as much as it
/// has.
///
/// # Errors
///
/// [`Trap::OutOfFuel`], and no fuel is left.
fn pay<T: AbiHost>(caller: &mut Caller<'_, T>) -> Result<()> {
    let left = caller.get_fuel()?;
    let Some(owed) = caller.data_mut().owed_fuel() else {
        return Ok(());
    };
    *owed = owed.saturating_add(CALL_FUEL);
    let due = match *owed {
        owed if owed > left => left,
        owed if owed < MAX_OWED_FUEL => return Ok(()),
        owed => owed,
    };
    let is_over = *owed > left;
    *owed = 0;
    caller.set_fuel(left - due)?;
    match is_over {
        true => Err(Trap::OutOfFuel.into()),
        false => Ok(()),
    }
}

pin_project! {
    /// A future with the output of another as a `Result`. Written by hand, since every call
    /// that may wait passes through it: an `async fn` has room for what it is given twice, and
    /// moves it when it is first polled.
    struct Resolving<Name, R, F> {
        #[pin]
        future: F,
        types: Types<Name, R>,
    }
}

impl<Name, R, F: Resolves<Name, R>> Resolving<Name, R, F> {
    #[inline]
    fn new(signature: Signature<Name, R>, future: F) -> Resolving<Name, R, F> {
        Resolving {
            future,
            types: signature.types,
        }
    }
}

impl<Name, R, F: Resolves<Name, R>> Future for Resolving<Name, R, F> {
    type Output = Result<R>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        self.project().future.poll(cx).map(Returns::into_result)
    }
}

/// The trap of a call that is refused.
#[cold]
fn trapped<'a, R: Send + 'a>(trap: Error) -> Waiting<'a, R> {
    Box::new(ready(Err(trap)))
}

/// A future with the same output, which keeps `end` until it is dropped.
#[cold]
fn resolve_then_drop<'a, R>(
    future: impl Future<Output = Result<R>> + Send + 'a,
    end: CallEnd,
) -> Waiting<'a, R> {
    Box::new(async move {
        let _end = end;
        future.await
    })
}

/// Returns whether the code that is linked against it counts fuel.
pub fn counts_fuel<T: 'static>(linker: &Linker<T>) -> bool {
    // An engine does not say it, but its stores have fuel then.
    Store::new(linker.engine(), ()).get_fuel().is_ok()
}

/// The number of functions in all lists.
pub const fn count(parts: &[&[HostFunction]]) -> usize {
    let mut count = 0;
    let mut part = 0;
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// One list of all functions.
///
/// - `N`: the [`count`] of them.
pub const fn joined<const N: usize>(parts: &[&[HostFunction]]) -> [HostFunction; N] {
    const NONE: HostFunction = HostFunction {
        namespace: "",
        name: "",
        params: &[],
        result: None,
    };
    let mut all = [NONE; N];
    let mut at = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[at] = parts[part][index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    all
}
