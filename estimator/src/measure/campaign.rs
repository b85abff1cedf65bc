//! Running a plan: interleaved repetitions, and what is done about noise.
//!
//! **Rule.** While a run is measured, `/proc/stat` says how long all cores were busy, and the
//! process' own clock how much of that was ours. When others and the hypervisor together took more
//! than `foreign_limit` of all cores, the run is attempted again, at most `retries` times; when no
//! attempt is clean, the one with the least noise counts and is marked. Every attempt is kept in
//! the file.

use super::clock::Clock;
use super::file::{FORMAT, Measured, ModelInfo, RunRecord, TenantRun, UnitInfo};
use super::machine::{System, spent};
use super::plan::{Case, Kind, Load, Settings, cases, order};
use super::tenant::{Loaded, Order, serve};
use crate::error::EstimatorError;
use crate::validation::quantile;
use ecomap_instances::generate::Seed;
use ecomap_instances::{Code, Issue, Issues};
use ecomap_onnxruntime::cores::bind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::time::Duration;

/// A model to be measured.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the file will say of it.
    pub info: ModelInfo,
    /// The ONNX file.
    pub bytes: Vec<u8>,
}

/// A plan at work.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// Settings, checked.
    pub settings: Settings,
    /// Name of the machine.
    pub name: String,
    /// Units.
    pub units: Vec<UnitInfo>,
    /// Models.
    pub targets: &'a [Target],
    /// Time.
    pub clock: &'a dyn Clock,
    /// The machine's files.
    pub system: System,
}

/// Time between loading and the first request, so that all tenants begin together.
const HEAD_START: Duration = Duration::from_millis(20);

/// Part of the window that passes before requests count.
const SETTLE: f64 = 0.15;

impl Campaign<'_> {
    /// Runs the plan; `progress` is told the number of runs done and planned.
    ///
    /// # Errors
    /// Coded [`Issues`] for settings, cores or models that cannot be used;
    /// [`EstimatorError::Runtime`] when ONNX Runtime is missing or refuses a model.
    pub fn run(&self, mut progress: impl FnMut(usize, usize)) -> Result<Measured, EstimatorError> {
        self.check()?;
        let cases = cases(&self.settings, self.targets.len(), self.units.len());
        let library = crate::learned::library::find().map_or_else(String::new, |p| {
            p.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        });
        let mut document = Measured {
            format: FORMAT.to_owned(),
            generator: format!("ecomap {}", env!("CARGO_PKG_VERSION")),
            machine: self.system.machine(&self.name, &library),
            settings: self.settings,
            units: self.units.clone(),
            models: self.targets.iter().map(|t| t.info.clone()).collect(),
            cases,
            runs: Vec::new(),
        };
        let mut alone: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let planned = document.cases.len() * self.settings.repetitions as usize;
        let mut done = 0;
        for repetition in 0..self.settings.repetitions {
            for at in order(&self.settings, &document.cases, repetition) {
                let Some(case) = document.cases.get(at).cloned() else { continue };
                let attempts = self.attempts(&case, at, repetition, &alone)?;
                if case.kind == Kind::Isolated
                    && repetition == 0
                    && let (Some(t), Some(run)) = (case.tenants.first(), attempts.iter().find(|r| r.kept))
                {
                    let median = run.tenants.first().and_then(|t| quantile(&t.latencies_ms, 0.5));
                    let median = median.ok_or_else(|| {
                        let message = "no request was answered in the window";
                        Issues::one(Issue::new(Code::TooFewRuns, format!("/models/{}", t.model), message))
                    })?;
                    alone.insert((t.model, t.unit), median);
                }
                document.runs.extend(attempts);
                done += 1;
                progress(done, planned);
            }
        }
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), Issues> {
        let mut list = Vec::new();
        if let Err((field, message)) = self.settings.check() {
            list.push(Issue::new(Code::OutOfRange, format!("/settings/{field}"), message));
        }
        for (name, empty) in [("models", self.targets.is_empty()), ("units", self.units.is_empty())] {
            if empty {
                list.push(Issue::new(Code::Empty, format!("/{name}"), "nothing is listed"));
            }
        }
        let mut ids = BTreeSet::new();
        for (n, unit) in self.units.iter().enumerate() {
            if !ids.insert(unit.id.as_str()) {
                let message = format!("`{}` again", unit.id);
                list.push(Issue::new(Code::DuplicateId, format!("/units/{n}/id"), message));
            }
            if unit.cores.is_empty() {
                list.push(Issue::new(Code::Empty, format!("/units/{n}/cores"), "a unit needs a core"));
            } else if let Err(message) = bind(&unit.cores) {
                list.push(Issue::new(Code::CoreUnavailable, format!("/units/{n}/cores"), message));
            }
        }
        // The trial bound this thread; let it go again.
        let all: Vec<u32> = (0..).take(self.system.ticks().busy_s.len()).collect();
        let _ = bind(&all);
        Issues::check(list)
    }

    fn attempts(
        &self,
        case: &Case,
        at: usize,
        repetition: u32,
        alone: &BTreeMap<(usize, usize), f64>,
    ) -> Result<Vec<RunRecord>, EstimatorError> {
        let mut all: Vec<RunRecord> = Vec::new();
        for attempt in 0..=self.settings.retries {
            let run = self.attempt(case, (at, repetition, attempt), alone)?;
            let clean = !run.noisy;
            all.push(run);
            if clean {
                break;
            }
        }
        let noise = |r: &RunRecord| r.foreign_share + r.steal_share;
        if let Some(best) = all.iter_mut().min_by(|a, b| noise(a).total_cmp(&noise(b))) {
            best.kept = true;
        }
        Ok(all)
    }

    fn attempt(
        &self,
        case: &Case,
        (at, repetition, attempt): (usize, u32, u32),
        alone: &BTreeMap<(usize, usize), f64>,
    ) -> Result<RunRecord, EstimatorError> {
        let seed = Seed(self.settings.seed);
        let number = (at as u64) * 10_000 + u64::from(repetition) * 100 + u64::from(attempt) * 10;
        let expected = |t: &super::plan::CaseTenant| alone.get(&(t.model, t.unit)).copied();
        let rates: Vec<Option<f64>> = case
            .tenants
            .iter()
            .map(|t| match t.load {
                Load::Closed => None,
                Load::Poisson(load) => expected(t).map(|ms| 1000.0 * load / ms),
            })
            .collect();
        let open = AtomicUsize::new(case.tenants.len());
        let window = self.window(case, &rates, alone);
        let mut answers: Vec<Result<TenantRun, EstimatorError>> = Vec::new();
        let mut record = RunRecord {
            case: at,
            repetition,
            attempt,
            kept: false,
            noisy: false,
            window_ms: 1.0,
            foreign_share: 0.0,
            steal_share: 0.0,
            power_w: None,
            busy: vec![0.0; self.units.len()],
            tenants: Vec::new(),
        };
        std::thread::scope(|scope| -> Result<(), EstimatorError> {
            let (ready, loaded) = mpsc::channel();
            let mut threads = Vec::new();
            for (k, (tenant, rate)) in case.tenants.iter().zip(&rates).enumerate() {
                let (go, start) = mpsc::channel::<(Duration, Duration, Duration)>();
                let ready = ready.clone();
                let (Some(target), Some(unit)) =
                    (self.targets.get(tenant.model), self.units.get(tenant.unit))
                else {
                    continue;
                };
                let (open, clock, rate) = (&open, self.clock, *rate);
                let stream = number + k as u64;
                let handle = scope.spawn(move || {
                    let model = bind(&unit.cores)
                        .map_err(EstimatorError::Runtime)
                        .and_then(|()| Loaded::new(&target.bytes, unit.cores.len(), &mut seed.rng(stream)));
                    let mut model = match model {
                        Ok(model) => {
                            let _ = ready.send(Ok(()));
                            model
                        }
                        Err(e) => {
                            let _ = ready.send(Err(e));
                            return None;
                        }
                    };
                    // Nothing comes when another tenant failed to load.
                    let (start, from, to) = start.recv().ok()?;
                    let one_core = unit.cores.len() == 1;
                    let order = Order { one_core, rate_per_s: rate, seed, stream, start, from, to };
                    Some(serve(&mut model, &order, clock, open))
                });
                threads.push((go, handle));
            }
            drop(ready);
            for outcome in loaded.iter().take(threads.len()) {
                outcome?;
            }
            let start = self.clock.now() + HEAD_START;
            let from = start + window.mul_f64(SETTLE);
            let to = from + window;
            let (senders, handles): (Vec<_>, Vec<_>) = threads.into_iter().unzip();
            for go in &senders {
                let _ = go.send((start, from, to));
            }
            self.clock.sleep_until(from);
            let before = self.reading();
            self.clock.sleep_until(to);
            let after = self.reading();
            self.judge(&before, &after, &mut record);
            for handle in handles {
                match handle.join() {
                    Ok(Some(answer)) => answers.push(answer),
                    _ => answers.push(Err(EstimatorError::Runtime("a measuring thread failed".to_owned()))),
                }
            }
            Ok(())
        })?;
        record.tenants = answers.into_iter().collect::<Result<_, _>>()?;
        Ok(record)
    }

    /// Long enough for the slowest tenant's requests, within the settings' bounds.
    fn window(&self, case: &Case, rates: &[Option<f64>], alone: &BTreeMap<(usize, usize), f64>) -> Duration {
        let [least, most] = self.settings.window_ms;
        let sharing = |unit| {
            let n = case.tenants.iter().filter(|t| t.unit == unit).count();
            f64::from(u32::try_from(n).unwrap_or(1))
        };
        let slowest = case
            .tenants
            .iter()
            .zip(rates)
            .filter_map(|(t, rate)| {
                let closed = alone.get(&(t.model, t.unit)).map(|ms| ms * sharing(t.unit));
                rate.map(|r| 1000.0 / r).or(closed)
            })
            .fold(0.0, f64::max);
        Duration::from_secs_f64((slowest * f64::from(self.settings.requests)).clamp(least, most) / 1000.0)
    }

    fn reading(&self) -> Reading {
        let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        #[allow(clippy::cast_precision_loss)]
        let own_s = own.tv_sec as f64 + own.tv_nsec as f64 / 1e9;
        Reading { at: self.clock.now(), own_s, ticks: self.system.ticks(), joules: self.system.joules().ok() }
    }

    fn judge(&self, before: &Reading, after: &Reading, record: &mut RunRecord) {
        let seconds = after.at.saturating_sub(before.at).as_secs_f64().max(1e-6);
        record.window_ms = 1000.0 * seconds;
        let busy: Vec<f64> =
            before.ticks.busy_s.iter().zip(&after.ticks.busy_s).map(|(b, a)| a - b).collect();
        let cores = f64::from(u32::try_from(busy.len()).unwrap_or(1)).max(1.0);
        let steal = (after.ticks.steal_s - before.ticks.steal_s).max(0.0);
        let others = busy.iter().sum::<f64>() - steal - (after.own_s - before.own_s);
        record.steal_share = (steal / (cores * seconds)).clamp(0.0, 1.0);
        record.foreign_share = (others / (cores * seconds)).clamp(0.0, 1.0);
        record.noisy = record.steal_share + record.foreign_share > self.settings.foreign_limit;
        record.power_w =
            before.joules.as_ref().zip(after.joules.as_ref()).map(|(b, a)| spent(b, a) / seconds);
        for (unit, slot) in self.units.iter().zip(&mut record.busy) {
            let of = unit.cores.iter().filter_map(|c| busy.get(*c as usize));
            let count = f64::from(u32::try_from(unit.cores.len()).unwrap_or(1)).max(1.0);
            *slot = (of.sum::<f64>() / (count * seconds)).clamp(0.0, 1.0);
        }
    }
}

struct Reading {
    at: Duration,
    own_s: f64,
    ticks: super::machine::Ticks,
    joules: Option<Vec<(f64, f64)>>,
}
