//! The macro that declares host functions, each in one place.

#[doc(hidden)]
pub mod expansion;

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
        @register_all $preemption:ident, $linker:ident, $state:ty, $namespace:literal, $answer:tt,
        {$(
            $($word:ident)+ ($($param:ident: $ty:ty),* $(,)?)
                $(-> $result:ty)? $(= $function:path)?;
        )*}
    ) => {$(
        $crate::host_functions!(
            @register $preemption [$($word)+] ($linker, $state, $namespace, $answer)
            ($($param: $ty),*) [$crate::host_functions!(@result $($result)?)] [$($function)?]
        );
    )*};

    // Which function of `expansion` a call passes through.
    (@register by_time [fn $name:ident] $($rest:tt)*) => {
        $crate::host_functions!(@sync call, $name, $($rest)*)
    };
    (@register by_time [quick fn $name:ident] $($rest:tt)*) => {
        $crate::host_functions!(@sync call_quick, $name, $($rest)*)
    };
    (@register by_time [async fn $name:ident] $($rest:tt)*) => {
        $crate::host_functions!(@async call_async, async, $name, $($rest)*)
    };
    (@register by_fuel [async fn $name:ident] $($rest:tt)*) => {
        $crate::host_functions!(@async call_async_counting_fuel, async, $name, $($rest)*)
    };
    (@register by_fuel [$(quick)? fn $name:ident] $($rest:tt)*) => {
        $crate::host_functions!(@async call_counting_fuel, sync, $name, $($rest)*)
    };
    (
        @sync $call:ident, $name:ident,
        ($linker:ident, $state:ty, $namespace:literal, $answer:tt)
        ($($param:ident: $ty:ty),*) [$result:ty] $function:tt
    ) => {
        $linker.func_wrap(
            $namespace,
            stringify!($name),
            |caller: $crate::expansion::Caller<'_, $state>, $($param: $ty),*| {
                $crate::host_functions!(@label $name);
                $crate::expansion::$call(
                    caller,
                    $crate::expansion::Signature::<$name, $result>::new(
                        concat!($namespace, "::", stringify!($name)),
                    ),
                    |caller| $crate::host_functions!(
                        @answered sync $answer,
                        $crate::host_functions!(@function $name $function)(caller, $($param),*)
                    ),
                )
            },
        )?
    };
    (
        @async $call:ident, $kind:ident, $name:ident,
        ($linker:ident, $state:ty, $namespace:literal, $answer:tt)
        ($($param:ident: $ty:ty),*) [$result:ty] $function:tt
    ) => {
        $linker.func_wrap_async(
            $namespace,
            stringify!($name),
            |caller: $crate::expansion::Caller<'_, $state>, ($($param,)*): ($($ty,)*)| {
                $crate::host_functions!(@label $name);
                $crate::expansion::$call(
                    caller,
                    $crate::expansion::Signature::<$name, $result>::new(
                        concat!($namespace, "::", stringify!($name)),
                    ),
                    move |caller| $crate::host_functions!(
                        @answered $kind $answer,
                        $crate::host_functions!(@function $name $function)(caller, $($param),*)
                    ),
                )
            },
        )?
    };
    (@answered $kind:ident [], $outcome:expr) => { $outcome };
    (@answered sync [$answer:path], $outcome:expr) => { $answer($outcome) };
    (@answered async [$answer:path], $outcome:expr) => { async move { $answer($outcome.await) } };

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

    (@function $name:ident []) => { $name };
    (@function $name:ident [$function:path]) => { $function };

    (@result) => { () };
    (@result $result:ty) => { $result };
}
