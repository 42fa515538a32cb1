//! Serves what a runtime has counted, and its guests have recorded, as OpenMetrics.

use std::fmt;
use std::net::SocketAddr;

use lunatic_admin::{Measurements, ProcessEntry};
use lunatic_http::{BindError, Limits, Request, Response, Serve, Server};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::admin::Admin;
use crate::runtime::Runtime;

/// What is served, as HTTP calls it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// So many processes have series of their own at most, if that is asked for.
const MAX_PROCESSES: usize = 1000;

/// Serves the metrics of a runtime over HTTP, until it is dropped.
///
/// `/metrics` is all there is. With `?processes=N`, the N processes with the longest
/// mailboxes have a series each.
///
/// ```
/// use lunatic_cli::{MetricsServer, Runtime};
///
/// # futures_lite::future::block_on(async {
/// let runtime = Runtime::builder().start()?;
/// let server = MetricsServer::start(&runtime, "127.0.0.1:0".parse()?)?;
/// println!("http://{}/metrics", server.address());
/// # drop(server);
/// # runtime.shut_down().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct MetricsServer {
    server: Server,
}

/// Answers requests for metrics.
struct Metrics(Admin);

impl MetricsServer {
    /// Begins to listen, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn start(runtime: &Runtime, address: SocketAddr) -> Result<MetricsServer, BindError> {
        let metrics = Metrics(Admin::new(runtime));
        let server = Server::start("metrics", address, Limits::default(), metrics)?;
        Ok(MetricsServer { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl Serve for Metrics {
    async fn serve(&self, request: Request) -> Response {
        match (request.method(), request.path()) {
            ("GET" | "HEAD", "/metrics") => {}
            ("GET" | "HEAD", _) => return Response::text(404, "metrics are at /metrics"),
            _ => return Response::text(405, "metrics can only be read"),
        }
        let processes = match request.parameter("processes").map(|text| text.parse()) {
            None => 0,
            Some(Ok(count)) => MAX_PROCESSES.min(count),
            Some(Err(_)) => return Response::text(400, "`processes` is a number"),
        };
        match self.write(processes).await {
            Ok(text) => Response::new(200, OPEN_METRICS, text),
            Err(fmt::Error) => Response::text(500, "the metrics cannot be written"),
        }
    }
}

impl Metrics {
    async fn write(&self, processes: usize) -> Result<String, fmt::Error> {
        let collected = Collected {
            measurements: self.0.measure().await,
            processes: match processes {
                0 => Vec::new(),
                count => self.0.longest_mailboxes(count).await,
            },
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collected));
        registry.register_collector(Box::new(self.0.runtime().metrics().clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// What is written of a runtime itself.
#[derive(Debug)]
struct Collected {
    measurements: Measurements,
    processes: Vec<ProcessEntry>,
}

/// The value of a sample.
enum Value {
    Counter(u64),
    Seconds(u64),
    Gauge(u64),
    GaugeSeconds(u64),
}

use Value::{Counter, Gauge, GaugeSeconds, Seconds};

type Labels<const N: usize> = [(&'static str, String); N];

/// Writes families of samples.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn one(&mut self, name: &str, help: &str, value: Value) -> fmt::Result {
        self.many(name, help, [([], value)])
    }

    /// - `samples`: all of one kind.
    fn many<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<N>, Value)>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        let Some((_, first)) = samples.peek() else {
            return Ok(());
        };
        let kind = match first {
            Counter(_) | Seconds(_) => MetricType::Counter,
            Gauge(_) | GaugeSeconds(_) => MetricType::Gauge,
        };
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            let sample = family.encode_family(&labels)?;
            match value {
                Counter(value) => ConstCounter::new(value).encode(sample),
                Seconds(micros) => ConstCounter::new(seconds(micros)).encode(sample),
                Gauge(value) => ConstGauge::new(value).encode(sample),
                GaugeSeconds(micros) => ConstGauge::new(seconds(micros)).encode(sample),
            }?;
        }
        Ok(())
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let measured = &self.measurements;
        program(measured, &mut families)?;
        processes(measured, &mut families)?;
        scheduler(measured, &mut families)?;
        memory(measured, &mut families)?;
        peers(measured, &mut families)?;
        each_process(&self.processes, &mut families)
    }
}

fn program(measured: &Measurements, families: &mut Families<'_>) -> fmt::Result {
    let version = [("version", measured.version.clone())];
    families.many(
        "lunatic_build",
        "The version of the runtime",
        [(version, Gauge(1))],
    )?;
    families.one(
        "lunatic_uptime_seconds",
        "How long the runtime has run",
        GaugeSeconds(measured.uptime_ms * 1000),
    )?;
    families.one(
        "lunatic_cpu_seconds",
        "CPU time of all threads of the program",
        Seconds(measured.cpu_us),
    )?;
    families.one("lunatic_timers", "Timers to fire", Gauge(measured.timers))?;
    families.one(
        "lunatic_restarts",
        "How often supervisors have started children again",
        Counter(measured.restarts),
    )?;
    let sockets = measured.sockets.iter();
    families.many(
        "lunatic_sockets",
        "Sockets of guests that are open",
        sockets.map(|count| ([("kind", count.what.clone())], Gauge(count.count))),
    )?;
    let reloads = measured.reloads.iter();
    families.many(
        "lunatic_reloads",
        "Reloads of modules",
        reloads.map(|count| ([("result", count.what.clone())], Counter(count.count))),
    )?;
    families.one(
        "lunatic_compile_cache_hits",
        "Modules whose code had been kept",
        Counter(measured.cache_hits),
    )?;
    families.one(
        "lunatic_compile_cache_misses",
        "Modules that were compiled although code is kept",
        Counter(measured.cache_misses),
    )
}

fn processes(measured: &Measurements, families: &mut Families<'_>) -> fmt::Result {
    families.one(
        "lunatic_processes",
        "Processes that live",
        Gauge(measured.processes),
    )?;
    families.one(
        "lunatic_processes_spawned",
        "Processes that were spawned",
        Counter(measured.spawned),
    )?;
    let ended = measured.ended.iter();
    families.many(
        "lunatic_processes_ended",
        "Processes that have ended",
        ended.map(|count| ([("reason", count.what.clone())], Counter(count.count))),
    )?;
    families.one(
        "lunatic_messages_sent",
        "Messages that were sent",
        Counter(measured.messages),
    )?;
    families.one(
        "lunatic_mailbox_messages",
        "Messages that wait in the mailboxes that were looked at",
        Gauge(measured.mailbox_messages),
    )?;
    families.one(
        "lunatic_mailbox_longest",
        "Messages that wait in the longest mailbox",
        Gauge(measured.mailbox_longest),
    )?;
    families.one(
        "lunatic_mailboxes",
        "Mailboxes that were looked at",
        Gauge(measured.mailboxes),
    )
}

fn scheduler(measured: &Measurements, families: &mut Families<'_>) -> fmt::Result {
    let workers = || measured.workers.iter().enumerate();
    let label = |number: usize| [("worker", number.to_string())];
    families.many(
        "lunatic_worker_busy_seconds",
        "How long a worker has had something to do",
        workers().map(|(number, worker)| (label(number), Seconds(worker.busy_us))),
    )?;
    families.many(
        "lunatic_worker_tasks",
        "How often a worker has begun to run a task",
        workers().map(|(number, worker)| (label(number), Counter(worker.tasks))),
    )?;
    let common = ([("worker", "any".to_owned())], Gauge(measured.queued));
    let queues = workers().map(|(number, worker)| (label(number), Gauge(worker.queued)));
    families.many(
        "lunatic_run_queue",
        "Tasks that wait for a worker",
        queues.chain([common]),
    )?;
    if let Some(delay) = measured.delay_us {
        families.one(
            "lunatic_scheduler_delay_seconds",
            "How long a task waited that was given to the workers just now",
            GaugeSeconds(delay),
        )?;
    }
    Ok(())
}

fn memory(measured: &Measurements, families: &mut Families<'_>) -> fmt::Result {
    if let Some(bytes) = measured.resident_memory {
        families.one(
            "lunatic_resident_memory_bytes",
            "Memory that the program takes",
            Gauge(bytes),
        )?;
    }
    let slots = measured.slots.iter().flat_map(|slots| {
        [("used", slots.used), ("free", slots.free)].map(|(state, count)| {
            let labels = [
                ("kind", slots.kind.clone()),
                ("bytes", slots.slot_bytes.to_string()),
                ("state", state.to_owned()),
            ];
            (labels, Gauge(count))
        })
    });
    families.many(
        "lunatic_arena_slots",
        "Slots for stacks and memories of instances, by size",
        slots,
    )?;
    let label = |what: &str| [("what", what.replace(' ', "_"))];
    let usage = measured.account.iter();
    let used = usage.clone().filter_map(|usage| {
        let used = usage.used?;
        Some((label(&usage.what), Gauge(used)))
    });
    families.many(
        "lunatic_account_used",
        "What is charged to the root of all accounts",
        used,
    )?;
    let limits = usage.filter_map(|usage| {
        let limit = usage.limit?;
        Some((label(&usage.what), Gauge(limit)))
    });
    families.many(
        "lunatic_account_limit",
        "What may be charged to the root of all accounts",
        limits,
    )
}

fn peers(measured: &Measurements, families: &mut Families<'_>) -> fmt::Result {
    if measured.node.is_some() {
        families.one(
            "lunatic_peers",
            "Other nodes that there is a session with",
            Gauge(measured.peers.len() as u64),
        )?;
        families.one(
            "lunatic_peers_lost",
            "Sessions with other nodes that were lost",
            Counter(measured.lost_peers),
        )?;
    }
    let peers = || measured.peers.iter();
    let label = |name: &String| [("node", name.clone())];
    families.many(
        "lunatic_peer_round_trip_seconds",
        "The round trip to another node",
        peers().map(|peer| (label(&peer.name), GaugeSeconds(peer.round_trip_us))),
    )?;
    families.many(
        "lunatic_peer_queued_bytes",
        "Bytes that wait to be sent to another node",
        peers().map(|peer| (label(&peer.name), Gauge(peer.queued_bytes))),
    )?;
    families.many(
        "lunatic_peer_sent_bytes",
        "Bytes that were sent to another node in this session",
        peers().map(|peer| (label(&peer.name), Counter(peer.sent_bytes))),
    )?;
    families.many(
        "lunatic_peer_received_bytes",
        "Bytes that have come from another node in this session",
        peers().map(|peer| (label(&peer.name), Counter(peer.received_bytes))),
    )
}

fn each_process(processes: &[ProcessEntry], families: &mut Families<'_>) -> fmt::Result {
    let labels = |process: &ProcessEntry| {
        let label = process.label.clone().unwrap_or_default();
        [("pid", process.pid.to_string()), ("label", label)]
    };
    families.many(
        "lunatic_process_mailbox_messages",
        "Messages that wait in the mailbox of a process",
        processes
            .iter()
            .map(|process| (labels(process), Gauge(process.mailbox as u64))),
    )?;
    families.many(
        "lunatic_process_links",
        "Processes that a process is linked to",
        processes
            .iter()
            .map(|process| (labels(process), Gauge(process.links as u64))),
    )?;
    let measured = processes.iter().filter_map(|process| {
        let cpu = process.cpu_us?;
        Some((labels(process), Seconds(cpu)))
    });
    families.many(
        "lunatic_process_cpu_seconds",
        "CPU time of a process, if it is measured",
        measured,
    )
}
