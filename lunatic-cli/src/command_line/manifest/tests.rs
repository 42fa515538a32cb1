//! What a manifest is read as, and what is said of one that is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lunatic_account::AccountLimits;
use lunatic_supervisor::{
    AutoShutdown, Backoff, ChildKind, ChildSpec, Intensity, Restart, ShutdownPolicy, Strategy,
};
use lunatic_wasi::Access;

use super::ParseContext;
use super::application::{Program, ProgramOrSupervisor, Supervisor};
use super::parse::parse;

fn context() -> ParseContext<'static> {
    let variable = |key: &str| (key.to_owned(), format!("{key} from outside"));
    ParseContext {
        directory: Path::new("apps/shop"),
        variables: vec![variable("LANG"), variable("HOME"), variable("PORT")],
    }
}

#[track_caller]
fn read(text: &str) -> Supervisor {
    match parse(text, &context()) {
        Ok((application, diagnostics)) if diagnostics.is_empty() => application.top,
        Ok((_, diagnostics)) | Err(diagnostics) => panic!("{diagnostics:?}"),
    }
}

/// What is wrong with a manifest, as it is shown.
#[track_caller]
fn wrong(text: &str) -> Vec<String> {
    let diagnostics = match parse(text, &context()) {
        Ok((_, diagnostics)) | Err(diagnostics) => diagnostics,
    };
    assert!(!diagnostics.is_empty(), "nothing is wrong");
    let shown = |diagnostic: super::diagnostic::Diagnostic| {
        let problem = diagnostic.explain(Path::new("app.toml"), text);
        let (what, help) = problem.into_parts();
        what + "\n" + &help.unwrap_or_default()
    };
    diagnostics.sorted().into_iter().map(shown).collect()
}

/// A child with these lines has one mistake, and all of this is said of it.
#[track_caller]
fn wrong_child(lines: &str, says: &[&str]) {
    let text = format!("[[children]]\nname = \"web\"\nmodule = \"web.wasm\"\n{lines}\n");
    let wrong = wrong(&text);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    for part in says {
        assert!(wrong[0].contains(part), "no {part:?} in {}", wrong[0]);
    }
}

fn program(child: &ChildSpec<ProgramOrSupervisor>) -> &Program {
    match &child.start {
        ProgramOrSupervisor::Program(program) => program,
        ProgramOrSupervisor::Supervisor(_) => panic!("{} is a supervisor", child.name),
    }
}

#[test]
fn a_name_and_a_module_are_enough() {
    let top = read("[[children]]\nname = \"web\"\nmodule = \"web.wasm\"\n");
    assert_eq!(top.flags, lunatic_supervisor::Flags::default());
    let [child] = &top.children[..] else {
        panic!("{top:?}");
    };
    assert_eq!(child.name, "web");
    assert_eq!(child.restart, Restart::Permanent);
    assert_eq!(
        child.shutdown,
        ShutdownPolicy::Timeout(Duration::from_secs(5))
    );
    assert_eq!(child.kind, ChildKind::Worker);
    assert!(!child.significant);
    let program = program(child);
    assert_eq!(program.module.value, PathBuf::from("apps/shop/web.wasm"));
    assert_eq!(program.export.value, "_start");
    assert_eq!(program.config.wasi.args().collect::<Vec<_>>(), ["web.wasm"]);
    assert_eq!(program.config.wasi.env().count(), 0);
    assert!(program.config.wasi.preopens().is_empty());
    assert!(program.config.process.can_spawn_processes);
}

#[test]
fn everything_can_be_said() {
    let top = read(
        r#"
        strategy = "rest_for_one"
        intensity = 3
        period = "1m"
        auto_shutdown = "any_significant"
        backoff = { first = "100ms", longest = "5s", jitter = 50 }

        [[children]]
        name = "web"
        module = "modules/web.wasm"
        export = "serve"
        args = ["--port", "80"]
        env = { PORT = "80", EMPTY = "" }
        inherit_env = ["LANG", "PORT", "NOT_THERE"]
        dirs = ["public::/public:ro", "/srv"]
        allow_net = ["bind:127.0.0.1:80"]
        deny_net = ["10.0.0.0/8"]
        max_memory = "64MiB"
        max_fuel = 12
        restart = "transient"
        shutdown = "brutal_kill"
        significant = true

        [[children]]
        name = "pool"
        strategy = "one_for_all"
        restart = "temporary"
        shutdown = "10s"

        [[children.children]]
        name = "worker"
        count = 3
        module = "/lib/worker.wasm"
        shutdown = "infinity"
        max_memory = 65536

        [[children.children]]
        name = "nobody"
        children = []
        "#,
    );
    assert_eq!(top.flags.strategy, Strategy::RestForOne);
    let period = Duration::from_secs(60);
    let restarts = 3;
    assert_eq!(top.flags.intensity, Intensity { restarts, period });
    assert_eq!(top.flags.auto_shutdown, AutoShutdown::AnySignificant);
    let backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(5),
        jitter: 50,
    };
    assert_eq!(top.flags.backoff, Some(backoff));
    let [web, pool] = &top.children[..] else {
        panic!("{top:?}");
    };
    assert_eq!(web.restart, Restart::Transient);
    assert_eq!(web.shutdown, ShutdownPolicy::BrutalKill);
    assert!(web.significant);
    let Program {
        export,
        config,
        dirs,
        ..
    } = program(web);
    assert_eq!(export.value, "serve");
    let args: Vec<_> = config.wasi.args().collect();
    assert_eq!(args, ["web.wasm", "--port", "80"]);
    let mut env: Vec<_> = config.wasi.env().collect();
    env.sort_unstable();
    let expected = [("EMPTY", ""), ("LANG", "LANG from outside"), ("PORT", "80")];
    assert_eq!(env, expected);
    let [public, srv] = config.wasi.preopens() else {
        panic!("{config:?}");
    };
    assert_eq!(public.host(), Path::new("apps/shop/public"));
    assert_eq!(
        (public.guest(), public.access()),
        ("/public", Access::ReadOnly)
    );
    assert_eq!(srv.host(), Path::new("/srv"));
    assert_eq!((srv.guest(), srv.access()), ("/srv", Access::ReadWrite));
    assert_eq!(dirs.len(), 2);
    assert_eq!(config.process.max_memory, 64 << 20);
    assert_eq!(config.process.max_fuel.map(|fuel| fuel.get()), Some(12));

    assert_eq!(pool.kind, ChildKind::Supervisor);
    assert_eq!(pool.restart, Restart::Temporary);
    assert_eq!(
        pool.shutdown,
        ShutdownPolicy::Timeout(Duration::from_secs(10))
    );
    let ProgramOrSupervisor::Supervisor(pool) = &pool.start else {
        panic!("{pool:?}");
    };
    assert_eq!(pool.flags.strategy, Strategy::OneForAll);
    let names: Vec<_> = pool.children.iter().map(|child| &child.name).collect();
    assert_eq!(names, ["worker-1", "worker-2", "worker-3", "nobody"]);
    let worker = program(&pool.children[0]);
    assert_eq!(worker.module.value, PathBuf::from("/lib/worker.wasm"));
    assert_eq!(worker.config.process.max_memory, 65536);
    assert_eq!(pool.children[0].shutdown, ShutdownPolicy::Infinity);
    // A supervisor has the time that its children have.
    assert_eq!(pool.children[3].shutdown, ShutdownPolicy::Infinity);
    assert_eq!(top.counts(), (2, 4));
}

#[test]
fn the_whole_environment_can_be_passed_on() {
    let child = "[[children]]\nname = \"web\"\nmodule = \"web.wasm\"\n";
    let top = read(&format!(
        "{child}inherit_env = true\nenv = {{ LANG = \"C\" }}"
    ));
    let config = &program(&top.children[0]).config;
    let mut env: Vec<_> = config.wasi.env().collect();
    env.sort_unstable();
    assert_eq!(
        env,
        [
            ("HOME", "HOME from outside"),
            ("LANG", "C"),
            ("PORT", "PORT from outside")
        ]
    );
}

#[test]
fn a_child_has_no_network_unless_it_is_given_some() {
    use futures_lite::future::block_on;
    use lunatic_net::Action;
    let may_connect = |lines: &str| {
        let child = "[[children]]\nname = \"web\"\nmodule = \"web.wasm\"\n";
        let top = read(&format!("{child}{lines}"));
        let net = program(&top.children[0]).config.net.clone();
        let address = "127.0.0.1:80".parse().expect("an address");
        block_on(net.check(Action::Connect, address, None)).is_ok()
    };
    assert!(!may_connect(""));
    assert!(may_connect("allow_net = [\"*\"]"));
    assert!(may_connect("allow_net = [\"connect:127.0.0.1\"]"));
    assert!(!may_connect("allow_net = [\"bind:127.0.0.1\"]"));
    assert!(!may_connect(
        "allow_net = [\"*\"]\ndeny_net = [\"127.0.0.0/8\"]"
    ));
    assert!(!may_connect("deny_net = [\"10.0.0.0/8\"]"));
}

#[test]
fn limits_are_those_of_an_account_and_of_databases() {
    let top = read(
        "[[children]]
        name = \"plugin\"
        module = \"plugin.wasm\"
        limits = { memory = \"32MiB\", processes = 16, cpu_per_second = \"50ms\", cpu_weight = 10, output_per_second = \"64KiB\", threads = 2, compile_time_per_second = \"100ms\", log_lines_per_second = 5 }
        sqlite = { file_size = \"10MiB\", heap_size = \"8MiB\", query_time = \"1s\", connections = 4000000 }",
    );
    let config = &top.programs()[0].config;
    let expected = AccountLimits {
        memory: 32 << 20,
        processes: 16,
        cpu: 50_000,
        cpu_weight: 10,
        output: 64 << 10,
        threads: 2,
        compile_time: 100_000,
        log_lines: 5,
        ..AccountLimits::UNLIMITED
    };
    assert_eq!(config.process.account, Some(expected));
    assert_eq!(config.sqlite.max_file_bytes, 10 << 20);
    assert_eq!(config.sqlite.max_heap_bytes, 8 << 20);
    assert_eq!(config.sqlite.max_query_time, Duration::from_secs(1));
    // No more than without the table.
    let default = lunatic_sqlite::SqliteLimits::default();
    assert_eq!(config.sqlite.max_connections, default.max_connections);
    assert_eq!(config.sqlite.max_value_bytes, default.max_value_bytes);
}

#[test]
fn fuel_of_all_processes_is_limited_beside_that_of_each() {
    let top = read(
        "[[children]]
        name = \"plugin\"
        module = \"plugin.wasm\"
        max_fuel = 1000
        limits = { fuel = 5_000_000_000 }",
    );
    let process = &top.programs()[0].config.process;
    let expected = AccountLimits {
        fuel: 5_000_000_000,
        ..AccountLimits::UNLIMITED
    };
    assert_eq!(process.account, Some(expected));
    assert_eq!(process.max_fuel.map(|fuel| fuel.get()), Some(1000));
}

#[test]
fn fuel_with_which_a_child_could_not_start_is_told() {
    wrong_child(
        "limits = { fuel = 10 }",
        &["with `fuel` a child needs `max_fuel`", "does not start"],
    );
    wrong_child(
        "max_fuel = 11\nlimits = { fuel = 10 }",
        &["`fuel` is less than `max_fuel`, which is 11"],
    );
    wrong_child(
        "max_fuel = 1\nlimits = { fuel = 0 }",
        &["`fuel` must be from 1"],
    );
    wrong_child(
        "max_fuel = 1\nlimits = { fuel = \"much\" }",
        &["`fuel` must be an integer"],
    );
}

#[test]
fn wrong_limits_are_told_with_their_keys() {
    wrong_child(
        "limits = { memroy = \"32MiB\" }",
        &["unknown key `memroy`", "did you mean `memory`?"],
    );
    wrong_child(
        "limits = { cpu_weight = 0 }",
        &["`cpu_weight` must be from 1 to 10000"],
    );
    wrong_child(
        "limits = { cpu_per_second = 50 }",
        &["`cpu_per_second` has no unit", "write \"50s\" or \"50ms\""],
    );
    wrong_child(
        "limits = { output_per_second = \"fast\" }",
        &["`output_per_second`"],
    );
    wrong_child("limits = { threads = 0 }", &["`threads`"]);
    wrong_child(
        "limits = { compile_time_per_second = \"0ms\" }",
        &["`compile_time_per_second` must be 1ms at least"],
    );
    wrong_child("limits = 7", &["`limits` must be a table"]);
    wrong_child(
        "sqlite = { query_time = \"soon\" }",
        &["`query_time`", "a time is a whole number and a unit"],
    );
}

#[test]
fn a_typo_is_answered_with_the_nearest_key() {
    wrong_child(
        "retsart = \"permanent\"",
        &[
            "unknown key `retsart`",
            "app.toml:4:1",
            "4 | retsart = \"permanent\"",
            "  | ^^^^^^^",
            "did you mean `restart`?",
        ],
    );
    let top = wrong("stratgy = \"one_for_one\"\nchildren = []");
    assert!(top[0].contains("did you mean `strategy`?"), "{top:?}");
}

#[test]
fn a_key_that_is_like_no_other_is_answered_with_all() {
    wrong_child(
        "colour = 1",
        &["unknown key `colour`", "the keys are `allow_net`, `args`"],
    );
}

#[test]
fn values_of_another_type_are_named() {
    for (lines, says) in [
        (
            "restart = 3",
            "`restart` must be a string, and this is an integer",
        ),
        (
            "significant = \"yes\"",
            "`significant` must be true or false",
        ),
        (
            "args = \"a b\"",
            "`args` must be a list of strings, and this is a string",
        ),
        (
            "args = [\"a\", 3]",
            "`args` must be a list of strings, and this is an integer",
        ),
        (
            "env = [\"A=B\"]",
            "`env` must be a table, and this is an array",
        ),
        (
            "env = { A = 1.5 }",
            "`A` must be a string, and this is a float",
        ),
        ("env = { \"A=B\" = \"C\" }", "`A=B` cannot be the name"),
        (
            "inherit_env = \"A\"",
            "`inherit_env` must be true, false, or a list of names",
        ),
        ("max_fuel = \"1\"", "`max_fuel` must be an integer"),
        ("max_fuel = 0", "`max_fuel` must be from 1"),
        ("count = 100001", "`count` must be from 1 to 100000"),
        (
            "shutdown = 1979-05-27",
            "`shutdown` must be a string, and this is a date",
        ),
        ("export = \"\"", "`export` is empty"),
        ("args = [\"a\\u0000b\"]", "contains a byte 0"),
    ] {
        wrong_child(lines, &[says, "app.toml:4:"]);
    }
}

#[test]
fn words_that_are_no_choice_are_answered_with_those_that_are() {
    wrong_child(
        "restart = \"premanent\"",
        &[
            "`restart` cannot be `premanent`",
            "did you mean `permanent`?",
        ],
    );
    wrong_child(
        "restart = \"always\"",
        &["`permanent`, `transient`, `temporary`"],
    );
}

#[test]
fn times_have_a_unit_and_are_not_negative() {
    for (time, says) in [
        ("5", "`shutdown` has no unit"),
        ("\"5\"", "`shutdown` has no unit"),
        ("\"s\"", "`shutdown` has no number"),
        ("\"\"", "`shutdown` has no number"),
        ("\"-5s\"", "`shutdown` is negative"),
        ("\"5 sec\"", "unknown unit `sec`"),
        ("\"1.5s\"", "unknown unit `.5s`"),
        ("\"99999999999999999999s\"", "too large"),
        ("\"9999999999999999h\"", "too large"),
    ] {
        wrong_child(
            &format!("shutdown = {time}"),
            &[says, "`brutal_kill` or `infinity`"],
        );
    }
    let period = wrong("period = \"-1s\"\nchildren = []");
    assert!(period[0].contains("`period` is negative"), "{period:?}");
    let period = wrong("period = \"0s\"\nchildren = []");
    assert!(period[0].contains("zero"), "{period:?}");
    let intensity = wrong("intensity = -1\nchildren = []");
    assert!(
        intensity[0].contains("`intensity` is negative"),
        "{intensity:?}"
    );
}

#[test]
fn memory_has_a_unit_of_memory() {
    for (memory, says) in [
        ("\"64MB\"", "unknown unit `MB`"),
        ("\"64\"", "has no unit"),
        ("-1", "`max_memory` is negative"),
        ("\"99999999999GiB\"", "too large"),
    ] {
        wrong_child(&format!("max_memory = {memory}"), &[says, "app.toml:4:14"]);
    }
}

#[test]
fn network_rules_and_directories_are_those_of_the_command_line() {
    wrong_child(
        "allow_net = [\"bind:*:80\", \"bind:*:99999\"]",
        &["`bind:*:99999` is not a network rule", "app.toml:4:27"],
    );
    wrong_child("dirs = [\"::\"]", &["HOST::GUEST", "app.toml:4:9"]);
}

#[test]
fn two_children_of_a_supervisor_have_two_names() {
    let duplicate = wrong(
        "[[children]]\nname = \"a-2\"\nmodule = \"m\"\n\
         [[children]]\nname = \"a\"\ncount = 3\nmodule = \"m\"\n",
    );
    assert_eq!(duplicate.len(), 1);
    assert!(duplicate[0].contains("two children are named `a-2`"));
    assert!(duplicate[0].contains("app.toml:5:8"));
    // Below another supervisor the name is another child's.
    read(
        "[[children]]\nname = \"a\"\nmodule = \"m\"\n\
         [[children]]\nname = \"b\"\n[[children.children]]\nname = \"a\"\nmodule = \"m\"\n",
    );
}

#[test]
fn a_child_is_either_a_program_or_a_supervisor() {
    let neither = wrong("[[children]]\nname = \"a\"\nargs = []\nstrategy = \"one_for_one\"\n");
    assert_eq!(neither.len(), 1);
    assert!(neither[0].contains("neither a `module` nor `children`"));
    assert!(neither[0].contains("app.toml:1:1"));
    wrong_child(
        "children = []",
        &["`children` is for a supervisor", "cannot be both"],
    );
    wrong_child(
        "strategy = \"one_for_one\"",
        &["`strategy` is for a supervisor"],
    );
    let supervisor = wrong("[[children]]\nname = \"a\"\nargs = []\nchildren = []\n");
    assert!(supervisor[0].contains("`args` is for a child with a `module`"));
}

#[test]
fn a_significant_child_must_have_a_meaning() {
    wrong_child(
        "restart = \"transient\"\nsignificant = true",
        &[
            "never shuts down by that",
            "auto_shutdown = ",
            "app.toml:5:1",
        ],
    );
    let permanent = wrong(
        "auto_shutdown = \"any_significant\"\n\
         [[children]]\nname = \"a\"\nmodule = \"m\"\nsignificant = true\n",
    );
    assert!(
        permanent[0].contains("significant and permanent"),
        "{permanent:?}"
    );
}

#[test]
fn a_backoff_needs_both_ends() {
    for (backoff, says) in [
        ("{ first = \"1s\" }", "`backoff` needs `longest`"),
        ("{ longest = \"1s\" }", "`backoff` needs `first`"),
        (
            "{ first = \"2s\", longest = \"1s\" }",
            "longer than its longest",
        ),
        (
            "{ first = \"1s\", longest = \"1s\", jitter = 101 }",
            "from 0 to 100",
        ),
        ("\"1s\"", "`backoff` must be a table"),
    ] {
        let wrong = wrong(&format!("backoff = {backoff}\nchildren = []"));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains(says), "{wrong:?}");
    }
}

#[test]
fn a_manifest_without_children_says_how_to_begin_one() {
    for text in ["", "intensity = 1"] {
        let wrong = wrong(text);
        assert!(wrong[0].contains("no `children`"), "{wrong:?}");
        assert!(wrong[0].contains("[[children]]"), "{wrong:?}");
    }
    assert!(wrong("children = 3")[0].contains("must be a list of tables"));
    assert!(wrong("children = [3]")[0].contains("must be a table"));
    // OTP has supervisors without children too.
    assert!(read("children = []").children.is_empty());
}

#[test]
fn a_text_that_is_not_toml_is_told_where_it_ends_to_be() {
    let unclosed = wrong("intensity = 1\nperiod = \"5s\n[[children]]\nname = 3\n");
    assert_eq!(unclosed.len(), 1);
    assert!(unclosed[0].contains("app.toml:2:"), "{unclosed:?}");
    let twice = wrong("intensity = 1\nintensity = 2\nchildren = []\n");
    assert!(twice[0].contains("duplicate key"), "{twice:?}");
    assert!(twice[0].contains("app.toml:2:1"), "{twice:?}");
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_text() {
    let wrong = wrong(
        "[[children]]\nname = \"a\"\nmodule = 1\nrestart = \"x\"\n\
         [[children]]\nmodule = \"m\"\nshutdown = 1\n",
    );
    let places = ["3:10", "4:11", "5:1", "7:12"];
    assert_eq!(wrong.len(), places.len(), "{wrong:?}");
    for (wrong, place) in wrong.iter().zip(places) {
        assert!(wrong.contains(&format!("app.toml:{place}")), "{wrong}");
    }
}
