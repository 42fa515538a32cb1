//! The namespace `lunatic::metrics`, called by a guest.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::block_on;
use lunatic_abi::{AbiHost, ErrorTable};
use lunatic_account::Account;
use lunatic_metrics::Metrics;
use lunatic_metrics::guest::{HOST_FUNCTIONS, MetricsHost, add_to_linker};
use lunatic_testkit::guest::{Guest, args, forwarding};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use wasmtime::{Memory, Val};

const NAME: u32 = 1024;
const END: u32 = 17 * 65536;

struct Host {
    metrics: Metrics,
    memory: Option<Memory>,
    errors: ErrorTable,
    account: Account,
}

impl AbiHost for Host {
    fn memory(&self) -> Option<Memory> {
        self.memory
    }

    fn account(&self) -> &Account {
        &self.account
    }

    fn errors(&mut self) -> &mut ErrorTable {
        &mut self.errors
    }
}

impl MetricsHost for Host {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

fn guest() -> Guest<Host> {
    let host = Host {
        metrics: Metrics::new(),
        memory: None,
        errors: ErrorTable::new(),
        account: Account::default(),
    };
    let module = forwarding(HOST_FUNCTIONS, 17);
    Guest::new(&module, host, add_to_linker, |host, memory| {
        host.memory = Some(memory);
    })
}

fn call(guest: &mut Guest<Host>, function: &str, name: &str, value: Option<Val>) {
    guest.put(NAME, name.as_bytes());
    let mut params = args![NAME, name.len() as u32].to_vec();
    params.extend(value);
    block_on(guest.invoke(function, &params)).unwrap();
}

fn float(value: f64) -> Option<Val> {
    Some(Val::F64(value.to_bits()))
}

fn written(guest: &Guest<Host>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(guest.store.data().metrics.clone()));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn each_function_records_what_it_says() {
    let mut guest = guest();
    call(&mut guest, "counter", "shop::orders", Some(Val::I64(42)));
    call(&mut guest, "increment_counter", "shop::orders", None);
    call(&mut guest, "gauge", "oven", float(200.0));
    call(&mut guest, "increment_gauge", "oven", float(20.0));
    call(&mut guest, "decrement_gauge", "oven", float(50.0));
    call(&mut guest, "histogram", "seconds", float(0.5));
    let text = written(&guest);
    for line in [
        "shop::orders_total 43",
        "oven 170.0",
        "seconds_sum 0.5",
        "seconds_count 1",
        "seconds_bucket{le=\"+Inf\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
    }
}

#[test]
fn hostile_names_are_counted_and_never_written() {
    let mut guest = guest();
    let long = "x".repeat(1 << 20);
    for name in [
        "<script>alert(1)</script>",
        "a\nlunatic_processes 1",
        "\u{1b}[2J",
        "",
        "lunatic_processes",
        &long,
    ] {
        call(&mut guest, "increment_counter", name, None);
    }
    call(&mut guest, "gauge", "fine", float(f64::NAN));
    let text = written(&guest);
    assert!(
        text.contains("refused_total{reason=\"name\"} 6\n"),
        "{text}"
    );
    assert!(
        text.contains("refused_total{reason=\"value\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("\nlunatic_guest_metrics 0\n"), "{text}");
    assert!(!text.contains("script") && !text.contains('\u{1b}'));
}

#[test]
fn a_bad_address_and_text_that_is_no_utf_8_are_traps() {
    let mut guest = guest();
    guest.put(NAME, b"\xff");
    for function in HOST_FUNCTIONS {
        let mut trap = |ptr: u32, len: u32| {
            let mut params = args![ptr, len].to_vec();
            params.extend(function.params.iter().skip(2).map(|param| match param.ty {
                lunatic_abi::ValueType::F64 => Val::F64(0),
                _ => Val::I64(0),
            }));
            block_on(guest.invoke(function.name, &params)).unwrap_err();
        };
        trap(NAME, 1);
        trap(END - 1, 2);
        trap(END - 1, u32::MAX);
    }
}
