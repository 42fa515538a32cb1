//! What may be connected to and bound.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::block_on;
use lunatic_net::Action::{self, Bind, Connect};
use lunatic_net::{Denied, NetConfig, Rule, Rules};

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn allowing(texts: &[&str]) -> NetConfig {
    NetConfig::default().narrowed(Rules {
        allow: Some(rules(texts)),
        deny: Vec::new(),
    })
}

fn denying(texts: &[&str]) -> NetConfig {
    NetConfig::default().narrowed(Rules {
        allow: None,
        deny: rules(texts),
    })
}

fn check(config: &NetConfig, action: Action, address: &str) -> Result<(), Denied> {
    block_on(config.check(action, address.parse().unwrap(), None))
}

#[track_caller]
fn assert_allowed(config: &NetConfig, action: Action, address: &str) {
    assert_eq!(check(config, action, address), Ok(()), "{address}");
}

#[track_caller]
fn assert_denied(config: &NetConfig, action: Action, address: &str) {
    assert!(check(config, action, address).is_err(), "{address}");
}

#[test]
fn without_rules_everything_is_allowed() {
    let config = NetConfig::default();
    assert_allowed(&config, Connect, "203.0.113.1:80");
    assert_allowed(&config, Bind, "[::]:0");
    assert_eq!(config.check_lookup("example.com"), Ok(()));
}

#[test]
fn what_no_rule_allows_is_denied() {
    let config = allowing(&[
        "10.0.0.0/8:443",
        "bind:127.0.0.1:8000-8999",
        "[fd00::/8]:53",
    ]);
    assert_allowed(&config, Connect, "10.1.2.3:443");
    assert_denied(&config, Connect, "10.1.2.3:80");
    assert_denied(&config, Connect, "11.1.2.3:443");
    assert_allowed(&config, Bind, "127.0.0.1:8080");
    assert_denied(&config, Connect, "127.0.0.1:8080");
    assert_denied(&config, Bind, "127.0.0.1:9000");
    assert_denied(&config, Bind, "0.0.0.0:8080");
    assert_allowed(&config, Connect, "[fd12::1]:53");
    assert_denied(&config, Connect, "[fe80::1]:53");
    assert_denied(&NetConfig::nothing(), Connect, "127.0.0.1:1");
}

#[test]
fn the_refusal_names_the_rule() {
    let denied = check(&denying(&["connect:10.0.0.0/8"]), Connect, "10.0.0.1:80").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "permission denied: this process may not connect to 10.0.0.1:80: \
         the rule `connect:10.0.0.0/8` denies it"
    );
    let denied = check(&allowing(&["bind:*:80", "::1"]), Bind, "127.0.0.1:81").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "permission denied: this process may not bind 127.0.0.1:81: \
         only `bind:*:80`, `::1` are allowed"
    );
}

#[test]
fn a_denial_goes_before_what_is_allowed() {
    let config = NetConfig::default().narrowed(Rules {
        allow: Some(rules(&["127.0.0.0/8"])),
        deny: rules(&["127.0.0.1:22"]),
    });
    assert_allowed(&config, Connect, "127.0.0.1:80");
    assert_denied(&config, Connect, "127.0.0.1:22");
}

#[test]
fn another_name_for_an_address_is_no_way_around_a_denial() {
    let config = denying(&["127.0.0.0/8", "::1", "10.0.0.1"]);
    assert_denied(&config, Connect, "[::ffff:10.0.0.1]:80");
    assert_denied(&config, Connect, "0.0.0.0:80");
    assert_denied(&config, Connect, "[::]:80");
    assert_denied(&config, Bind, "0.0.0.0:80");
    assert_denied(&config, Bind, "[::]:80");
    assert_allowed(&config, Bind, "10.0.0.2:80");
}

#[test]
fn an_address_of_ipv4_inside_of_one_of_ipv6_is_no_way_around_a_denial() {
    let config = denying(&["10.0.0.0/8"]);
    assert_denied(&config, Connect, "[::10.0.0.1]:80");
    assert_denied(&config, Connect, "[64:ff9b::10.0.0.1]:80");
    assert_denied(&config, Connect, "[2002:0a00:0001::1]:80");
    assert_allowed(&config, Connect, "[::11.0.0.1]:80");
    assert_allowed(&config, Connect, "[::1]:80");
    // Such an address is not allowed by what is inside of it.
    let config = allowing(&["10.0.0.0/8"]);
    assert_denied(&config, Connect, "[::10.0.0.1]:80");
    assert_denied(&config, Connect, "[64:ff9b::10.0.0.1]:80");
}

#[test]
fn a_rule_with_a_mapped_address_is_one_of_ipv4() {
    let config = denying(&["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]);
    assert_denied(&config, Connect, "10.1.2.3:80");
    assert_denied(&config, Connect, "[::ffff:10.1.2.3]:80");
    assert_denied(&config, Connect, "192.0.2.1:80");
    assert_allowed(&config, Connect, "11.1.2.3:80");
}

#[test]
fn the_unspecified_address_is_denied_by_its_own_rule_and_by_that_of_this_machine() {
    for rule in ["0.0.0.0", "127.0.0.1", "localhost"] {
        assert_denied(&denying(&[rule]), Connect, "0.0.0.0:80");
        assert_denied(&denying(&[rule]), Connect, "[::ffff:0.0.0.0]:80");
    }
    for rule in ["::", "::1", "localhost"] {
        assert_denied(&denying(&[rule]), Connect, "[::]:80");
    }
}

#[test]
fn a_zone_is_no_way_around_a_denial() {
    let config = denying(&["fe80::1"]);
    assert_denied(&config, Connect, "[fe80::1%3]:80");
}

#[test]
fn a_denied_name_that_cannot_be_looked_up_denies_every_address() {
    let config = denying(&["connect:nothing.invalid:80"]);
    let denied = check(&config, Connect, "203.0.113.1:80").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "permission denied: this process may not connect to 203.0.113.1:80: \
         the rule `connect:nothing.invalid:80` may deny it, and its addresses cannot be looked up"
    );
    // Neither right after the look-up that failed, nor for an address by another name.
    assert_denied(&config, Connect, "203.0.113.1:80");
    let named = config.check(
        Connect,
        "203.0.113.1:80".parse().unwrap(),
        Some("a.example"),
    );
    assert!(block_on(named).is_err());
    // What the rule is not about is not denied by it.
    assert_allowed(&config, Connect, "203.0.113.1:81");
    assert_allowed(&config, Bind, "203.0.113.1:80");
}

#[test]
fn an_allowed_name_that_cannot_be_looked_up_allows_nothing() {
    assert_denied(&allowing(&["nothing.invalid"]), Connect, "203.0.113.1:80");
}

#[test]
fn to_deny_localhost_denies_all_of_this_machine() {
    for rule in ["localhost", "LOCALHOST.", "a.localhost"] {
        let config = denying(&[rule]);
        for address in [
            "127.0.0.1:80",
            "127.9.8.7:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:127.9.8.7]:80",
            "0.0.0.0:80",
            "[::]:80",
        ] {
            assert_denied(&config, Connect, address);
            assert_denied(&config, Bind, address);
        }
        assert_allowed(&config, Connect, "203.0.113.1:80");
    }
}

#[test]
fn a_port_that_the_system_chose_is_checked_against_denials_only() {
    let bound =
        |config: &NetConfig| block_on(config.check_bound("127.0.0.1:8080".parse().unwrap()));
    assert!(bound(&denying(&["bind:*:8000-8999"])).is_err());
    assert!(bound(&denying(&["connect:*:8000-8999"])).is_ok());
    assert!(bound(&allowing(&["bind:*:0"])).is_ok());
}

#[test]
fn a_host_name_stands_for_the_addresses_it_leads_to() {
    let config = allowing(&["localhost:80"]);
    assert_allowed(&config, Connect, "127.0.0.1:80");
    assert_denied(&config, Connect, "127.0.0.1:81");
    assert_denied(&config, Connect, "203.0.113.1:80");
    assert_denied(&denying(&["localhost"]), Connect, "127.0.0.1:80");
}

#[test]
fn what_a_name_was_resolved_to_is_remembered_by_the_rules_that_name_it() {
    let config = allowing(&["service.invalid:80"]);
    config.learn("SERVICE.invalid.", &["203.0.113.7:0".parse().unwrap()]);
    config.learn("other.invalid", &["203.0.113.8:0".parse().unwrap()]);
    assert_allowed(&config, Connect, "203.0.113.7:80");
    assert_denied(&config, Connect, "203.0.113.8:80");
}

#[test]
fn a_name_is_looked_up_only_if_it_may_lead_somewhere() {
    let config = allowing(&["a.example:80"]);
    assert_eq!(config.check_lookup("A.example."), Ok(()));
    assert!(config.check_lookup("b.example").is_err());
    assert_eq!(allowing(&["10.0.0.0/8"]).check_lookup("b.example"), Ok(()));
    assert!(denying(&["b.example"]).check_lookup("b.example").is_err());
    assert!(NetConfig::nothing().check_lookup("b.example").is_err());
}

#[test]
fn a_config_is_only_ever_narrowed() {
    let parent = allowing(&["127.0.0.0/8"]);
    let child = NetConfig::default().capped(&parent);
    assert_denied(&child, Connect, "10.0.0.1:80");
    let grandchild = allowing(&["127.0.0.1:80", "10.0.0.1"]).capped(&child);
    assert_allowed(&grandchild, Connect, "127.0.0.1:80");
    assert_denied(&grandchild, Connect, "127.0.0.1:81");
    assert_denied(&grandchild, Connect, "10.0.0.1:80");

    let mut small = NetConfig::default();
    small.max_sockets = 3;
    assert_eq!(NetConfig::default().capped(&small).max_sockets, 3);
    assert_eq!(small.capped(&NetConfig::default()).max_sockets, 3);
}

#[test]
fn a_rule_is_written_as_it_is_read() {
    for (text, written) in [
        ("*", "*"),
        ("*:*", "*"),
        ("*:80", "*:80"),
        ("connect:example.com:1-2", "connect:example.com:1-2"),
        ("bind:127.0.0.1", "bind:127.0.0.1"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:80", "[::1]:80"),
        ("fd00::/8", "fd00::/8"),
        ("example.com.", "example.com"),
    ] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), written);
    }
}

#[test]
fn what_is_not_a_rule_is_refused_with_a_reason() {
    for text in [
        "",
        ":80",
        "a:",
        "a:b",
        "a:80000",
        "a:9-8",
        "a b",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4/33",
        "[::1",
        "[::1]80",
        "http://a",
        "connect:",
        "a:1-2-3",
    ] {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains("is not a network rule: "), "{error}");
    }
}

#[test]
fn a_config_is_the_same_on_another_node() {
    let config = allowing(&["connect:10.0.0.0/8:80-90", "bind:127.0.0.1"])
        .capped(&denying(&["10.1.2.3", "[fd00::/8]:443"]));
    let bytes = postcard::to_allocvec(&config).unwrap();
    let there: NetConfig = postcard::from_bytes(&bytes).unwrap();
    for (action, address, allowed) in [
        (Connect, "10.9.9.9:80", true),
        (Connect, "10.1.2.3:80", false),
        (Connect, "10.9.9.9:91", false),
        (Bind, "10.9.9.9:80", false),
        (Bind, "127.0.0.1:0", true),
    ] {
        assert_eq!(
            check(&config, action, address).is_ok(),
            allowed,
            "{address}"
        );
        assert_eq!(check(&there, action, address).is_ok(), allowed, "{address}");
    }
    assert_eq!(there.max_sockets, config.max_sockets);
    assert_eq!(there.handshake_limit, config.handshake_limit);
}

#[test]
fn a_config_with_a_bad_rule_does_not_arrive() {
    let config = allowing(&["localhost"]);
    let bytes = postcard::to_allocvec(&config).unwrap();
    let mut bad = bytes.clone();
    let at = bad
        .windows(9)
        .position(|text| text == b"localhost")
        .unwrap();
    bad[at] = b'[';
    assert!(postcard::from_bytes::<NetConfig>(&bytes).is_ok());
    assert!(postcard::from_bytes::<NetConfig>(&bad).is_err());
}
