//! Prometheus metrics, in base units.

use crate::access::audit::Audit;
use crate::http::body::Budget;
use crate::http::fleet_metrics::FleetMetrics;
use crate::http::pool::Pool;
use crate::jobs::metrics::JobMetrics;
use crate::telemetry::Spans;
use ecomap_instances::format::result_v1::ResultDto;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Content type of the exposition.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds for durations, seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];
/// Upper bounds for relative gaps.
const GAPS: [f64; 8] = [0.0, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 1.0];

/// Labels of a request. Paths are templates, so that there are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Path template, or `other`.
    pub route: &'static str,
    /// Method, or `other`.
    pub method: &'static str,
    /// Status.
    pub status: u16,
}

/// Labels of a solve.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SolveLabels {
    /// Solver.
    pub solver: String,
    /// Status of the result.
    pub status: &'static str,
}

/// Labels of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// Code of the problem.
    pub reason: &'static str,
}

/// Labels of a request by its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabel {
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabel, Histogram>,
    solve_seconds: Family<SolveLabels, Histogram>,
    gap: Histogram,
    rejected: Family<Reason, Counter>,
    cancelled: Counter,
    key_requests: Family<KeyLabel, Counter>,
    key_limited: Family<KeyLabel, Counter>,
    keys: Gauge,
    displaced: Gauge,
    /// Of fleets; to be refreshed before they are read.
    pub fleets: FleetMetrics,
    /// Open connections.
    pub connections: Gauge,
    queue_depth: Gauge,
    in_flight: Gauge,
    short_depth: Gauge,
    body_bytes: Gauge,
    resident: Gauge,
    solves: Pool,
    short: Pool,
    budget: Budget,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new(solves: Pool, short: Pool, budget: Budget) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix("ecomap"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            solve_seconds: Family::new_with_constructor(seconds),
            gap: Histogram::new(GAPS),
            rejected: Family::default(),
            cancelled: Counter::default(),
            key_requests: Family::default(),
            key_limited: Family::default(),
            keys: Gauge::default(),
            displaced: Gauge::default(),
            fleets: FleetMetrics::default(),
            connections: Gauge::default(),
            queue_depth: Gauge::default(),
            in_flight: Gauge::default(),
            short_depth: Gauge::default(),
            body_bytes: Gauge::default(),
            resident: Gauge::default(),
            solves,
            short,
            budget,
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        let info = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "Version of the service", info);
        r.register("http_requests", "Requests answered", self.requests.clone());
        r.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register("http_connections", "Open connections", self.connections.clone());
        r.register_with_unit(
            "http_body_held",
            "Request bodies in memory",
            Unit::Bytes,
            self.body_bytes.clone(),
        );
        r.register_with_unit(
            "solve_duration",
            "Time from the start of parsing to the checked answer, by solver and status",
            Unit::Seconds,
            self.solve_seconds.clone(),
        );
        r.register_with_unit("solve_gap", "Relative gap of plans", Unit::Ratios, self.gap.clone());
        r.register("solve_queue_depth", "Solves waiting for a thread", self.queue_depth.clone());
        r.register("solve_in_flight", "Solves running", self.in_flight.clone());
        r.register("short_queue_depth", "Validations and checks waiting", self.short_depth.clone());
        r.register("solve_rejected", "Solves answered with an error, by code", self.rejected.clone());
        r.register("solve_cancelled", "Requests whose client went away", self.cancelled.clone());
        r.register("key_requests", "Requests that came with a key, by its name", self.key_requests.clone());
        r.register("key_limited", "Requests beyond a key's rate, by its name", self.key_limited.clone());
        r.register("keys_active", "Keys that may be used", self.keys.clone());
        r.register(
            "solve_displaced",
            "Waiting requests that made room for others, so far",
            self.displaced.clone(),
        );
        self.fleets.register(r);
        r.register_with_unit("process_resident", "Resident memory", Unit::Bytes, self.resident.clone());
    }

    /// Shows what the audit log, the spans' collector and the desk of jobs count themselves.
    pub fn watch(&mut self, audit: &Audit, spans: &Spans, jobs: &JobMetrics) {
        let r = &mut self.registry;
        jobs.register(r);
        r.register("audit_lost", "Audit lines that were not written", audit.lost.clone());
        r.register("spans_sent", "Spans that the collector took", spans.counters.sent.clone());
        r.register("spans_lost", "Spans that were dropped", spans.counters.lost.clone());
    }

    /// An answer was sent.
    pub fn request(&self, labels: &RequestLabels, took: Duration) {
        self.request_seconds.get_or_create(&RouteLabel { route: labels.route }).observe(took.as_secs_f64());
        self.requests.get_or_create(labels).inc();
    }

    /// A solve ended with a result.
    pub fn solved(&self, result: &ResultDto, took: Duration) {
        let labels = SolveLabels { solver: result.solver.clone(), status: result.status.as_str() };
        self.solve_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        if let Some(gap) = result.certificate.gap {
            self.gap.observe(gap);
        }
    }

    /// A solve was answered with an error.
    pub fn rejected(&self, code: &'static str) {
        self.rejected.get_or_create(&Reason { reason: code }).inc();
    }

    /// A request came with the key of this name; `limited`: beyond its rate.
    pub fn keyed(&self, name: &str, limited: bool) {
        let label = KeyLabel { key: name.to_owned() };
        self.key_requests.get_or_create(&label).inc();
        if limited {
            self.key_limited.get_or_create(&label).inc();
        }
    }

    /// Keys that may be used now.
    pub fn keys(&self, count: usize) {
        self.keys.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A client went away before its answer.
    pub fn cancelled(&self) {
        self.cancelled.inc();
    }

    /// The exposition, in OpenMetrics text format.
    #[must_use]
    pub fn expose(&self) -> String {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let load = self.solves.load();
        self.queue_depth.set(gauge(load.queued));
        self.in_flight.set(gauge(load.running));
        self.short_depth.set(gauge(self.short.load().queued));
        self.displaced.set(i64::try_from(self.solves.displaced()).unwrap_or(i64::MAX));
        self.body_bytes.set(i64::try_from(self.budget.held()).unwrap_or(i64::MAX));
        self.resident.set(resident_bytes().and_then(|b| i64::try_from(b).ok()).unwrap_or(0));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Resident memory of this process, where the system tells (Linux).
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    resident_of("self")
}

/// Resident memory of a process by id, from `/proc/<id>/status`.
#[must_use]
pub fn resident_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
