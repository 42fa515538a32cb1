//! The plan: workloads, repetitions and targets.

use crate::number::Unit;

/// One mode of a guest with a count.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) guest: Guest,
    /// The guest's first argument.
    pub(super) mode: &'static str,
    /// The guest's second argument.
    pub(super) count: u64,
    /// The same when it is only about whether it works.
    pub(super) quick_count: u64,
    pub(super) size: Size,
    pub(super) method: Method,
    /// The rows of its results.
    pub(super) rows: &'static [Row],
}

/// The subject that does the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Guest {
    /// `guests/bench`, which has the standard library.
    Rust,
    /// The program of `guests/bench` that imports supervisors.
    Supervision,
    /// `bench/minimal.wat`, which has no library.
    Wat,
}

/// Whether a workload is for all machines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Size {
    Usual,
    /// It needs most of 24 GiB of memory.
    Huge,
}

/// The way in which a workload is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    /// The guest measures the time.
    Inside,
    /// `measure` measures the time, from the start of the program to its end.
    Whole,
    /// The guest waits, and `measure` reads memory and CPU time.
    Idle,
    /// The program `compute` runs on our engine and on plain wasmtime; only for this tree.
    Beside,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// The measurement it shows.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// The target, in that unit.
    pub(super) target: Option<f64>,
}

impl Workload {
    /// A workload of the Rust guest, which takes its own time.
    const fn new(
        mode: &'static str,
        count: u64,
        quick_count: u64,
        rows: &'static [Row],
    ) -> Workload {
        Workload {
            guest: Guest::Rust,
            mode,
            count,
            quick_count,
            size: Size::Usual,
            method: Method::Inside,
            rows,
        }
    }

    /// Processes that are there and do nothing.
    const fn live(guest: Guest, count: u64, size: Size, rows: &'static [Row]) -> Workload {
        Workload {
            guest,
            size,
            method: Method::Idle,
            ..Workload::new("live", count, QUICK_LIVE, rows)
        }
    }

    const fn of_wat(self) -> Workload {
        Workload {
            guest: Guest::Wat,
            ..self
        }
    }

    const fn of_supervision(self) -> Workload {
        Workload {
            guest: Guest::Supervision,
            ..self
        }
    }

    const fn beside_plain_wasmtime(self) -> Workload {
        Workload {
            guest: Guest::Wat,
            method: Method::Beside,
            ..self
        }
    }

    const fn taken_whole(self) -> Workload {
        Workload {
            method: Method::Whole,
            ..self
        }
    }
}

impl Guest {
    /// Returns the name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Guest::Rust | Guest::Supervision => "Rust",
            Guest::Wat => "WAT",
        }
    }
}

/// The modes there are, each once.
pub(super) fn modes() -> Vec<&'static str> {
    let mut modes: Vec<&str> = PLAN.iter().map(|workload| workload.mode).collect();
    modes.sort_unstable();
    modes.dedup();
    modes
}

const QUICK_LIVE: u64 = 200;

/// The targets are those of the design.
pub(super) const PLAN: &[Workload] = &[
    Workload::new("spawn", 20_000, 200, &[SPAWN]),
    Workload::new("spawn", 20_000, 200, &[SPAWN]).of_wat(),
    Workload::new(
        "burst",
        5_000,
        200,
        &[
            micro("burst", "spawn all at once, each answering", Some(8.0)),
            micro(
                "wake",
                "wake them all, each answering and ending",
                Some(5.0),
            ),
        ],
    ),
    Workload::new("ping", 200_000, 1_000, &[PING]),
    Workload::new("ping", 200_000, 1_000, &[PING]).of_wat(),
    Workload::new("flood", 1_000_000, 1_000, &[FLOOD]),
    Workload::new("flood", 1_000_000, 1_000, &[FLOOD]).of_wat(),
    Workload::new(
        "ring",
        300_000,
        1_000,
        &[micro("ring", "ring of 1000: one hop", Some(0.5))],
    ),
    Workload::new(
        "big",
        990_000,
        9_900,
        &[micro("big", "100 all to all: one message", None)],
    ),
    Workload::new(
        "supervise",
        100_000,
        200,
        &[
            micro(
                "supervise-start",
                "supervisor: start a child, hear from it",
                None,
            ),
            micro(
                "supervise-restart",
                "supervisor: a tenth killed, each back",
                None,
            ),
            micro("supervise-stop", "supervisor: stop a child", None),
        ],
    )
    .of_supervision(),
    Workload::new(
        "one_for_all",
        10_000,
        200,
        &[
            micro("one-for-all-start", "one_for_all: start a child", None),
            micro(
                "one-for-all-restart",
                "one_for_all: stop and start each",
                None,
            ),
        ],
    )
    .of_supervision(),
    Workload::new(
        "groups",
        20_000,
        200,
        &[
            micro("group-join", "group of many: join", None),
            micro(
                "group-broadcast",
                "group of many: broadcast, each answering",
                None,
            ),
            micro("group-leave", "group of many: leave", None),
        ],
    )
    .of_supervision(),
    Workload::new("fib", 35, 20, &[milli("fib", "fib(n)", None)]),
    Workload::new("compute", 5, 1, &COMPUTE).beside_plain_wasmtime(),
    Workload::new(
        "fair",
        1_000,
        20,
        &[
            milli("fair-p50", "1 ms sleep beside 4 spinners: median", None),
            milli("fair-p99", "1 ms sleep beside 4 spinners: p99", Some(2.5)),
            milli("fair-max", "1 ms sleep beside 4 spinners: longest", None),
        ],
    ),
    Workload::new(
        "files",
        1_000,
        20,
        &[
            milli("files-p50", "ping beside 1000 using files: median", None),
            milli("files-p99", "ping beside 1000 using files: p99", Some(5.0)),
            milli("files-max", "ping beside 1000 using files: longest", None),
        ],
    ),
    Workload::new(
        "cold",
        1,
        1,
        &[milli("cold", "start, print a line, end", Some(15.0))],
    )
    .taken_whole(),
    Workload::live(
        Guest::Rust,
        20_000,
        Size::Usual,
        &[READY, memory(Some(40.0)), IDLE],
    ),
    Workload::live(
        Guest::Rust,
        100_000,
        Size::Usual,
        &[READY, memory(None), IDLE],
    ),
    Workload::live(
        Guest::Wat,
        100_000,
        Size::Usual,
        &[READY, memory(Some(20.0)), IDLE],
    ),
    Workload::live(
        Guest::Rust,
        300_000,
        Size::Huge,
        &[READY, memory(Some(72.0)), IDLE],
    ),
    Workload::live(
        Guest::Wat,
        1_000_000,
        Size::Huge,
        &[READY, memory(Some(20.0)), IDLE],
    ),
];

/// The time of a kernel on our engine as a ratio of plain wasmtime. Fib has no memory, so guards
/// gain nothing for it.
const COMPUTE: [Row; 18] = [
    times("fib-auto", "fib(35): times plain wasmtime", Some(1.15)),
    times(
        "fib-dense",
        "fib(35), dense: times plain wasmtime",
        Some(1.3),
    ),
    times(
        "fib-guarded",
        "fib(35), guarded: times plain wasmtime",
        Some(1.3),
    ),
    times("sieve-auto", "sieve: times plain wasmtime", Some(1.1)),
    times("sieve-dense", "sieve, dense: times plain wasmtime", None),
    times(
        "sieve-guarded",
        "sieve, guarded: times plain wasmtime",
        None,
    ),
    times("matmul-auto", "matmul: times plain wasmtime", Some(1.3)),
    times("matmul-dense", "matmul, dense: times plain wasmtime", None),
    times(
        "matmul-guarded",
        "matmul, guarded: times plain wasmtime",
        None,
    ),
    times("sha256-auto", "SHA-256 (sha2): times plain wasmtime", None),
    times("json-auto", "JSON (serde_json): times plain wasmtime", None),
    times("regex-auto", "regex: times plain wasmtime", None),
    times("sort-auto", "sort: times plain wasmtime", None),
    times("maps-auto", "maps (hashbrown): times plain wasmtime", None),
    times("image-auto", "blur a picture: times plain wasmtime", None),
    times(
        "interpreter-auto",
        "interpreter (Rhai): times plain wasmtime",
        None,
    ),
    times(
        "programs-auto",
        "these programs, geometric mean: times plain wasmtime",
        Some(1.1),
    ),
    times(
        "programs-dense",
        "these programs, dense, geometric mean: times plain wasmtime",
        Some(1.5),
    ),
];

const SPAWN: Row = micro("spawn", "spawn one, hear one message", Some(6.0));
const PING: Row = micro("ping", "ping-pong: round trip", Some(0.7));
const FLOOD: Row = micro("flood", "one-way message into one mailbox", Some(0.15));
const READY: Row = micro("ready", "live: spawning each", None);
const IDLE: Row = milli("idle", "live: CPU time in 2 s of idleness", Some(0.0));

const fn memory(target: Option<f64>) -> Row {
    row("memory", "live: memory of each", Unit::Kibibytes, target)
}

const fn micro(name: &'static str, title: &'static str, target: Option<f64>) -> Row {
    row(name, title, Unit::Microseconds, target)
}

const fn milli(name: &'static str, title: &'static str, target: Option<f64>) -> Row {
    row(name, title, Unit::Milliseconds, target)
}

const fn times(name: &'static str, title: &'static str, target: Option<f64>) -> Row {
    row(name, title, Unit::Times, target)
}

const fn row(name: &'static str, title: &'static str, unit: Unit, target: Option<f64>) -> Row {
    Row {
        name,
        title,
        unit,
        target,
    }
}

#[cfg(test)]
mod tests {
    use super::{PLAN, modes};

    #[test]
    fn each_mode_is_offered_once() {
        assert_eq!(modes().iter().filter(|mode| **mode == "live").count(), 1);
    }

    #[test]
    fn quick_counts_are_not_larger() {
        for workload in PLAN {
            assert!(workload.quick_count <= workload.count, "{}", workload.mode);
        }
    }
}
