//! A guest in C on a cluster of two: `guests/c/nodes.c`, which uses what `guests/c/lunatic.h`
//! has of nodes, names, groups and ends.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod cluster;

use cluster::{Cluster, until, within};
use lunatic_cli::{Config, Root};
use lunatic_testkit::built::guest_in;

#[test]
fn a_guest_in_c_uses_nodes_names_groups_and_reasons() {
    let Some(module) = guest_in("LUNATIC_C_GUESTS", "nodes.wasm") else {
        return;
    };
    let cluster = Cluster::of_two();
    let (runtime, _) = &cluster.runtimes[1];
    let ended = within(async {
        let module = runtime.load(std::fs::read(module).unwrap()).await.unwrap();
        let root = Root::new("_start").config(Config::trusted());
        runtime.spawn(&module, root).await.unwrap().wait().await
    });
    assert!(ended.is_normal(), "{ended}");
    // Nothing of it is left on the other node.
    let there = cluster.runtimes[0].0.environment();
    until(|| there.process_count() == 0);
    assert_eq!(there.spawned_count(), 2);
    cluster.stop();
}
