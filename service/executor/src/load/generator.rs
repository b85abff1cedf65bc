//! Sends a tenant's requests when they are due, whatever became of those before.

use super::arrivals::{Arrivals, Pattern};
use crate::ExecutorError;
use crate::clock::Clock;
use crate::runtime::counters::{latencies, record};
use crate::runtime::{
    DataType, InferError, InferRequest, InferResponse, Pending, Runtime, Tensor, TensorInfo,
};
use bytes::Bytes;
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::{TenantId, TierId};
use hdrhistogram::Histogram;
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answers that may be waited for; the runtime turns requests away long before.
const OPEN: usize = 4096;
/// Longest sleep, so that stopping is noticed.
const NAP: Duration = Duration::from_millis(50);

/// One tenant's load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Tenant.
    pub tenant: TenantId,
    /// When requests come.
    pub pattern: Pattern,
    /// Seed of arrivals and inputs.
    pub seed: Seed,
    /// Time that each request grants; `None` for as long as it takes.
    pub within: Option<Duration>,
    /// Requests after which it ends; `None` for no end.
    pub requests: Option<u64>,
}

/// What became of the requests.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Requests sent.
    pub sent: u64,
    /// Answers by tier.
    pub answered: BTreeMap<TierId, u64>,
    /// Turned away because too many were under way.
    pub busy: u64,
    /// Not begun in the time they granted.
    pub expired: u64,
    /// While no plan served the tenant.
    pub not_served: u64,
    /// Other failures; the last one's message.
    pub failed: (u64, Option<String>),
    /// Latency of the answers, µs, as the runtime measured it.
    pub latency_us: Option<Histogram<u64>>,
}

/// A load that is being sent.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    collector: JoinHandle<LoadReport>,
}

impl Running {
    /// Begins to send.
    ///
    /// # Errors
    /// [`ExecutorError::Start`].
    pub fn start(
        load: Load,
        runtime: Arc<dyn Runtime>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExecutorError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (outcomes, bin) = sync_channel::<Result<Pending, InferError>>(OPEN);
        let builder = std::thread::Builder::new().name(format!("load-{}", load.tenant));
        let stopped = Arc::clone(&stop);
        let sender = builder.spawn(move || {
            let mut sent = 0;
            let begun = clock.now();
            let mut inputs = Inputs::new(load.seed);
            for due in Arrivals::new(load.pattern, load.seed, 0) {
                if load.requests.is_some_and(|most| sent >= most) || !wait(&*clock, begun + due, &stopped) {
                    break;
                }
                sent += 1;
                let outcome = inputs
                    .request(&*runtime, &load.tenant)
                    .and_then(|request| runtime.infer(&load.tenant, request, load.within));
                if outcomes.send(outcome).is_err() {
                    break;
                }
            }
            sent
        });
        let sender = sender.map_err(ExecutorError::Start)?;
        let collector = std::thread::Builder::new().name("load-answers".to_owned());
        let collector = collector.spawn(move || collect(&bin)).map_err(ExecutorError::Start)?;
        Ok(Self { stop, sender, collector })
    }

    /// Waits until all requests are sent and answered; for a load that has an end.
    #[must_use]
    pub fn join(self) -> LoadReport {
        let sent = self.sender.join().unwrap_or(0);
        let report = self.collector.join();
        LoadReport { sent, ..report.unwrap_or_else(|_| LoadReport::empty()) }
    }

    /// Sends no more; waits for what is under way.
    #[must_use]
    pub fn stop(self) -> LoadReport {
        self.stop.store(true, Ordering::Release);
        self.join()
    }
}

/// Waits until `moment`; `false` when it is stopped before.
fn wait(clock: &dyn Clock, moment: Duration, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return false;
        }
        let now = clock.now();
        if now >= moment {
            return true;
        }
        clock.sleep_until(moment.min(now + NAP));
    }
}

impl LoadReport {
    fn empty() -> Self {
        Self {
            sent: 0,
            answered: BTreeMap::new(),
            busy: 0,
            expired: 0,
            not_served: 0,
            failed: (0, None),
            latency_us: latencies(),
        }
    }

    fn count(&mut self, outcome: Result<InferResponse, InferError>) {
        match outcome {
            Ok(answer) => {
                *self.answered.entry(answer.tier).or_default() += 1;
                if let Some(histogram) = &mut self.latency_us {
                    record(histogram, answer.latency);
                }
            }
            Err(InferError::Busy(_)) => self.busy += 1,
            Err(InferError::Expired) => self.expired += 1,
            Err(InferError::NotServed | InferError::UnknownTenant) => self.not_served += 1,
            Err(error) => self.failed = (self.failed.0 + 1, Some(error.to_string())),
        }
    }
}

fn collect(bin: &Receiver<Result<Pending, InferError>>) -> LoadReport {
    let mut report = LoadReport::empty();
    while let Ok(outcome) = bin.recv() {
        report.count(outcome.and_then(Pending::wait));
    }
    report
}

/// Seeded inputs, made anew only when the model takes others.
struct Inputs {
    seed: Seed,
    interface: Vec<TensorInfo>,
    tensors: Vec<Tensor>,
}

impl Inputs {
    fn new(seed: Seed) -> Self {
        Self { seed, interface: Vec::new(), tensors: Vec::new() }
    }

    fn request(&mut self, runtime: &dyn Runtime, tenant: &TenantId) -> Result<InferRequest, InferError> {
        let model = runtime.model(tenant).ok_or(InferError::NotServed)?;
        if self.tensors.is_empty() || model.inputs != self.interface {
            let made: Option<Vec<Tensor>> = model.inputs.iter().map(|i| draw(i, self.seed)).collect();
            self.tensors = made.ok_or_else(|| InferError::Invalid("too large an input".to_owned()))?;
            self.interface = model.inputs;
        }
        Ok(InferRequest { inputs: self.tensors.clone(), outputs: Vec::new() })
    }
}

/// Reals in 0 to 1; zeros for other types, which are indices.
fn draw(info: &TensorInfo, seed: Seed) -> Option<Tensor> {
    let length = crate::runtime::tensor::length(info.datatype, &info.shape)?;
    let mut rng = seed.rng(1);
    let data = match info.datatype {
        DataType::Fp32 => (0..length / 4).flat_map(|_| rng.random::<f32>().to_le_bytes()).collect(),
        DataType::Fp64 => (0..length / 8).flat_map(|_| rng.random::<f64>().to_le_bytes()).collect(),
        _ => vec![0; length],
    };
    Tensor::new(info.name.clone(), info.datatype, info.shape.clone(), Bytes::from(data)).ok()
}
