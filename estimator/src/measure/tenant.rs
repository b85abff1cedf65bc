//! One model on its cores: a session of ONNX Runtime, and the loop that sends it requests.

use super::clock::Clock;
use super::file::{MAX_SAMPLE, TenantRun};
use crate::error::EstimatorError;
use crate::learned::network::environment;
use ecomap_instances::generate::Seed;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Most elements of all inputs of a model.
const MAX_ELEMENTS: usize = 1 << 26;

/// Requests that may wait, as in the simulator.
const QUEUE_LIMIT: usize = crate::sim::stream::DEFAULT_QUEUE_LIMIT;

fn failed(e: impl std::fmt::Display) -> EstimatorError {
    EstimatorError::Runtime(e.to_string())
}

/// A loaded model with its input.
pub(super) struct Loaded {
    session: Session,
    inputs: Vec<(String, Vec<i64>, Vec<f32>)>,
}

impl Loaded {
    /// Loads a model on `threads` threads; on a thread bound to cores the session's own threads are
    /// bound to the same.
    pub(super) fn new(bytes: &[u8], threads: usize, rng: &mut ChaCha12Rng) -> Result<Self, EstimatorError> {
        let session = Session::builder(environment()?)
            .and_then(|b| Ok(b.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|b| Ok(b.with_intra_threads(threads.max(1))?))
            .and_then(|b| Ok(b.with_inter_threads(1)?))
            // A thread that spins would take its neighbours' time on a shared core.
            .and_then(|b| Ok(b.with_intra_op_spinning(false)?))
            .and_then(|mut b| b.commit_from_memory(bytes))
            .map_err(failed)?;
        let mut inputs = Vec::new();
        let mut elements = 0_usize;
        for input in session.inputs() {
            let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = input.dtype() else {
                return Err(failed(format!("input `{}` is not a tensor of 32-bit floats", input.name())));
            };
            // A dimension without a size is the batch, or some other that is 1 at least.
            let shape: Vec<i64> = shape.iter().map(|d| (*d).max(1)).collect();
            let size = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
            elements = size.and_then(|s| elements.checked_add(s)).unwrap_or(usize::MAX);
            if elements > MAX_ELEMENTS {
                return Err(failed(format!("inputs have more than {MAX_ELEMENTS} elements")));
            }
            let data = (0..size.unwrap_or(0)).map(|_| rng.random::<f32>()).collect();
            inputs.push((input.name().to_owned(), shape, data));
        }
        Ok(Self { session, inputs })
    }

    fn run(&mut self) -> Result<(), EstimatorError> {
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(self.inputs.len());
        for (name, shape, data) in &self.inputs {
            let tensor = TensorRef::from_array_view((shape.clone(), &**data)).map_err(failed)?;
            values.push((Cow::from(name.as_str()), tensor.into()));
        }
        self.session.run(values).map(|_| ()).map_err(failed)
    }
}

/// What a tenant is asked to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Cores of the unit.
    pub(super) one_core: bool,
    /// Requests per second of a Poisson stream; `None` for a closed loop.
    pub(super) rate_per_s: Option<f64>,
    /// Seed of the arrivals.
    pub(super) seed: Seed,
    /// Stream of the seed.
    pub(super) stream: u64,
    /// When to begin.
    pub(super) start: Duration,
    /// Requests from here on count.
    pub(super) from: Duration,
    /// Requests from here on do not.
    pub(super) to: Duration,
}

fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Requests without end: when each comes.
struct Arrivals {
    rng: ChaCha12Rng,
    mean_s: Option<f64>,
    next: Duration,
}

impl Arrivals {
    fn step(&mut self, answered: Duration) {
        self.next = match self.mean_s {
            None => answered,
            Some(mean) => {
                let gap = -mean * (1.0 - self.rng.random::<f64>()).ln();
                self.next + Duration::from_secs_f64(gap.clamp(0.0, 1e6))
            }
        };
    }
}

/// A tenant's place among those that still have counted requests.
struct Turn<'a> {
    open: &'a AtomicUsize,
    left: bool,
}

impl Turn<'_> {
    fn leave(&mut self) {
        if !self.left {
            self.left = true;
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Runs requests until every tenant's counted ones are answered: nobody's last requests have the
/// machine to themselves. `open` holds how many tenants still have some.
pub(super) fn serve(
    model: &mut Loaded,
    order: &Order,
    clock: &dyn Clock,
    open: &AtomicUsize,
) -> Result<TenantRun, EstimatorError> {
    let mut rng = order.seed.rng(order.stream);
    let mean_s = order.rate_per_s.map(|r| 1.0 / r);
    let first = mean_s.map_or(0.0, |m| m * rng.random::<f64>());
    let mut arrivals =
        Arrivals { rng, mean_s, next: order.start + Duration::from_secs_f64(first.clamp(0.0, 1e6)) };
    let (mut arrived, mut dropped) = (0, 0);
    let mut latencies = Vec::new();
    let mut busy = Duration::ZERO;
    // Also when this returns early: the others must not wait for it.
    let mut turn = Turn { open, left: false };
    loop {
        let came = arrivals.next;
        if came >= order.to {
            turn.leave();
        }
        if turn.left && open.load(Ordering::Acquire) == 0 {
            break;
        }
        let now = clock.now();
        if came > now {
            // While only others are waited for, look again soon.
            let patience = if turn.left { now + Duration::from_millis(5) } else { came };
            clock.sleep_until(came.min(patience));
            if clock.now() < came {
                continue;
            }
        }
        let counts = came >= order.from && came < order.to;
        arrived += u64::from(counts);
        if mean_s.is_some() && late(now, came, mean_s) {
            dropped += u64::from(counts);
            arrivals.step(now);
            continue;
        }
        let before = cpu_time();
        let answer = model.run();
        let done = clock.now();
        answer?;
        if counts {
            busy += cpu_time().saturating_sub(before);
            latencies.push(1000.0 * done.saturating_sub(came).as_secs_f64());
        }
        arrivals.step(done);
    }
    Ok(record(order, arrived, dropped, busy, latencies))
}

/// Whether as many requests wait as may: those that a Poisson stream brought in so long a delay.
fn late(now: Duration, came: Duration, mean_s: Option<f64>) -> bool {
    let waiting = now.saturating_sub(came).as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    mean_s.is_some_and(|mean| waiting > QUEUE_LIMIT as f64 * mean)
}

fn record(order: &Order, arrived: u64, dropped: u64, busy: Duration, mut latencies: Vec<f64>) -> TenantRun {
    latencies.sort_by(f64::total_cmp);
    let completed = u64::try_from(latencies.len()).unwrap_or(u64::MAX);
    #[allow(clippy::cast_precision_loss)]
    let each = 1000.0 * busy.as_secs_f64() / (completed as f64).max(1.0);
    TenantRun {
        rate_per_s: order.rate_per_s,
        arrived,
        completed,
        dropped,
        busy_ms_per_request: (order.one_core && each > 0.0).then(|| micro(each)),
        latencies_ms: thin(&latencies).into_iter().map(micro).collect(),
    }
}

/// Microseconds are finer than the clock's use; files stay small.
fn micro(ms: f64) -> f64 {
    ((ms * 1000.0).round() / 1000.0).max(0.001)
}

/// At most [`MAX_SAMPLE`] of a sorted list, evenly.
fn thin(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len();
    if n <= MAX_SAMPLE {
        return sorted.to_vec();
    }
    (0..MAX_SAMPLE).filter_map(|k| sorted.get((2 * k + 1) * n / (2 * MAX_SAMPLE)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_quantiles() {
        let all: Vec<f64> = (0..5000).map(f64::from).collect();
        let some = thin(&all);
        assert_eq!(some.len(), MAX_SAMPLE);
        assert!(some.windows(2).all(|w| w[0] < w[1]));
        assert!((some[MAX_SAMPLE / 2] - 2500.0).abs() < 10.0);
        assert_eq!(thin(&all[..3]), vec![0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_long_wait_is_a_full_queue() {
        let s = Duration::from_secs;
        assert!(!late(s(10), s(10), Some(0.1)));
        assert!(late(s(100), s(10), Some(0.1)));
        assert!(!late(s(100), s(10), None));
    }
}
