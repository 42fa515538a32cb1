//! Host functions as `host_functions!` declares them, called by a guest.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::{block_on, yield_now};
use lunatic_abi::{AbiHost, ErrorTable, HostFunction, Misuse, Param, ValueType, host_functions};
use wasmtime::{Caller, Engine, Linker, Memory, Module, Result, Store, Val};

/// What the functions below were called with.
#[derive(Default)]
struct Calls(Vec<String>);

impl AbiHost for Calls {
    fn memory(&self) -> Option<Memory> {
        None
    }

    fn errors(&mut self) -> &mut ErrorTable {
        unreachable!("nothing here reports errors")
    }
}

mod sums {
    use super::*;

    host_functions! {
        pub(super) fn add_to_linker<T: AbiHost>(Linker<T>);
        pub(super) const HOST_FUNCTIONS;

        in "sums" {
            fn subtract(from: u64, number: i64) -> i64;
            async fn later(from: u32, number: u32) -> u32;
            fn halve(number: f64) -> f64 = times::<T, 0>;
        }
    }

    fn subtract<T: AbiHost>(_: Caller<'_, T>, from: u64, number: i64) -> i64 {
        from as i64 - number
    }

    async fn later<T: AbiHost>(_: Caller<'_, T>, from: u32, number: u32) -> Result<u32> {
        yield_now().await;
        from.checked_sub(number)
            .ok_or_else(|| Misuse::refused("below 0").into())
    }

    fn times<T: AbiHost, const TWICE: usize>(_: Caller<'_, T>, number: f64) -> f64 {
        number * [0.5, 2.0][TWICE]
    }
}

host_functions! {
    fn add_to_linker(Linker<Calls>);
    const HOST_FUNCTIONS;

    use sums;

    in "answers" via number {
        fn small(value: u32) -> i32;
        async fn large(value: u64,) -> i32;
    }
    in "effects" {
        fn nothing();
        async fn note(first: u64, second: u32);
    }
}

fn number(is_even: bool) -> Result<i32> {
    match is_even {
        true => Ok(0),
        false => Err(Misuse::refused("odd").into()),
    }
}

fn small(_: Caller<'_, Calls>, value: u32) -> bool {
    value.is_multiple_of(2)
}

async fn large(_: Caller<'_, Calls>, value: u64) -> bool {
    yield_now().await;
    value.is_multiple_of(2)
}

fn nothing(mut caller: Caller<'_, Calls>) {
    caller.data_mut().0.push("nothing".to_string());
}

async fn note(mut caller: Caller<'_, Calls>, first: u64, second: u32) {
    caller.data_mut().0.push(format!("{first}, {second}"));
}

/// Calls one of the functions through WebAssembly; the result and the calls.
fn call(name: &str, params: &[Val]) -> (Result<Option<Val>>, Calls) {
    let function = HOST_FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .unwrap();
    let HostFunction { namespace, .. } = function;
    let ty = function.type_use();
    let import = format!(r#"(import "{namespace}" "{name}" (func $f {ty}))"#);
    let text = format!(r#"(module {import} (export "f" (func $f)))"#);
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).unwrap();
    let mut store = Store::new(&engine, Calls::default());
    let module = Module::new(&engine, text).unwrap();
    let instance = block_on(linker.instantiate_async(&mut store, &module)).unwrap();
    let exported = instance.get_func(&mut store, "f").unwrap();
    let mut results = vec![Val::I32(-1); function.result.iter().len()];
    let called = block_on(exported.call_async(&mut store, params, &mut results));
    let result = called.map(|()| results.into_iter().next());
    (result, store.into_data())
}

#[test]
fn arguments_are_passed_in_the_order_of_the_declaration() {
    let (result, _) = call("subtract", &[Val::I64(50), Val::I64(8)]);
    assert!(matches!(result, Ok(Some(Val::I64(42)))));
    let (result, _) = call("later", &[Val::I32(50), Val::I32(8)]);
    assert!(matches!(result, Ok(Some(Val::I32(42)))));
    let (result, calls) = call("note", &[Val::I64(1), Val::I32(2)]);
    assert!(matches!(result, Ok(None)));
    assert_eq!(calls.0, ["1, 2"]);
    let (_, calls) = call("nothing", &[]);
    assert_eq!(calls.0, ["nothing"]);
}

#[test]
fn a_function_of_another_name_can_implement_it() {
    let (result, _) = call("halve", &[Val::F64(5.0_f64.to_bits())]);
    assert_eq!(result.unwrap().unwrap().unwrap_f64(), 2.5);
}

#[test]
fn an_error_is_a_trap() {
    let (result, _) = call("later", &[Val::I32(1), Val::I32(2)]);
    assert!(format!("{:#}", result.unwrap_err()).contains("below 0"));
}

#[test]
fn what_is_returned_goes_through_the_function_behind_via() {
    for (name, even, odd) in [
        ("small", Val::I32(2), Val::I32(3)),
        ("large", Val::I64(2), Val::I64(3)),
    ] {
        let (result, _) = call(name, &[even]);
        assert!(matches!(result, Ok(Some(Val::I32(0)))), "{name}");
        let (result, _) = call(name, &[odd]);
        assert!(format!("{:#}", result.unwrap_err()).contains("odd"));
    }
}

#[test]
fn the_list_has_those_of_the_submodules_first_and_the_types_of_webassembly() {
    let names: Vec<_> = HOST_FUNCTIONS
        .iter()
        .map(|function| (function.namespace, function.name))
        .collect();
    let expected = [
        ("sums", "subtract"),
        ("sums", "later"),
        ("sums", "halve"),
        ("answers", "small"),
        ("answers", "large"),
        ("effects", "nothing"),
        ("effects", "note"),
    ];
    assert_eq!(names, expected);
    let subtract = HostFunction {
        namespace: "sums",
        name: "subtract",
        params: &[
            Param {
                name: "from",
                ty: ValueType::I64,
            },
            Param {
                name: "number",
                ty: ValueType::I64,
            },
        ],
        result: Some(ValueType::I64),
    };
    assert_eq!(HOST_FUNCTIONS[0], subtract);
}

#[test]
fn types_are_written_as_the_text_format_has_them() {
    let types: Vec<_> = HOST_FUNCTIONS.iter().map(HostFunction::type_use).collect();
    let expected = [
        "(param i64 i64) (result i64)",
        "(param i32 i32) (result i32)",
        "(param f64) (result f64)",
        "(param i32) (result i32)",
        "(param i64) (result i32)",
        "",
        "(param i64 i32)",
    ];
    assert_eq!(types, expected);
}
