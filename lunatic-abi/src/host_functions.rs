//! The macro that declares host functions, each in one place.

/// Declares host functions: makes the function that registers them in a linker,
/// and the list of them.
///
/// ```
/// use lunatic_abi::{AbiHost, Guest, host_functions};
/// use wasmtime::{Caller, Result};
///
/// host_functions! {
///     /// Registers `example`.
///     pub fn add_to_linker<T: AbiHost>(Linker<T>);
///     /// The functions of `example`.
///     pub const HOST_FUNCTIONS;
///
///     in "example" {
///         fn length(ptr: u32, len: u32) -> u64;
///         async fn rest();
///         fn double(number: u64) -> u64 = multiply::<T, 2>;
///     }
/// }
///
/// /// Counts characters; traps on a bad address and text that is not UTF-8.
/// fn length<T: AbiHost>(mut caller: Caller<'_, T>, ptr: u32, len: u32) -> Result<u64> {
///     Ok(caller.text_within(ptr, len, 1024)?.chars().count() as u64)
/// }
///
/// /// Lets other processes run.
/// async fn rest<T: AbiHost>(mut caller: Caller<'_, T>) {
///     caller.wait(futures_lite::future::yield_now()).await;
/// }
///
/// fn multiply<T: AbiHost, const BY: u64>(_: Caller<'_, T>, number: u64) -> u64 {
///     number.wrapping_mul(BY)
/// }
///
/// assert_eq!(HOST_FUNCTIONS[0].name, "length");
/// assert_eq!(HOST_FUNCTIONS[0].type_use(), "(param i32 i32) (result i64)");
/// ```
///
/// First come the two things that are made, with their visibility: the function,
/// for every type of state that meets a bound as above or for one type
/// (`fn add_to_linker(Linker<State>);`), and the constant, a list of
/// [`HostFunction`](crate::HostFunction)s.
///
/// Then, for each namespace, the host functions as a guest sees them. One is
/// implemented by the Rust function of the same name in the same scope, or by the
/// one behind `=`. That takes a `Caller` and what is declared, and returns what is
/// declared, or a `wasmtime::Result` of it, whose error is a trap. If it does
/// neither, this does not compile:
///
/// ```compile_fail,E0308
/// # use lunatic_abi::{AbiHost, host_functions};
/// # use wasmtime::Caller;
/// host_functions! {
///     pub fn add_to_linker<T: AbiHost>(Linker<T>);
///     pub const HOST_FUNCTIONS;
///     in "example" {
///         fn negate(number: u64) -> u32;
///     }
/// }
/// fn negate<T: AbiHost>(_: Caller<'_, T>, number: u32) -> u32 { !number }
/// ```
///
/// ```compile_fail,E0277
/// # use lunatic_abi::{AbiHost, host_functions};
/// # use wasmtime::Caller;
/// host_functions! {
///     pub fn add_to_linker<T: AbiHost>(Linker<T>);
///     pub const HOST_FUNCTIONS;
///     in "example" {
///         fn negate(number: u32) -> u64;
///     }
/// }
/// fn negate<T: AbiHost>(_: Caller<'_, T>, number: u32) -> u32 { !number }
/// ```
///
/// An `async fn` may wait; `T` keeps its name when it is called
/// ([`AbiHost::enter`](crate::AbiHost::enter)), and it waits by
/// [`Guest::wait`](crate::Guest::wait).
///
/// A `quick fn` takes well below a microsecond whatever it is given, besides what it
/// [pays for](crate::Guest::pay_for). Code that shares time calls it without a look whether its
/// time is over ([`AbiHost::is_time_slice_over`](crate::AbiHost::is_time_slice_over)), which
/// comes before each call of another function.
///
/// `in "example" via answer { … }` puts what each of them returns through the
/// function `answer`, which returns what is declared.
///
/// A module whose submodules declare host functions puts them together, each by an
/// `add_to_linker` and a `HOST_FUNCTIONS`:
///
/// ```
/// # use lunatic_abi::{AbiHost, host_functions};
/// # mod clocks {
/// #     use lunatic_abi::{AbiHost, host_functions};
/// #     use wasmtime::Caller;
/// #     host_functions! {
/// #         pub(super) fn add_to_linker<T: AbiHost>(Linker<T>);
/// #         pub(super) const HOST_FUNCTIONS;
/// #         in "clocks" { fn now() -> u64; }
/// #     }
/// #     fn now<T: AbiHost>(_: Caller<'_, T>) -> u64 { 0 }
/// # }
/// # mod dice {
/// #     use lunatic_abi::{AbiHost, host_functions};
/// #     use wasmtime::Caller;
/// #     host_functions! {
/// #         pub(super) fn add_to_linker<T: AbiHost>(Linker<T>);
/// #         pub(super) const HOST_FUNCTIONS;
/// #         in "dice" { fn roll() -> u32; fn lucky() -> u32 = roll; }
/// #     }
/// #     fn roll<T: AbiHost>(_: Caller<'_, T>) -> u32 { 6 }
/// # }
/// host_functions! {
///     /// Registers `clocks` and `dice`.
///     pub fn add_to_linker<T: AbiHost>(Linker<T>);
///     /// The functions of `clocks` and `dice`.
///     pub const HOST_FUNCTIONS;
///
///     use clocks, dice;
/// }
/// # let names: Vec<_> = HOST_FUNCTIONS.iter().map(|function| function.name).collect();
/// # assert_eq!(names, ["now", "roll", "lucky"]);
/// ```
#[macro_export]
macro_rules! host_functions {
    (
        $(#[$add_attribute:meta])*
        $add_visibility:vis fn $add:ident $(<$generic:ident: $bound:path>)? (Linker<$state:ty>);
        $(#[$list_attribute:meta])*
        $list_visibility:vis const $list:ident;

        $(use $($($module:ident)::+),+ $(,)?;)?
        $(in $namespace:literal $(via $answer:path)? { $($functions:tt)* })*
    ) => {
        $(#[$add_attribute])*
        ///
        /// # Errors
        ///
        /// Fails if the linker already has a function of one of these names.
        #[allow(
            clippy::disallowed_methods,
            reason = "here the host functions are registered that are declared"
        )]
        $add_visibility fn $add $(<$generic: $bound>)? (
            linker: &mut $crate::expansion::Linker<$state>,
        ) -> $crate::expansion::Result<()> {
            $($($($module)::+::add_to_linker(linker)?;)+)?
            match $crate::expansion::counts_fuel(linker) {
                false => {$($crate::host_functions!(
                    @register_all by_time, linker, $state, $namespace, [$($answer)?],
                    { $($functions)* }
                );)*}
                true => {$($crate::host_functions!(
                    @register_all by_fuel, linker, $state, $namespace, [$($answer)?],
                    { $($functions)* }
                );)*}
            }
            Ok(())
        }

        $(#[$list_attribute])*
        $list_visibility const $list: &[$crate::HostFunction] = {
            const PARTS: &[&[$crate::HostFunction]] = &[
                $($($($module)::+::HOST_FUNCTIONS,)+)?
                $($crate::host_functions!(@list $namespace, { $($functions)* }),)*
            ];
            &$crate::expansion::joined::<{ $crate::expansion::count(PARTS) }>(PARTS)
        };
    };

    (
        @register_all $preempted:ident, $linker:ident, $state:ty, $namespace:literal, $answer:tt, {$(
            $($word:ident)+ ($($param:ident: $ty:ty),* $(,)?)
                $(-> $result:ty)? $(= $function:path)?;
        )*}
    ) => {$(
        $crate::host_functions!(
            @register $preempted, $linker, $state, $namespace, $answer,
            [$($word)+], ($($param: $ty),*),
            [$crate::host_functions!(@result $($result)?)], [$($function)?]
        );
    )*};
    (
        @register by_time, $linker:ident, $state:ty, $namespace:literal, $answer:tt,
        [fn $name:ident], $params:tt, $result:tt, $function:tt
    ) => {
        $crate::host_functions!(
            @register_by_time begin, $linker, $state, $namespace, $answer,
            $name, $params, $result, $function
        )
    };
    (
        @register by_time, $linker:ident, $state:ty, $namespace:literal, $answer:tt,
        [quick fn $name:ident], $params:tt, $result:tt, $function:tt
    ) => {
        $crate::host_functions!(
            @register_by_time begin_quick, $linker, $state, $namespace, $answer,
            $name, $params, $result, $function
        )
    };
    (
        @register_by_time $begin:ident, $linker:ident, $state:ty, $namespace:literal,
        [$($answer:path)?],
        $name:ident, ($($param:ident: $ty:ty),*), [$result:ty], [$($function:path)?]
    ) => {
        $linker.func_wrap(
            $namespace,
            stringify!($name),
            |mut caller: $crate::expansion::Caller<'_, $state>, $($param: $ty),*| {
                $crate::host_functions!(@label $name);
                let function = concat!($namespace, "::", stringify!($name));
                $crate::expansion::$begin(&mut caller, function)?;
                $crate::expansion::returns::<$name, $result, _>(
                    $($answer)? ($crate::host_functions!(@function $name $($function)?)(
                        caller, $($param),*
                    ))
                )
            },
        )?
    };
    (
        @register by_time, $linker:ident, $state:ty, $namespace:literal, $answer:tt,
        [async fn $name:ident], ($($param:ident: $ty:ty),*), [$result:ty], [$($function:path)?]
    ) => {
        $linker.func_wrap_async(
            $namespace,
            stringify!($name),
            |mut caller: $crate::expansion::Caller<'_, $state>, ($($param,)*): ($($ty,)*)| {
                $crate::host_functions!(@label $name);
                let function = concat!($namespace, "::", stringify!($name));
                if let Err(refused) = $crate::expansion::begin(&mut caller, function) {
                    return $crate::expansion::traps(refused.into());
                }
                $crate::AbiHost::enter(caller.data_mut(), function);
                let end = $crate::AbiHost::begin_call(caller.data(), function);
                let future = $crate::expansion::resolves::<$name, $result, _>(
                    $crate::host_functions!(@answer $answer,
                        $crate::host_functions!(@function $name $($function)?)(
                            caller, $($param),*
                        )
                    )
                );
                match end {
                    None => Box::new(future) as $crate::expansion::Waiting<'_, $result>,
                    Some(end) => $crate::expansion::ends(future, end),
                }
            },
        )?
    };
    (
        @register by_fuel, $linker:ident, $state:ty, $namespace:literal, [$($answer:path)?],
        [$(quick)? fn $name:ident], ($($param:ident: $ty:ty),*), [$result:ty], [$($function:path)?]
    ) => {
        $linker.func_wrap_async(
            $namespace,
            stringify!($name),
            |mut caller: $crate::expansion::Caller<'_, $state>, ($($param,)*): ($($ty,)*)| {
                $crate::host_functions!(@label $name);
                let function = concat!($namespace, "::", stringify!($name));
                Box::new(async move {
                    $crate::expansion::begin_counting_fuel(&mut caller, function).await?;
                    $crate::expansion::returns::<$name, $result, _>(
                        $($answer)? ($crate::host_functions!(@function $name $($function)?)(
                            caller, $($param),*
                        ))
                    )
                })
            },
        )?
    };
    (
        @register by_fuel, $linker:ident, $state:ty, $namespace:literal, $answer:tt,
        [async fn $name:ident], ($($param:ident: $ty:ty),*), [$result:ty], [$($function:path)?]
    ) => {
        $linker.func_wrap_async(
            $namespace,
            stringify!($name),
            |mut caller: $crate::expansion::Caller<'_, $state>, ($($param,)*): ($($ty,)*)| {
                $crate::host_functions!(@label $name);
                let function = concat!($namespace, "::", stringify!($name));
                Box::new(async move {
                    $crate::expansion::begin_counting_fuel(&mut caller, function).await?;
                    $crate::AbiHost::enter(caller.data_mut(), function);
                    let _end = $crate::AbiHost::begin_call(caller.data(), function);
                    let future = $crate::expansion::resolves::<$name, $result, _>(
                        $crate::host_functions!(@answer $answer,
                            $crate::host_functions!(@function $name $($function)?)(
                                caller, $($param),*
                            )
                        )
                    );
                    future.await
                })
            },
        )?
    };
    (@answer [], $future:expr) => { $future };
    (@answer [$answer:path], $future:expr) => { async move { $answer($future.await) } };

    (
        @list $namespace:literal, {$(
            $($word:ident)+ ($($param:ident: $ty:ty),* $(,)?)
                $(-> $result:ty)? $(= $function:path)?;
        )*}
    ) => {
        &[$($crate::HostFunction {
            namespace: $namespace,
            name: $crate::host_functions!(@name $($word)+),
            params: &[$($crate::Param {
                name: stringify!($param),
                ty: <$ty as $crate::HostValue>::TYPE,
            }),*],
            result: <$crate::host_functions!(@result $($result)?)
                as $crate::HostResult>::TYPE,
        }),*]
    };
    (@name $(quick)? fn $name:ident) => { stringify!($name) };
    (@name async fn $name:ident) => { stringify!($name) };

    // A type that stands for the function in messages of the compiler.
    (@label $name:ident) => {
        #[allow(non_camel_case_types, reason = "it has the name of the function")]
        enum $name {}
    };

    (@function $name:ident) => { $name };
    (@function $name:ident $function:path) => { $function };

    (@result) => { () };
    (@result $result:ty) => { $result };
}

/// What [`host_functions!`](crate::host_functions) expands to besides calls of
/// wasmtime.
#[doc(hidden)]
pub mod expansion {
    use std::future::Future;
    use std::marker::PhantomData;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures_lite::future::yield_now;
    use pin_project_lite::pin_project;
    use wasmtime::{AsContextMut, Store, Trap};
    pub use wasmtime::{Caller, Error, Linker, Result};

    use crate::{AbiHost, CallEnd, HostFunction, Misuse, look_at_clock_next};

    /// What a call of a host function costs a guest whose fuel is limited (ABI §26).
    const CALL_FUEL: u64 = 100;

    /// So much is owed before it is taken from the fuel of the guest.
    const SETTLED_FUEL: u64 = 10_000;

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

    /// Its argument as a `Result`, if that is what is declared.
    #[inline]
    pub fn returns<Name, R, O: Returns<Name, R>>(outcome: O) -> Result<R> {
        outcome.into_result()
    }

    pin_project! {
        /// What [`resolves`] returns. Written by hand, since every call that may wait passes
        /// through it: an `async fn` has room for what it is given twice, and moves it when it is
        /// first polled.
        pub struct Resolving<Name, R, F> {
            #[pin]
            future: F,
            types: PhantomData<fn() -> (PhantomData<Name>, R)>,
        }
    }

    impl<Name, R, F: Resolves<Name, R>> Future for Resolving<Name, R, F> {
        type Output = Result<R>;

        #[inline]
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
            self.project().future.poll(cx).map(Returns::into_result)
        }
    }

    /// A future with the output of its argument as a `Result`, if that resolves to what
    /// is declared.
    #[inline]
    pub fn resolves<Name, R, F: Resolves<Name, R>>(future: F) -> Resolving<Name, R, F> {
        Resolving {
            future,
            types: PhantomData,
        }
    }

    /// Returns whether the code that is linked against it counts fuel.
    pub fn counts_fuel<T: 'static>(linker: &Linker<T>) -> bool {
        // An engine does not say it, but its stores have fuel then.
        Store::new(linker.engine(), ()).get_fuel().is_ok()
    }

    /// What comes before each call by code that shares time. It does not know what host functions
    /// take, so if the time is over, it looks at the clock next.
    ///
    /// # Errors
    ///
    /// If the call is refused.
    #[inline]
    pub fn begin<T: AbiHost>(
        caller: &mut Caller<'_, T>,
        function: &'static str,
    ) -> Result<(), Misuse> {
        if caller.data().is_time_slice_over() {
            look_at_clock_next(caller);
        }
        begin_quick(caller, function)
    }

    /// What comes before each call of a `quick fn` by code that shares time.
    ///
    /// # Errors
    ///
    /// If the call is refused.
    #[inline]
    pub fn begin_quick<T: AbiHost>(
        caller: &mut Caller<'_, T>,
        function: &'static str,
    ) -> Result<(), Misuse> {
        AbiHost::admit(caller.data(), function)
    }

    /// What comes before each call by code that counts fuel. That yields after so much fuel, of
    /// which host functions take little; so others run first if it is their turn.
    ///
    /// # Errors
    ///
    /// If it is refused, or as for [`pay`].
    pub async fn begin_counting_fuel<T: AbiHost>(
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
            owed if owed < SETTLED_FUEL => return Ok(()),
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

    /// A call that is refused.
    #[cold]
    pub fn traps<'a, R: Send + 'a>(trap: Error) -> Waiting<'a, R> {
        Box::new(std::future::ready(Err(trap)))
    }

    /// What a host function that may wait returns.
    pub type Waiting<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

    /// A future with the same output.
    ///
    /// - `end`: is dropped with it.
    #[cold]
    pub fn ends<'a, R>(
        future: impl Future<Output = Result<R>> + Send + 'a,
        end: CallEnd,
    ) -> Waiting<'a, R> {
        Box::new(async move {
            let _end = end;
            future.await
        })
    }

    /// How many functions lists have together.
    pub const fn count(parts: &[&[HostFunction]]) -> usize {
        let mut count = 0;
        let mut part = 0;
        while part < parts.len() {
            count += parts[part].len();
            part += 1;
        }
        count
    }

    /// One list of all of them; `N` is how many they are.
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
}
