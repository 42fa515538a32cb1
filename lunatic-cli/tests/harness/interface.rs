//! The host functions that guests of tests import.

use lunatic_abi::{HostFunction, Param, ValueType};
use lunatic_cli::HOST_FUNCTIONS;

/// Those of the runtime and those of the harness.
pub fn interface() -> impl Iterator<Item = &'static HostFunction> {
    HOST_FUNCTIONS.iter().chain(TEST_FUNCTIONS)
}

/// What a [`World`](super::World) registers.
pub const TEST_FUNCTIONS: &[HostFunction] = &[
    test_function("report", &[VALUE], None),
    test_function("say", &[PTR, LEN], None),
    test_function("given", &[PTR], Some(ValueType::I32)),
    test_function("set", &[VALUE], None),
    test_function("setting", &[], Some(ValueType::I64)),
    test_function("panic", &[], None),
];

const VALUE: Param = Param {
    name: "value",
    ty: ValueType::I64,
};

const PTR: Param = Param {
    name: "ptr",
    ty: ValueType::I32,
};

const LEN: Param = Param {
    name: "len",
    ty: ValueType::I32,
};

const fn test_function(
    name: &'static str,
    params: &'static [Param],
    result: Option<ValueType>,
) -> HostFunction {
    HostFunction {
        namespace: "test",
        name,
        params,
        result,
    }
}

/// The name of a function in the text of a guest: its own, behind the namespace
/// where that would say too little.
pub fn alias(function: &HostFunction) -> String {
    let HostFunction {
        namespace, name, ..
    } = function;
    match *namespace {
        "lunatic::error" => format!("$error_{name}"),
        "lunatic::registry" => format!("$registry_{name}"),
        "lunatic::group" => format!("$group_{name}"),
        "lunatic::distributed" => format!("$distributed_{name}"),
        "lunatic::supervisor" => format!("$supervisor_{name}"),
        "lunatic::sqlite" => format!("$sqlite_{name}"),
        _ => format!("${name}"),
    }
}

/// The import of a function under a name.
pub fn import(function: &HostFunction, alias: &str) -> String {
    import_as(function, &format!("{alias} {}", function.type_use()))
}

/// The import of a function with a type that may not be its own.
pub fn import_as(function: &HostFunction, ty: &str) -> String {
    let HostFunction {
        namespace, name, ..
    } = function;
    format!("(import \"{namespace}\" \"{name}\" (func {ty}))\n")
}
