//! What is written of metrics, whatever was recorded.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::HashSet;

use lunatic_account::{Account, AccountLimits, Kind as Charged};
use lunatic_metrics::{
    InvalidName, Kind, MAX_NAME_BYTES, MAX_NAMES, MAX_NAMES_OF_ONE_BRANCH, MAX_NAMES_TOGETHER,
    MetricName, Metrics, NotRecorded, Update,
};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use prometheus_parse::{Sample, Scrape, Value};
use proptest::prelude::*;

fn written(metrics: &Metrics) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics.clone()));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

fn parsed(metrics: &Metrics) -> Vec<Sample> {
    let text = written(metrics);
    assert!(text.ends_with("# EOF\n"));
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    Scrape::parse(lines).unwrap().samples
}

fn value(metrics: &Metrics, name: &str) -> Value {
    let mut samples = parsed(metrics).into_iter();
    let found = samples.find(|sample| sample.metric == name);
    found.unwrap_or_else(|| panic!("{name} is written")).value
}

/// The value of a sample, whose type the parser knows for gauges only: to it, `x` and
/// `x_total` are not the same.
fn number(metrics: &Metrics, name: &str) -> f64 {
    match value(metrics, name) {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
        other => panic!("{name} is {other:?}"),
    }
}

fn unlimited() -> Account {
    Account::default()
}

#[test]
fn a_counter_adds_up_a_gauge_is_set_and_a_histogram_counts_its_buckets() {
    let (metrics, payer) = (Metrics::new(), unlimited());
    let record = |name, update| metrics.record(name, update, &payer).unwrap();
    record("orders", Update::Count(40));
    record("orders_total", Update::Count(2));
    record("oven.degrees", Update::Set(200.0));
    record("oven.degrees", Update::Add(-30.5));
    record("seconds", Update::Sample(0.2));
    record("seconds", Update::Sample(40.0));

    assert_eq!(number(&metrics, "orders_total"), 42.0);
    assert_eq!(value(&metrics, "oven_degrees"), Value::Gauge(169.5));
    let Value::Histogram(buckets) = value(&metrics, "seconds") else {
        panic!("it is a histogram");
    };
    let up_to = |end: f64| buckets.iter().find(|bucket| bucket.less_than == end);
    assert_eq!(up_to(0.1).unwrap().count, 0.0);
    assert_eq!(up_to(0.25).unwrap().count, 1.0);
    assert_eq!(up_to(f64::INFINITY).unwrap().count, 2.0);
}

#[test]
fn a_counter_stays_at_its_highest_value() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        metrics
            .record("n", Update::Count(u64::MAX), &unlimited())
            .unwrap();
    }
    assert!(written(&metrics).contains(&format!("\nn_total {}\n", u64::MAX)));
}

#[test]
fn values_that_are_no_finite_numbers_are_counted_and_not_recorded() {
    let metrics = Metrics::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, f64::MIN] {
        for update in [
            Update::Set(value),
            Update::Add(value),
            Update::Sample(value),
        ] {
            let refused = metrics.record("x", update, &unlimited());
            assert_eq!(refused, Err(NotRecorded::Value));
        }
    }
    assert_eq!(metrics.names_together(), 0);
    let refused: Vec<_> = metrics.refused().collect();
    assert!(refused.contains(&("value", 15)), "{refused:?}");
}

#[test]
fn a_name_has_one_kind() {
    let metrics = Metrics::new();
    metrics.record("x", Update::Set(1.0), &unlimited()).unwrap();
    let refused = metrics.record("x", Update::Count(1), &unlimited());
    assert_eq!(refused, Err(NotRecorded::Kind));
    assert_eq!(value(&metrics, "x"), Value::Gauge(1.0));
}

#[test]
fn names_of_the_runtime_and_names_that_break_lines_are_refused() {
    let new = |name: &str| MetricName::new(name.to_owned(), Kind::Gauge);
    assert_eq!(new(""), Err(InvalidName::Empty));
    assert_eq!(new("lunatic_processes"), Err(InvalidName::Reserved));
    assert!(new("lunatic::metrics_example::gauge").is_ok());
    assert_eq!(new("a\nb 1"), Err(InvalidName::Character('\n')));
    assert_eq!(new("1st"), Err(InvalidName::Character('1')));
    assert_eq!(new("a{b=\"c\"}"), Err(InvalidName::Character('{')));
    assert_eq!(
        new(&"x".repeat(MAX_NAME_BYTES + 1)),
        Err(InvalidName::TooLong)
    );
}

#[test]
fn ten_thousand_names_of_one_group_are_a_thousand() {
    let (metrics, payer) = (Metrics::new(), unlimited());
    let names = (0..10_000).map(|n| metrics.record(&format!("n{n}"), Update::Count(1), &payer));
    let recorded = names.filter(Result::is_ok).count();
    assert_eq!(recorded, MAX_NAMES);
    // Those that there are go on.
    metrics.record("n0", Update::Count(1), &payer).unwrap();
    assert_eq!(number(&metrics, "n0_total"), 2.0);
    assert_eq!(payer.used(Charged::Names), MAX_NAMES as u64);
}

#[test]
fn many_groups_together_have_a_limit_too_and_give_names_back() {
    let (metrics, payer) = (Metrics::new(), unlimited());
    let branches: Vec<_> = (0..10).map(|_| metrics.branch()).collect();
    let mut recorded = 0;
    for branch in &branches {
        for n in 0..MAX_NAMES {
            let update = Update::Sample(1.0);
            recorded += usize::from(branch.record(&format!("n{n}"), update, &payer).is_ok());
        }
    }
    assert_eq!(recorded, MAX_NAMES_TOGETHER);
    drop(branches);
    assert_eq!(metrics.names_together(), 0);
    assert_eq!(payer.used(Charged::Names), 0);
    assert_eq!(payer.used(Charged::Memory), 0);
    metrics.record("own", Update::Count(1), &payer).unwrap();
}

#[test]
fn who_may_have_no_more_names_records_under_those_that_there_are() {
    let metrics = Metrics::new();
    let payer = unlimited();
    let limits = AccountLimits {
        names: 2,
        ..AccountLimits::UNLIMITED
    };
    let branch = payer.branch(limits).unwrap();
    for name in ["a", "b"] {
        metrics.record(name, Update::Count(1), &branch).unwrap();
    }
    let refused = metrics.record("c", Update::Count(1), &branch);
    assert!(matches!(refused, Err(NotRecorded::Exceeded(_))));
    metrics.record("a", Update::Count(1), &branch).unwrap();
    // Others are not concerned.
    metrics.record("c", Update::Count(1), &payer).unwrap();
}

#[test]
fn a_branch_neither_sees_nor_hides_the_metrics_of_others() {
    let (metrics, payer) = (Metrics::new(), unlimited());
    let branch = metrics.branch();
    branch.record("x", Update::Set(7.0), &payer).unwrap();
    branch.record("y", Update::Set(7.0), &payer).unwrap();
    branch.record("z_total", Update::Set(7.0), &payer).unwrap();
    // Later, of other kinds, and one whose sample is called as that of the branch.
    metrics.record("x", Update::Count(1), &payer).unwrap();
    metrics.record("y", Update::Set(1.0), &payer).unwrap();
    metrics.record("z", Update::Count(1), &payer).unwrap();

    let text = written(&metrics);
    assert!(text.contains("\nx_total 1\n"), "{text}");
    assert!(text.contains("\ny 1.0\n"), "{text}");
    assert!(text.contains("\ny{branch=\"1\"} 7.0\n"), "{text}");
    assert!(text.contains("\nz_total 1\n"), "{text}");
    assert!(
        text.contains("\nlunatic_guest_metrics_hidden 2\n"),
        "{text}"
    );
    drop(branch);
    assert!(!written(&metrics).contains("branch="));
}

/// No line is written twice, all of a family stand together, and each has its type before.
fn assert_is_valid(text: &str) {
    let (mut families, mut samples) = (HashSet::new(), HashSet::new());
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(declared.split(' ').next().unwrap().to_owned()));
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(samples.insert(series.to_owned()), "{series} is there twice");
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        }
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
}

fn updates() -> impl Strategy<Value = Update> {
    prop_oneof![
        any::<u64>().prop_map(Update::Count),
        any::<f64>().prop_map(Update::Set),
        any::<f64>().prop_map(Update::Add),
        any::<f64>().prop_map(Update::Sample),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_valid_whatever_was_recorded(
        recorded in prop::collection::vec(
            ("[ab](_total|_sum|_count|_bucket|\"|\n|\u{1b}|<)?|\\PC*", updates(), 0..3usize),
            0..60,
        ),
    ) {
        let metrics = Metrics::new();
        let groups = [metrics.clone(), metrics.branch(), metrics.branch()];
        for (name, update, group) in recorded {
            groups[group].record(&name, update, &unlimited()).ok();
        }
        let text = written(&metrics);
        assert_is_valid(&text);
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        prop_assert!(Scrape::parse(lines).is_ok());
    }
}

/// Records names until one is refused, and returns how many were not.
fn fill(metrics: &Metrics, payer: &Account) -> usize {
    (0..=MAX_NAMES_TOGETHER)
        .take_while(|number| {
            let name = format!("name_{number}");
            metrics.record(&name, Update::Count(1), payer).is_ok()
        })
        .count()
}

#[test]
fn a_branch_leaves_names_for_others_however_many_branches_it_makes() {
    let root = Account::default();
    let metrics = Metrics::new();
    let branch = || root.branch(AccountLimits::UNLIMITED).unwrap();
    let greedy = branch();
    let below: Vec<_> = (0..10)
        .map(|_| greedy.branch(AccountLimits::UNLIMITED).unwrap())
        .collect();
    let of_below: Vec<_> = below.iter().map(|_| metrics.branch()).collect();
    let taken = of_below.iter().zip(&below);
    let taken: usize = taken.map(|(metrics, payer)| fill(metrics, payer)).sum();
    assert_eq!(taken, MAX_NAMES_OF_ONE_BRANCH);
    let others: Vec<_> = (0..8).map(|_| (branch(), metrics.branch())).collect();
    for (other, metrics) in &others {
        assert!(fill(metrics, other) > 20);
    }
    // The program itself has its names in any case.
    assert_eq!(fill(&metrics, &root), MAX_NAMES);
    // What is gone leaves room.
    drop(of_below);
    assert!(fill(&metrics.branch(), &branch()) > 200);
}
