//! Metrics of jobs.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds for durations, seconds.
const SECONDS: [f64; 10] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// Label: how a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// `done`, `failed` or `cancelled`.
    pub state: &'static str,
}

/// Label: how urgent a job is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PriorityLabel {
    /// Name of the priority.
    pub priority: &'static str,
}

/// Metrics of jobs.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    /// Jobs taken.
    pub accepted: Family<PriorityLabel, Counter>,
    /// Jobs that ended.
    pub ended: Family<StateLabel, Counter>,
    /// Requests answered with an earlier one's job.
    pub replayed: Counter,
    /// Jobs taken up after a restart.
    pub recovered: Counter,
    /// Jobs waiting.
    pub waiting: Gauge,
    /// Jobs running.
    pub running: Gauge,
    /// Time from being asked to being begun.
    pub wait: Histogram,
    /// Time from being begun to the end.
    pub run: Histogram,
    /// Event streams open.
    pub streams: Gauge,
}

impl Default for JobMetrics {
    fn default() -> Self {
        Self {
            accepted: Family::default(),
            ended: Family::default(),
            replayed: Counter::default(),
            recovered: Counter::default(),
            waiting: Gauge::default(),
            running: Gauge::default(),
            wait: Histogram::new(SECONDS),
            run: Histogram::new(SECONDS),
            streams: Gauge::default(),
        }
    }
}

impl JobMetrics {
    /// Registers them.
    pub fn register(&self, r: &mut Registry) {
        r.register("jobs_accepted", "Jobs taken, by priority", self.accepted.clone());
        r.register("jobs_ended", "Jobs that ended, by how", self.ended.clone());
        r.register("jobs_replayed", "Requests answered with an earlier one's job", self.replayed.clone());
        r.register("jobs_recovered", "Jobs taken up after a restart", self.recovered.clone());
        r.register("jobs_waiting", "Jobs waiting for a thread", self.waiting.clone());
        r.register("jobs_running", "Jobs running", self.running.clone());
        r.register_with_unit(
            "job_wait",
            "Time from a job's being asked to its being begun",
            Unit::Seconds,
            self.wait.clone(),
        );
        r.register_with_unit(
            "job_run",
            "Time from a job's being begun to its end",
            Unit::Seconds,
            self.run.clone(),
        );
        r.register("job_event_streams", "Open streams of job events", self.streams.clone());
    }
}
